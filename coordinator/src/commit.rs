//! `_COMMIT.json` as the coordinator reads it; the master's agent writes it.

use mayfly_proto::{Attempt, RunId};
use serde::{Deserialize, Serialize};

use crate::run::Commit;

/// The one commit of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitFile {
    /// Version of this shape.
    pub schema: u32,
    /// The run.
    pub run: RunId,
    /// The attempt that made it.
    pub attempt: Attempt,
    /// The job's own exit code; `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// Why the job failed, in one sentence; empty when it did not.
    #[serde(default)]
    pub cause: String,
    /// Every file of the results, sorted by path.
    pub files: Vec<CommitEntry>,
}

/// One file of the results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitEntry {
    /// Relative to the results folder.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Lower-case hex.
    pub sha256: String,
}

impl From<CommitFile> for Commit {
    fn from(file: CommitFile) -> Self {
        Self { attempt: file.attempt, exit_code: file.exit_code, cause: file.cause }
    }
}
