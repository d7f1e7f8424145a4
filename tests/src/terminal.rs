//! A person at a terminal.

use std::process::Command;

use crate::programs;

/// The command, on a terminal at which somebody answers its question.
#[must_use]
pub fn answered(command: &Command, question: &str, answer: &str) -> Command {
    let mut asked = Command::new("python3");
    asked
        .arg(programs::repository().join("tests/terminal.py"))
        .args([question, answer])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => asked.env(name, value),
            None => asked.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        asked.current_dir(folder);
    }
    asked
}
