//! Why a node could not prepare for the job.

/// Whose doing a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The job's: a missing entry, a commit that does not exist, a requirement that cannot be installed.
    Job,
    /// Ours or the machine's: no network, no space.
    Infra,
}

/// A failure to prepare, in one sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PrepareError {
    /// Whose doing it is.
    pub kind: Kind,
    /// The cause in one sentence.
    pub message: String,
}

impl PrepareError {
    /// The job's own doing.
    pub fn job(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Job,
            message: message.into(),
        }
    }

    /// Ours or the machine's.
    pub fn infra(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Infra,
            message: message.into(),
        }
    }
}
