//! The coordinator.
pub mod cli;
pub mod record;
pub mod source;
