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

fn seated(command: &Command, how: &[&str]) -> Command {
    let mut seated = Command::new("python3");
    seated
        .arg(programs::repository().join("tests/terminal.py"))
        .args(how)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => seated.env(name, value),
            None => seated.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        seated.current_dir(folder);
    }
    seated
}
