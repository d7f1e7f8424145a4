//! What the store holds of a run: `run.json` and `receipt.json`.

mod account;
mod spark;
mod why;

use jiff::Timestamp;
use mayfly_configs::Job;
use mayfly_proto::{Attempt, NodeId, RunId};
use serde::{Deserialize, Serialize};

use crate::cloud::Plan;
use crate::run::JobEnd;

pub use account::{Account, Advice, Group, Part, Prediction, Waste};
pub use spark::{Failure, Lost, Point, Scaling, Skew, Summary, Unfinished};
pub use why::{Evidence, UNKNOWN, Why};

/// Version of the shape of [`RunRecord`], [`Receipt`] and what they hold.
pub const SCHEMA: u32 = 1;

/// Phases of a run, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseName {
    /// The record exists.
    Accepted,
    /// The killers are being put in place.
    Arming,
    /// Machines boot, agents enrol and prepare, the engine starts.
    Forming,
    /// The job runs.
    Working,
    /// Results, logs and events are being uploaded.
    Collecting,
    /// Machines are being given back.
    Releasing,
    /// No machine is left.
    Closed,
}

impl PhaseName {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Arming => "arming",
            Self::Forming => "forming",
            Self::Working => "working",
            Self::Collecting => "collecting",
            Self::Releasing => "releasing",
            Self::Closed => "closed",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Committed, and the job's exit code was 0.
    Succeeded,
    /// The job's own doing.
    JobFailed,
    /// Ours, the machine's or the cloud's doing.
    InfraFailed,
    /// The deadline passed, or the job hung.
    TimedOut,
    /// The budget was used up.
    OverBudget,
    /// Somebody asked for it.
    Cancelled,
}

impl Outcome {
    /// Exit code of `launch`.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::JobFailed => 1,
            Self::InfraFailed => 3,
            Self::TimedOut => 4,
            Self::OverBudget => 5,
            Self::Cancelled => 130,
        }
    }
}

/// When a phase of an attempt began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseMark {
    /// The phase.
    pub phase: PhaseName,
    /// The attempt it belongs to.
    pub attempt: Attempt,
    /// By the coordinator's clock.
    pub began: Timestamp,
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Drives the job.
    Master,
    /// Serves the master.
    Worker,
    /// One of nodes that are alike, while the master of the attempt is not decided.
    Auto,
}

/// A node that enrolled, for the coordinator that takes the run over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeMark {
    /// The node.
    pub node: NodeId,
    /// What it is for.
    pub role: Role,
    /// Where the fleet reaches it.
    pub address: String,
    /// Cores it offers.
    pub cores: u32,
    /// Memory it offers, in bytes.
    pub memory_bytes: u64,
    /// Whether its results folder is its own.
    pub private_results: bool,
    /// When it enrolled.
    pub since: Timestamp,
    /// When its machine was seen gone.
    pub gone: Option<Timestamp>,
    /// Whether it was given up.
    pub lost: bool,
    /// Attempt of its last report.
    pub attempt: Attempt,
    /// Whether it was there while the job of its attempt ran.
    pub took_part: bool,
}

/// How a run ended and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The outcome.
    pub outcome: Outcome,
    /// One sentence; empty after success.
    pub reason: String,
    /// The job's own exit code, when it ended by itself.
    pub exit_code: Option<i32>,
    /// Last lines of the job's output, when it failed.
    pub last_lines: Vec<String>,
}

impl Ended {
    /// How a run ended whose commit says this of its job.
    #[must_use]
    pub fn committed(exit_code: Option<i32>, cause: &str) -> Self {
        let succeeded = exit_code == Some(0);
        Self {
            outcome: if succeeded {
                Outcome::Succeeded
            } else {
                Outcome::JobFailed
            },
            reason: if succeeded || !cause.is_empty() {
                cause.to_owned()
            } else {
                "the job failed".to_owned()
            },
            exit_code,
            last_lines: Vec::new(),
        }
    }

    /// What is true once no machine is left that could commit: `committed`, whatever was thought before, if the store has a
    /// commit. A commit may have been written in the very moment in which the run was given up.
    #[must_use]
    pub fn settled(thought: Option<Self>, committed: Option<Self>) -> Option<Self> {
        match (thought, committed) {
            (Some(thought), Some(committed)) if thought.outcome == committed.outcome => Some(thought),
            (_, Some(committed)) => Some(committed),
            (thought, None) => thought,
        }
    }
}

/// `run.json`: changed by compare-and-swap only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of this shape.
    pub schema: u32,
    /// The run.
    pub run: RunId,
    /// The caller's id of the request that made it.
    pub request_id: String,
    /// The resolved job.
    pub job: Job,
    /// Full id of the commit that runs.
    pub commit: String,
    /// Key of the bundle the code travels in; `None` for a URL.
    pub bundle_key: Option<String>,
    /// Who launched it.
    pub owner: String,
    /// `local` or `aws`.
    pub cloud: String,
    /// Where its nodes' folders are on this machine (local cloud only).
    pub folder: Option<std::path::PathBuf>,
    /// Where the coordinator of this run was reachable when it last wrote; empty while the one on its own master has not
    /// written yet.
    pub coordinator: String,
    /// Whether its coordinator lives on its own master.
    #[serde(default)]
    pub on_master: bool,
    /// The network whose team's server drives it, on whichever machine that one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// What its machines are; records of before have none.
    #[serde(default)]
    pub plan: Option<Plan>,
    /// Drawn by each coordinator that makes the run or takes it over: what two of them write is never the same text, which
    /// would be the same version to the store.
    #[serde(default)]
    pub claim: String,
    /// When the record was made.
    pub created: Timestamp,
    /// When the run ends, whatever happens.
    pub deadline: Timestamp,
    /// The attempt of now.
    pub attempt: Attempt,
    /// In order; the last is the phase of now.
    pub phases: Vec<PhaseMark>,
    /// Every node that enrolled.
    #[serde(default)]
    pub nodes: Vec<NodeMark>,
    /// How the job's process ended, while its results are being collected.
    #[serde(default)]
    pub job_ended: Option<JobEnd>,
    /// Until when it is held for a look, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// Set once the outcome is known; before `closed` machines may still be there.
    pub ended: Option<Ended>,
}

impl RunRecord {
    /// Whether no machine of the run is left.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phases
            .last()
            .is_some_and(|mark| mark.phase == PhaseName::Closed)
    }
}

/// `receipt.json`: what a run took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Version of this shape.
    pub schema: u32,
    /// The run.
    pub run: RunId,
    /// The job's name.
    pub job: String,
    /// Full id of the commit that ran.
    pub commit: String,
    /// The outcome and its reason.
    pub ended: Ended,
    /// Attempts made.
    pub attempts: u32,
    /// Time in each phase, in order.
    pub phases: Vec<PhaseTime>,
    /// Each step of a job that is several, as far as they were run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepTime>,
    /// From the record to `closed`, in seconds.
    pub total_secs: f64,
    /// Every node that ever belonged to the run.
    pub nodes: Vec<NodeUse>,
    /// What all machines cost, in millionths of a US dollar; without disks and transfer.
    #[serde(default)]
    pub cost_micros: u64,
    /// Files and bytes under the commit; zero without one.
    pub results_files: u64,
    /// See `results_files`.
    pub results_bytes: u64,
    /// `s3://` prefix of the results of the attempt that counts.
    pub results: String,
    /// `s3://` prefix of its logs.
    pub logs: String,
    /// Plain folder of the results on this machine (local store only).
    pub results_folder: Option<std::path::PathBuf>,
    /// What was looked at to be sure that nothing is left.
    pub release: ReleaseProof,
    /// What it adds up to; receipts of before, and those of runs whose coordinator died, have none.
    #[serde(default)]
    pub account: Option<Account>,
    /// Why the run ended so; `None` after success, and in receipts of before.
    #[serde(default)]
    pub why: Option<Why>,
}

/// How one step of a job ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepTime {
    /// Its name.
    pub step: String,
    /// Its exit code; `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// Seconds.
    pub secs: f64,
}

/// Time spent in one phase of one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseTime {
    /// The phase.
    pub phase: PhaseName,
    /// The attempt.
    pub attempt: Attempt,
    /// Seconds.
    pub secs: f64,
}

/// What one node was and used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeUse {
    /// The node.
    pub node: NodeId,
    /// Cores it offered, or was ordered with if it never enrolled.
    pub cores: u32,
    /// Memory it offered, in bytes; likewise.
    pub memory_bytes: u64,
    /// Type of its machine, where machines are paid for.
    #[serde(default)]
    pub kind: Option<String>,
    /// What its machine cost, in millionths of a US dollar.
    #[serde(default)]
    pub cost_micros: u64,
    /// Seconds from its machine's start to its observed end; `None` when nobody was there to observe them.
    pub secs: Option<f64>,
    /// Core seconds its processes used; `None` when no report of it is known.
    pub cpu_core_secs: Option<f64>,
    /// Most memory its processes held at one time, in bytes; `None` when no report of it is known.
    pub peak_memory_bytes: Option<u64>,
    /// Whether it was lost rather than released.
    pub lost: bool,
}

/// Evidence that nothing is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseProof {
    /// Machines that were started in all.
    pub machines_started: u32,
    /// Machines observed to be gone; equal to `machines_started` in a closed run.
    pub machines_gone: u32,
    /// When the last look found none left.
    pub observed: Timestamp,
}
