//! What follows from the state of a run: what each node shall do, and how large the fleet shall be.

use std::time::Duration;

use mayfly_proto::engine::Peer;
use mayfly_proto::{Attempt, NodeId};

use super::{Cancel, Collection, Node, NodePhase, Role, Run, Stage};

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
    /// What the node is in this attempt.
    pub role: Role,
    /// The workers that are ready, told to a master that is about to start its job where its engine must know them.
    pub workers: Vec<Peer>,
}

/// Machines wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// 0 or 1.
    pub masters: u32,
    /// Workers.
    pub workers: u32,
    /// Those that are alike, in place of both: one of them is the master, the others are workers.
    pub alike: u32,
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
            role: node.map_or(Role::Worker, |node| node.role),
            workers: node.map(|node| self.told_of(node, goal)).unwrap_or_default(),
        }
    }

    /// Who the workers are, for the one report after which the job begins: there may be thousands of them.
    fn told_of(&self, node: &Node, goal: Goal) -> Vec<Peer> {
        let begins = goal == Goal::Work && node.role == Role::Master;
        if !self.spec.names_workers || !begins || node.report.phase != NodePhase::Ready {
            return Vec::new();
        }
        self.ready_workers()
            .map(|worker| Peer {
                name: worker.id.to_string(),
                address: worker.address.clone(),
                cores: worker.cores,
            })
            .collect()
    }

    /// Machines wanted now. A machine that is lost is replaced by its group as long as this does not shrink.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        match self.stage {
            Stage::Forming { .. } | Stage::Working { .. } => self.whole_fleet(),
            // Nobody new can help any more; those that are there are kept.
            Stage::Collecting { .. } | Stage::Held { .. } => self.fleet_of_now(),
            // The first attempt has no machine before its killer is armed; a later one keeps those it has.
            Stage::Arming if self.attempt > Attempt::FIRST => self.whole_fleet(),
            Stage::Arming | Stage::Accepted | Stage::Releasing { .. } | Stage::Closed => Wanted::default(),
        }
    }

    /// A worker whose machine is being taken away is replaced while it is still there. A master is not: two of one
    /// attempt would be one too many.
    fn whole_fleet(&self) -> Wanted {
        let going = self.workers().filter(|node| node.is_going()).count();
        let going = u32::try_from(going).unwrap_or(u32::MAX);
        let workers = self.spec.workers.saturating_add(going);
        if self.spec.alike {
            return Wanted {
                alike: workers.saturating_add(1),
                ..Wanted::default()
            };
        }
        Wanted {
            masters: 1,
            workers,
            alike: 0,
        }
    }

    /// Never more than the whole fleet: one that is gone and not yet seen gone may be counted beside its replacement.
    fn fleet_of_now(&self) -> Wanted {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let whole = self.whole_fleet();
        if self.spec.alike {
            return Wanted {
                alike: count(self.present().count()).min(whole.alike),
                ..Wanted::default()
            };
        }
        Wanted {
            masters: u32::from(self.master().is_some()),
            workers: count(self.workers().count()).min(whole.workers),
            alike: 0,
        }
    }

    /// Nodes whose machines are to be ended, so that others take their place: a lost master, once its attempt has been given
    /// up, since nothing that it does counts any more; of the others those that are silent for so long that a node that only
    /// could not reach us has ended itself. What hangs does not.
    #[must_use]
    pub fn condemned(&self, now: Duration) -> Vec<NodeId> {
        let limit = self.spec.timing.lost_after + self.spec.timing.lease;
        let over = |node: &Node| node.role == Role::Master && node.attempt < self.attempt;
        let silent = |node: &Node| now.saturating_sub(node.heard) > limit;
        self.nodes
            .values()
            .filter(|node| node.lost && node.gone_at.is_none() && (over(node) || silent(node)))
            .map(|node| node.id.clone())
            .collect()
    }

    fn goal(&self, node: &Node) -> Goal {
        // Of an attempt that is being given up nothing begins any more.
        let drives = self.giving_up.is_none() && self.master().is_some_and(|master| master.id == node.id);
        match &self.stage {
            Stage::Accepted | Stage::Arming | Stage::Forming { .. } => Goal::Form,
            Stage::Working { recorded: false, .. } => Goal::Form,
            // It waits for the next attempt.
            Stage::Working { .. } if node.role == Role::Master && !drives => Goal::Form,
            Stage::Working { .. } => Goal::Work,
            Stage::Collecting {
                what: Collection::Commit { committing: true, .. },
                ..
            } if drives => Goal::Commit,
            Stage::Collecting { .. } | Stage::Held { .. } => Goal::Collect,
            // A group would start another machine in place of each that ends by itself.
            Stage::Releasing { .. } | Stage::Closed if !self.spec.timing.nodes_leave => Goal::Collect,
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
            Stage::Working { recorded: true, .. } | Stage::Held { .. } => self.spec.timing.sync,
            Stage::Working { recorded: false, .. }
            | Stage::Accepted
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
