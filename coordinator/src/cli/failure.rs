//! How a command fails: a sentence on standard error and an exit code.

use std::fmt::Display;
use std::io;

use mayfly_kit::error::{chain, chain_after};
use nix::errno::Errno;

use crate::record::Outcome;
use crate::source::{GitError, SourceError, redact};
use crate::upload::UploadError;

use super::plain;

/// Exit code of a mistake in the command line or the configuration.
pub(crate) const USAGE: u8 = 2;

/// A command that did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Exit code.
    pub(crate) code: u8,
    /// What to say; empty when everything has been said.
    pub(crate) message: String,
}

impl Failure {
    /// A mistake in the command line or the configuration.
    #[must_use]
    pub(crate) fn usage(message: impl Display) -> Self {
        Self {
            code: USAGE,
            message: message.to_string(),
        }
    }

    /// Something of ours, the machine's or the network's.
    #[must_use]
    pub(crate) fn infra(message: impl Display) -> Self {
        Self {
            code: Outcome::InfraFailed.exit_code(),
            message: message.to_string(),
        }
    }

    /// An end without words.
    #[must_use]
    pub(crate) fn silent(code: u8) -> Self {
        Self {
            code,
            message: String::new(),
        }
    }

    /// Standard output could not be written. When its reader has left, nobody wants to hear of it.
    #[must_use]
    pub(crate) fn output(error: &io::Error) -> Self {
        let closed_terminal = error.raw_os_error() == Some(Errno::EIO as i32);
        if closed_terminal || error.kind() == io::ErrorKind::BrokenPipe {
            return Self::silent(0);
        }
        Self::infra(format!("cannot write to standard output: {error}"))
    }

    /// With the whole chain of causes, as one sentence.
    #[must_use]
    pub(crate) fn chain(what: &str, error: &dyn std::error::Error) -> Self {
        Self::infra(chain_after(what, error))
    }

    /// The message, safe to print.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        redact(&plain::lines(&self.message))
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        // Whatever is wrong with the code was found before anything began.
        Self {
            code: USAGE,
            message: chain(&error),
        }
    }
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        Self::usage(chain(&error))
    }
}

impl From<mayfly_configs::Errors> for Failure {
    fn from(errors: mayfly_configs::Errors) -> Self {
        Self::usage(errors.to_string().trim_end())
    }
}

impl From<UploadError> for Failure {
    fn from(error: UploadError) -> Self {
        match &error {
            UploadError::Read { .. } => Self::usage(chain(&error)),
            UploadError::Store(_) => Self::chain("", &error),
        }
    }
}

impl From<mayfly_kit::store::StoreError> for Failure {
    fn from(error: mayfly_kit::store::StoreError) -> Self {
        Self::chain("", &error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::chain("", error.as_ref())
    }
}

impl From<crate::history::HistoryError> for Failure {
    fn from(error: crate::history::HistoryError) -> Self {
        match error {
            crate::history::HistoryError::Nothing(why) => Self::usage(why),
            crate::history::HistoryError::Failed(error) => error.into(),
        }
    }
}

impl From<mayfly_kit::consul::ConsulError> for Failure {
    fn from(error: mayfly_kit::consul::ConsulError) -> Self {
        Self::chain("", &error)
    }
}

impl From<mayfly_kit::consul::SettingsError> for Failure {
    fn from(error: mayfly_kit::consul::SettingsError) -> Self {
        Self {
            code: USAGE,
            message: chain(&error),
        }
    }
}

impl From<crate::home::HomeError> for Failure {
    fn from(error: crate::home::HomeError) -> Self {
        Self {
            code: USAGE,
            message: chain(&error),
        }
    }
}
