//! What follows from the state of a run: what each node shall do, and how large the fleet shall be.

use std::time::Duration;

use mayfly_proto::{Attempt, NodeId};

use super::{Cancel, Collection, Node, Role, Run, Stage};

/// How far a node shall go. Ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Goal {
    /// Clone, install, start the engine.
    Form,
    /// The master may start the job.
    Work,
    /// Stop job and engine, upload.
    Collect,
    /// The master writes the commit.
    Commit,
    /// Stop everything and power off.
    Leave,
}

/// The whole desired state of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The attempt of now.
    pub attempt: Attempt,
    /// How far to go.
    pub goal: Goal,
    /// Where workers register; empty while unknown.
    pub master_address: String,
    /// Nodes whose manifests make the commit.
    pub commit_nodes: Vec<NodeId>,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// How long the node may live without another answer.
    pub lease: Duration,
    /// Until the end of the run.
    pub deadline: Duration,
    /// Until the next report.
    pub sync: Duration,
    /// Whether results are wanted, or only logs.
    pub save_results: bool,
}

/// Machines wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// 0 or 1.
    pub masters: u32,
    /// Workers.
    pub workers: u32,
}

impl Run {
    /// What `id` shall do; a node that is not known, or given up, shall leave.
    #[must_use]
    pub fn desired(&self, now: Duration, id: &NodeId) -> Desired {
        let node = self.nodes.get(id).filter(|node| node.is_present());
        let goal = node.map_or(Goal::Leave, |node| self.goal(node));
        Desired {
            attempt: self.attempt,
            goal,
            master_address: self.master_address(),
            commit_nodes: if goal == Goal::Commit {
                self.commit_nodes()
            } else {
                Vec::new()
            },
            grace: if self.cancel == Some(Cancel::Fast) {
                Duration::ZERO
            } else {
                self.spec.timing.grace
            },
            lease: self.spec.timing.lease,
            deadline: (self.spec.deadline + self.spec.timing.overtime).saturating_sub(now),
            sync: self.sync_interval(),
            save_results: self.saves_results(),
        }
    }

    /// Machines wanted now. A machine that is lost is replaced by its group as long as this does not shrink.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        match self.stage {
            Stage::Forming { .. } | Stage::Working { .. } => self.wanted_fleet(),
            // Nobody new can help any more; those that are there are kept.
            Stage::Collecting { .. } | Stage::Held { .. } => Wanted {
                masters: u32::from(self.master().is_some()),
                workers: u32::try_from(self.workers().count()).unwrap_or(u32::MAX),
            },
            Stage::Arming => self.wanted_while_arming(),
            Stage::Accepted | Stage::Releasing { .. } | Stage::Closed => Wanted {
                masters: 0,
                workers: 0,
            },
        }
    }

    /// Nodes whose machines are to be ended, so that others take their place: lost, and silent for so long that a node
    /// that only could not reach us has ended itself. What hangs does not.
    #[must_use]
    pub fn condemned(&self, now: Duration) -> Vec<NodeId> {
        let limit = self.spec.timing.lost_after + self.spec.timing.lease;
        let silent =
            |node: &&Node| node.lost && node.gone_at.is_none() && now.saturating_sub(node.heard) > limit;
        self.nodes
            .values()
            .filter(silent)
            .map(|node| node.id.clone())
            .collect()
    }

    /// The first attempt has no machine before its killer is armed; a later one keeps those it has.
    fn wanted_while_arming(&self) -> Wanted {
        if self.attempt == Attempt::FIRST {
            Wanted {
                masters: 0,
                workers: 0,
            }
        } else {
            self.wanted_fleet()
        }
    }

    /// A worker whose machine is being taken away is replaced while it is still there. A master is not: two of one
    /// attempt would be one too many.
    fn wanted_fleet(&self) -> Wanted {
        let going = self.workers().filter(|node| node.is_going()).count();
        let going = u32::try_from(going).unwrap_or(u32::MAX);
        Wanted {
            masters: 1,
            workers: self.spec.workers.saturating_add(going),
        }
    }

    fn goal(&self, node: &Node) -> Goal {
        match &self.stage {
            Stage::Accepted | Stage::Arming | Stage::Forming { .. } => Goal::Form,
            Stage::Working { .. } => Goal::Work,
            Stage::Collecting {
                what: Collection::Commit { committing: true, .. },
                ..
            } => match node.role {
                Role::Master => Goal::Commit,
                Role::Worker => Goal::Collect,
            },
            Stage::Collecting { .. } | Stage::Held { .. } => Goal::Collect,
            Stage::Releasing { .. } | Stage::Closed => Goal::Leave,
        }
    }

    fn master_address(&self) -> String {
        self.master()
            .filter(|node| node.attempt == self.attempt)
            .map(|node| node.report.engine_address.clone())
            .unwrap_or_default()
    }

    /// Nodes whose part is in the store; where the results folder is shared, the master holds it all.
    pub(super) fn commit_nodes(&self) -> Vec<NodeId> {
        self.present()
            .filter(|node| node.role == Role::Master || node.private_results)
            .map(|node| node.id.clone())
            .collect()
    }

    fn sync_interval(&self) -> Duration {
        match self.stage {
            Stage::Working { .. } | Stage::Held { .. } => self.spec.timing.sync,
            Stage::Accepted
            | Stage::Arming
            | Stage::Forming { .. }
            | Stage::Collecting { .. }
            | Stage::Releasing { .. }
            | Stage::Closed => self.spec.timing.sync_fast,
        }
    }

    fn saves_results(&self) -> bool {
        match &self.stage {
            Stage::Collecting {
                what: Collection::Salvage { results },
                ..
            } => *results,
            Stage::Accepted
            | Stage::Arming
            | Stage::Forming { .. }
            | Stage::Working { .. }
            | Stage::Collecting { .. }
            | Stage::Held { .. }
            | Stage::Releasing { .. }
            | Stage::Closed => true,
        }
    }
}
