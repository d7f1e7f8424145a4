//! What Spark itself tells of a run: its event log, read once, line by line, into a summary of bounded size.
//!
//! [`read`] gives lines out of a file of the store (compressed or not), [`event`] says what is taken of each, [`fold`] adds
//! them up, [`model`] answers how long the same tasks would have taken on more or fewer cores.

mod event;
mod fold;
pub mod gather;
mod model;
pub mod read;

pub use fold::Fold;
