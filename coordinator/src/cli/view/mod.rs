//! What people see of a run: [`live`] while it goes on a terminal, [`changes`] as plain lines where there is none,
//! [`json`] for programs, [`receipt`] at the end. All of these are pure; [`Screen`] does the writing.

/// What a run adds up to.
pub(crate) mod account;
mod block;
/// Plain lines for what changed.
pub mod changes;
/// Two receipts beside each other.
pub(crate) mod compare;
/// Estimates.
pub(crate) mod estimate;
/// Events as JSON.
pub mod json;
/// The live block of a terminal.
pub mod live;
pub(crate) mod names;
mod paint;
/// The receipt.
pub(crate) mod receipt;
mod screen;
pub(crate) mod staged;
/// Tables.
pub(crate) mod table;
/// Durations, sizes, bars.
pub(crate) mod units;
/// Causes.
pub(crate) mod why;
/// Sentences on narrow terminals.
pub(crate) mod wrap;

pub use paint::Paint;
pub(crate) use screen::{Mode, Screen};

#[cfg(test)]
pub(crate) mod samples;
