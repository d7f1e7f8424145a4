//! What is accepted, but not quite as its writer may expect.

use std::fmt;

use serde::Serialize;

use crate::diag::{Place, Sink};

/// One thing to know about a job that is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The file.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// The job that it is about.
    pub job: String,
    /// What to know, as a sentence without its full stop.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

impl Sink {
    /// Notes something that stops nothing.
    pub(crate) fn warn(&mut self, place: Place, job: &str, message: String) {
        let (file, line) = self.file_and_line(place);
        self.warnings.push(Warning {
            file,
            line,
            job: job.to_owned(),
            message,
        });
    }
}
