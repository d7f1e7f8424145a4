//! A person at a terminal.

use std::process::Command;

use crate::programs;

/// The command, on a terminal at which somebody answers its question.
#[must_use]
pub fn answered(command: &Command, question: &str, answer: &str) -> Command {
    seated(command, &[question, answer])
}

/// The command, on a terminal at which what comes on its standard input is typed.
pub(crate) fn typed(command: &Command) -> Command {
    seated(command, &["--typed"])
}

/// The same on a terminal of this size. Another size is typed as [`size`] has it; the end of standard input closes the
/// terminal.
pub(crate) fn sized(command: &Command, columns: u16, rows: u16) -> Command {
    seated(command, &["--screen", &format!("{columns}x{rows}")])
}

/// What sets the size of a terminal, and says in what it has shown where that was.
pub(crate) fn size(columns: u16, rows: u16) -> String {
    format!("\u{1b}[8;{rows};{columns}t")
}

fn seated(command: &Command, how: &[&str]) -> Command {
    let mut seat = Command::new("python3");
    seat.arg(programs::repository().join("tests/terminal.py"))
        .args(how);
    programs::through(seat, command)
}
