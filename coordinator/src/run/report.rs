//! A node's report, checked: what came over the wire as `mayfly.v1.NodeReport`.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

use mayfly_proto::{Attempt, v1};
use serde::{Deserialize, Serialize};

/// How far a node is in its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodePhase {
    /// Clones, installs, starts the engine.
    Preparing,
    /// Its engine runs.
    Ready,
    /// The job's process runs here.
    Working,
    /// The job's process has ended.
    Ended,
    /// Uploads.
    Collecting,
    /// All it holds is in the store.
    Collected,
    /// The commit is in the store.
    Committed,
    /// It cannot go on.
    Failed,
    /// It is powering off.
    Leaving,
}

/// Whose doing a node's failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The job's.
    Job,
    /// Ours or the machine's.
    Infra,
}

/// Why a node cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whose doing.
    pub kind: FailureKind,
    /// One sentence.
    pub message: String,
}

/// How the job's process ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JobEnd {
    /// Its exit code, if it ended by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The cause in one sentence.
    pub cause: String,
    /// Last lines of its output.
    pub last_lines: Vec<String>,
    /// Whether the agent ended it as told.
    pub stopped: bool,
}

/// A whole report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// How far it is.
    pub phase: NodePhase,
    /// One line for people.
    pub status: String,
    /// Set when it failed.
    pub failure: Option<Failure>,
    /// Where workers register (master).
    pub engine_address: String,
    /// Page of the engine, for people.
    pub engine_ui: String,
    /// Workers that the engine counts as alive (master).
    pub alive_workers: u32,
    /// Set when the job's process has ended (master).
    pub job: Option<JobEnd>,
    /// Files in its results folder.
    pub results_files: u64,
    /// `_SUCCESS` files among them: each says that executors, maybe of other nodes, wrote files beside it.
    pub success_markers: u64,
    /// Lines of the job's output that it has taken in, if it counts them.
    pub output_lines: Option<u64>,
    /// For people, but for what shows whether the job lives: CPU and memory.
    pub usage: v1::Usage,
    /// For people, and a sign of life: the engine's progress.
    pub progress: Option<v1::Progress>,
    /// For people: the upload's progress.
    pub collected: Option<v1::Collected>,
    /// For people: how far the job's inputs have come.
    pub staged: Option<v1::Staged>,
    /// Seconds of each of its own steps.
    pub step_secs: BTreeMap<String, f64>,
    /// Port of its admin pages, if it serves any.
    pub admin_port: Option<NonZeroU16>,
    /// Attempt that it is ready to be the master of.
    pub claims: Option<Attempt>,
    /// What its machine had left when it is taken away (spot).
    pub interrupted: Option<Duration>,
}

/// Lines and characters taken from a node at most.
const LINES_MAX: usize = 50;
const TEXT_MAX: usize = 2_000;

impl Default for Report {
    fn default() -> Self {
        Self {
            phase: NodePhase::Preparing,
            status: String::new(),
            failure: None,
            engine_address: String::new(),
            engine_ui: String::new(),
            alive_workers: 0,
            job: None,
            results_files: 0,
            success_markers: 0,
            output_lines: None,
            usage: v1::Usage::default(),
            progress: None,
            collected: None,
            staged: None,
            step_secs: BTreeMap::new(),
            admin_port: None,
            claims: None,
            interrupted: None,
        }
    }
}

/// Why a report is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// A phase this version does not know.
    #[error("node phase {0} is not known; the agent is newer than this coordinator")]
    UnknownPhase(i32),
    /// A failed node says why.
    #[error("phase FAILED without a failure")]
    NoFailure,
    /// The job's end is missing.
    #[error("phase {0:?} of a master without the job's end")]
    NoJobEnd(NodePhase),
}

fn text(mut s: String) -> String {
    if s.len() > TEXT_MAX {
        let cut = (0..=TEXT_MAX).rev().find(|&i| s.is_char_boundary(i)).unwrap_or(0);
        s.truncate(cut);
    }
    s
}

fn phase(wire: i32) -> Result<NodePhase, ReportError> {
    use v1::NodePhase as W;
    match W::try_from(wire) {
        Ok(W::Preparing) => Ok(NodePhase::Preparing),
        Ok(W::Ready) => Ok(NodePhase::Ready),
        Ok(W::Working) => Ok(NodePhase::Working),
        Ok(W::Ended) => Ok(NodePhase::Ended),
        Ok(W::Collecting) => Ok(NodePhase::Collecting),
        Ok(W::Collected) => Ok(NodePhase::Collected),
        Ok(W::Committed) => Ok(NodePhase::Committed),
        Ok(W::Failed) => Ok(NodePhase::Failed),
        Ok(W::Leaving) => Ok(NodePhase::Leaving),
        Ok(W::Unspecified) | Err(_) => Err(ReportError::UnknownPhase(wire)),
    }
}

fn job_end(job: v1::JobReport) -> Option<JobEnd> {
    job.ended.then(|| JobEnd {
        exit_code: job.exit_code,
        signal: job.signal,
        cause: text(job.cause),
        last_lines: job.last_lines.into_iter().take(LINES_MAX).map(text).collect(),
        stopped: job.stopped,
    })
}

fn failure(wire: v1::NodeFailure) -> Failure {
    let kind = match v1::FailureKind::try_from(wire.kind) {
        Ok(v1::FailureKind::Job) => FailureKind::Job,
        Ok(v1::FailureKind::Infra | v1::FailureKind::Unspecified) | Err(_) => FailureKind::Infra,
    };
    Failure {
        kind,
        message: text(wire.message),
    }
}

/// Nothing follows from a machine that may be taken away, nor from a notice that this version does not know.
fn interruption(wire: v1::Notice) -> Option<Duration> {
    let interrupted = wire.kind() == v1::NoticeKind::Interruption;
    interrupted.then(|| Duration::from_millis(wire.remaining_ms))
}

impl TryFrom<v1::NodeReport> for Report {
    type Error = ReportError;

    fn try_from(wire: v1::NodeReport) -> Result<Self, ReportError> {
        let phase = phase(wire.phase)?;
        let failure = wire.failure.map(failure);
        let job = wire.job.and_then(job_end);
        if phase == NodePhase::Failed && failure.is_none() {
            return Err(ReportError::NoFailure);
        }
        if matches!(phase, NodePhase::Ended | NodePhase::Committed) && job.is_none() {
            return Err(ReportError::NoJobEnd(phase));
        }
        let engine = wire.engine.unwrap_or_default();
        Ok(Self {
            phase,
            status: text(wire.status),
            failure,
            engine_address: text(engine.address),
            engine_ui: text(engine.ui),
            alive_workers: engine.alive_workers,
            job,
            results_files: wire.results_files,
            success_markers: wire.success_markers,
            output_lines: wire.output_lines,
            usage: wire.usage.unwrap_or_default(),
            progress: wire.progress,
            collected: wire.collected,
            staged: wire.staged,
            step_secs: wire
                .step_secs
                .into_iter()
                .take(LINES_MAX)
                .map(|(k, v)| (text(k), v))
                .collect(),
            admin_port: u16::try_from(wire.admin_port).ok().and_then(NonZeroU16::new),
            claims: Attempt::try_from(wire.claims_attempt).ok(),
            interrupted: wire.notice.and_then(interruption),
        })
    }
}
