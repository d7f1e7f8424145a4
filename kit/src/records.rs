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
