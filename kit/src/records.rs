//! What agents write into the store for others to read: a node's manifest, and the one commit of a run.

use jiff::Timestamp;
use mayfly_proto::{Attempt, NodeId, RunId};
use serde::{Deserialize, Serialize};

/// Version of the shape of [`Manifest`] and [`Commit`].
pub const SCHEMA: u32 = 1;

/// One file of the results.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Path below the results folder, with `/` between its parts.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes, 64 hex digits in lower case.
    pub sha256: String,
}

/// Longest path of a result, in bytes: a key of S3 has no more.
const PATH_MAX: usize = 1024;

impl FileEntry {
    /// Whether it can be a file of results: a path that stays below its folder, and a SHA-256.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let stays = |part: &str| !matches!(part, "" | "." | "..");
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        self.path.len() <= PATH_MAX
            && self.path.split('/').all(stays)
            && !self.path.chars().any(char::is_control)
            && self.sha256.len() == 64
            && self.sha256.bytes().all(hex)
    }
}

/// What one node uploaded in one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this shape.
    pub schema: u32,
    /// The node.
    pub node: NodeId,
    /// The attempt.
    pub attempt: Attempt,
    /// By path.
    pub files: Vec<FileEntry>,
    /// What was in the results folder and is no result, and why: links, sockets, Spark's leftovers. One line each.
    pub skipped: Vec<String>,
}

/// One of several programs of a job, as it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEntry {
    /// Its name.
    pub name: String,
    /// Its exit code; `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// `_COMMIT.json`: the run's results are these files and no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Version of this shape.
    pub schema: u32,
    /// The run.
    pub run: RunId,
    /// The attempt whose files these are.
    pub attempt: Attempt,
    /// The job's own exit code; `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// Why the job failed, in one sentence; empty when it did not.
    #[serde(default)]
    pub cause: String,
    /// How each step ended, where the job is several; those after one that failed are not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepEntry>,
    /// By the master's clock.
    pub committed_at: Timestamp,
    /// Nodes whose manifests it was made of.
    pub nodes: Vec<NodeId>,
    /// Number of files.
    pub total_files: u64,
    /// Sum of their sizes in bytes.
    pub total_bytes: u64,
    /// By path; each is below `attempt-<n>/results/`.
    pub files: Vec<FileEntry>,
}

/// `attempt-<n>/_DECISION.json`: what became of an attempt. Whoever writes it first decides; a master that was given up
/// while nobody could reach it cannot commit any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Its master has committed this. `_COMMIT.json` follows.
    Committed(Commit),
    /// A coordinator gave it up.
    GivenUp {
        /// Version of this shape.
        schema: u32,
        /// The run.
        run: RunId,
        /// The attempt.
        attempt: Attempt,
    },
}

impl Decision {
    /// This attempt is given up.
    #[must_use]
    pub fn given_up(run: &RunId, attempt: Attempt) -> Self {
        Self::GivenUp {
            schema: SCHEMA,
            run: run.clone(),
            attempt,
        }
    }
}
