//! Writing to standard output and standard error.

use std::io::{self, Write};

use super::failure::Failure;

/// Writes a line to standard output; a closed pipe ends the command quietly.
///
/// # Errors
/// It cannot be written.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").map_err(|e| Failure::output(&e))
}

/// Writes whole lines at once, each with its end: many are slow one by one.
///
/// # Errors
/// They cannot be written.
pub(crate) fn lines(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).map_err(|e| Failure::output(&e))
}

/// Writes one JSON value as a line.
///
/// # Errors
/// It cannot be written.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    line(&json_text(value)?)
}

/// One JSON value without the end of its line.
///
/// # Errors
/// It has none in JSON.
pub(crate) fn json_text(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|e| Failure::output(&e.into()))
}

/// Writes a line to standard error, for people. Nobody may be there to read it; that stops nothing.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Columns of a terminal, and a hundred where there is none.
pub(crate) fn width(term: &console::Term) -> usize {
    term.size_checked()
        .map_or(100, |(_, columns)| usize::from(columns))
}

/// Makes what was written visible; for a command that ends without returning.
pub(crate) fn flush() {
    let _ = io::stdout().flush();
}
