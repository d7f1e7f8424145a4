//! The coordinator.
pub mod cli;
pub mod source;
