//! What a run knows of one node.

use std::time::Duration;

use mayfly_configs::Job;
use mayfly_proto::{Attempt, NodeId};

use super::report::{NodePhase, Report};
use crate::record::Role;

impl Role {
    /// `master` or `worker`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Worker => "worker",
        }
    }

    /// Cores, and memory in bytes, that the nodes of a job have.
    #[must_use]
    pub fn size(self, job: &Job) -> (u32, u64) {
        let machine = match self {
            Self::Master => &job.master,
            Self::Worker => &job.workers.machine,
        };
        (machine.cores, machine.memory_bytes)
    }
}

/// One node.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
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
    /// When it enrolled, from the run's start.
    pub since: Duration,
    /// When it was last heard of.
    pub heard: Duration,
    /// When its machine was seen gone.
    pub gone_at: Option<Duration>,
    /// Whether it was given up: silent for too long, failed, or gone before its release.
    pub lost: bool,
    /// Attempt of its last report.
    pub attempt: Attempt,
    /// Its last report.
    pub report: Report,
    /// Most files it ever reported in its results folder in this attempt.
    pub results_files: u64,
    /// Whether it was there while the job of its attempt ran: only then may executors have written files on it.
    pub took_part: bool,
}

impl Node {
    /// Whether it takes part.
    #[must_use]
    pub fn is_present(&self) -> bool {
        !self.lost && self.gone_at.is_none()
    }

    /// Whether it takes part, but not for long: its machine is being taken away.
    #[must_use]
    pub fn is_going(&self) -> bool {
        self.is_present() && self.report.interrupted.is_some()
    }

    /// Its phase, if its last report is about `attempt`.
    pub(super) fn phase_in(&self, attempt: Attempt) -> Option<NodePhase> {
        (self.attempt == attempt).then_some(self.report.phase)
    }
}
