//! Keys of the store, relative to its prefix. Nobody else builds a key.

use mayfly_proto::{Attempt, NodeId, RunId};

/// Folder of all runs.
pub const RUNS: &str = "runs/";
/// Folder of what people put into the store beforehand (`coordinator data put`).
pub const DATA: &str = "data/";

/// Folder of the inputs that launches brought along, by their content.
pub const INPUTS: &str = "inputs/";

/// What the server of a team keeps, by the network that it serves; nodes and jobs may not read it.
#[must_use]
pub fn control(network: &str) -> String {
    format!("control/{network}/")
}

/// What makes that server the same one on each of its machines: its key, and what its tokens are made from.
#[must_use]
pub fn control_identity(network: &str) -> String {
    format!("{}identity.json", control(network))
}

/// Where that server is now.
#[must_use]
pub fn control_server(network: &str) -> String {
    format!("{}server.json", control(network))
}

/// What people keep in that server's Consul.
#[must_use]
pub fn control_consul(network: &str) -> String {
    format!("{}consul.json", control(network))
}

/// The requests of the runs that that server has open.
#[must_use]
pub fn control_requests(network: &str) -> String {
    format!("{}runs/", control(network))
}

/// The request that made a run, with what its record must not hold; gone once the run is closed.
#[must_use]
pub fn control_request(network: &str, run: &RunId) -> String {
    format!("{}{run}.json", control_requests(network))
}

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

/// What the coordinator on a fleet's own master begins with, sealed; empty once the run is over.
#[must_use]
pub fn package(run: &RunId) -> String {
    format!("{RUNS}{run}/coordinator.sealed")
}

/// What the nodes of a run used over time, for the charts of its page.
#[must_use]
pub fn samples(run: &RunId) -> String {
    format!("{RUNS}{run}/samples.json")
}

/// How far a run is, as its coordinator on the fleet's own master shows it, for whoever follows from elsewhere.
#[must_use]
pub fn view(run: &RunId) -> String {
    format!("{RUNS}{run}/view.pb")
}

/// What people ask of a run whose coordinator they cannot reach.
#[must_use]
pub fn wish(run: &RunId) -> String {
    format!("{RUNS}{run}/wish.json")
}

/// Everything of one attempt.
#[must_use]
pub fn attempt(run: &RunId, attempt: Attempt) -> String {
    format!("{RUNS}{run}/attempt-{attempt}/")
}

/// What became of one attempt: it has committed, or was given up. There is one for each, and the first one stands.
#[must_use]
pub fn decision(run: &RunId, n: Attempt) -> String {
    format!("{}_DECISION.json", attempt(run, n))
}

/// The job's files of one attempt.
#[must_use]
pub fn results(run: &RunId, n: Attempt) -> String {
    format!("{}results/", attempt(run, n))
}

/// Name of the file that holds what the job's build made.
pub const BUILT: &str = "built.tar";

/// What the job's build made on the master of one attempt, for its workers.
#[must_use]
pub fn built(run: &RunId, n: Attempt) -> String {
    format!("{}{BUILT}", attempt(run, n))
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
    format!("{}{node}.json", manifests(run, n))
}

/// The manifests of all nodes of one attempt.
#[must_use]
pub fn manifests(run: &RunId, n: Attempt) -> String {
    format!("{}manifests/", attempt(run, n))
}

/// A Git bundle of one commit, shared by the runs that use it.
#[must_use]
pub fn bundle(commit: &str) -> String {
    format!("code/{commit}.bundle")
}
