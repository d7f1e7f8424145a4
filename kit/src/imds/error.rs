//! Why metadata cannot be used.

use reqwest::StatusCode;

use super::BODY_MAX_BYTES;

/// Longest piece of a wrong answer that is shown.
const SHOWN_MAX: usize = 60;

/// No answer from instance metadata, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ImdsError {
    /// The configured address is not one.
    #[error(
        "{value:?} is not where instance metadata can be: write http://ADDRESS or http://ADDRESS:PORT, without a path"
    )]
    Endpoint {
        /// What was configured.
        value: String,
    },
    /// The HTTP client cannot be made.
    #[error("make a client of instance metadata")]
    Client(#[source] reqwest::Error),
    /// No answer in time.
    #[error("ask instance metadata at {endpoint} for {path}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What for.
        path: String,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that breaks off, or does not end in time.
    #[error("read the answer of instance metadata about {path}")]
    Broken {
        /// What about.
        path: String,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
    /// Another answer than 200. A redirect is one of them: metadata is at one place only.
    #[error("instance metadata answers {status} about {path}, not 200")]
    Status {
        /// What about.
        path: String,
        /// The answer.
        status: StatusCode,
    },
    /// Nothing there.
    #[error("instance metadata has no {path}")]
    Missing {
        /// What was asked for.
        path: String,
    },
    /// More than anything in metadata has.
    #[error("instance metadata's answer about {path} is longer than {BODY_MAX_BYTES} bytes")]
    TooLarge {
        /// What about.
        path: String,
    },
    /// An answer that is not what is to be there.
    #[error("instance metadata's {path} is to be {wanted}, but is {found}")]
    Malformed {
        /// What was asked for.
        path: String,
        /// What is right.
        wanted: &'static str,
        /// What came, shortened; never a secret.
        found: String,
    },
}

impl ImdsError {
    /// An answer that may be shown.
    #[must_use]
    pub fn not(path: &str, wanted: &'static str, text: &str) -> Self {
        let mut shown: String = text.chars().take(SHOWN_MAX).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Self::malformed(path, wanted, format!("{shown:?}"))
    }

    /// An answer that is described instead: it is long, or may hold a secret.
    #[must_use]
    pub fn malformed(path: &str, wanted: &'static str, found: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            wanted,
            found: found.into(),
        }
    }
}
