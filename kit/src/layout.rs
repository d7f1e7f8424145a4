//! Keys of the store, relative to its prefix. Nobody else builds a key.

use mayfly_proto::{Attempt, NodeId, RunId};

/// Folder of all runs.
pub const RUNS: &str = "runs/";
/// Folder of what people put into the store beforehand (`coordinator data put`).
pub const DATA: &str = "data/";

/// Everything of one run.
#[must_use]
pub fn run(run: &RunId) -> String {
    format!("{RUNS}{run}/")
}

/// The record of a run; changed by compare-and-swap only.
#[must_use]
pub fn record(run: &RunId) -> String {
    format!("{RUNS}{run}/run.json")
}

/// The one commit of a run.
#[must_use]
pub fn commit(run: &RunId) -> String {
    format!("{RUNS}{run}/_COMMIT.json")
}

/// What the run took.
#[must_use]
pub fn receipt(run: &RunId) -> String {
    format!("{RUNS}{run}/receipt.json")
}

/// Everything of one attempt.
#[must_use]
pub fn attempt(run: &RunId, attempt: Attempt) -> String {
    format!("{RUNS}{run}/attempt-{attempt}/")
}

/// The job's files of one attempt.
#[must_use]
pub fn results(run: &RunId, n: Attempt) -> String {
    format!("{}results/", attempt(run, n))
}

/// Engine event logs of one attempt.
#[must_use]
pub fn events(run: &RunId, n: Attempt) -> String {
    format!("{}events/", attempt(run, n))
}

/// Log chunks of one attempt, of all nodes.
#[must_use]
pub fn logs(run: &RunId, n: Attempt) -> String {
    format!("{}logs/", attempt(run, n))
}

/// One chunk of one stream (`job`, `engine`, `agent`) of one node; chunks are numbered from 0 and gzip-compressed.
#[must_use]
pub fn log_chunk(run: &RunId, n: Attempt, node: &NodeId, stream: &str, chunk: u32) -> String {
    format!("{}{node}/{stream}-{chunk:06}.log.gz", logs(run, n))
}

/// What one node uploaded in one attempt: the commit is made of these.
#[must_use]
pub fn manifest(run: &RunId, n: Attempt, node: &NodeId) -> String {
    format!("{}manifests/{node}.json", attempt(run, n))
}

/// A Git bundle of one commit, shared by the runs that use it.
#[must_use]
pub fn bundle(commit: &str) -> String {
    format!("code/{commit}.bundle")
}
