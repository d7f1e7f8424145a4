//! What people see of a run: [`live`] while it goes on a terminal, [`changes`] as plain lines where there is none,
//! [`json`] for programs, [`receipt`] at the end. All of these are pure; [`Screen`] does the writing.

/// Plain lines for what changed.
pub mod changes;
/// Events as JSON.
pub mod json;
/// The live block of a terminal.
pub mod live;
mod names;
mod paint;
/// The receipt.
pub mod receipt;
mod screen;
/// Durations, sizes, bars.
pub mod units;

pub use names::phase_word;
pub use paint::Paint;
pub use screen::{Mode, Screen};

#[cfg(test)]
pub(crate) mod samples;
