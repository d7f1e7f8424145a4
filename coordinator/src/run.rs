//! The state machine of one run: no I/O, no clock, no randomness.
//!
//! ```text
//! accepted → arming → forming → working → collecting → releasing → closed
//!              ↑_________|_________|__________|  next attempt, after a loss that was not the job's doing
//! ```
//!
//! One task owns a [`Run`], feeds it [`Event`]s and carries out the [`Effect`]s. What each node shall do is not sent as
//! commands: it is a projection of the state ([`Run::desired`]), so that a lost or repeated message does no harm. The
//! wanted size of the fleet is a projection too ([`Run::wanted`]).

mod adopt;
mod collecting;
mod desired;
mod elect;
mod ending;
mod forming;
mod heard;
mod limits;
mod losses;
mod node;
mod overdue;
mod report;
mod retry;
mod stall;
mod steps;
#[cfg(test)]
mod tests;
mod working;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mayfly_proto::{Attempt, NodeId};
use serde::{Deserialize, Serialize};

pub use adopt::Past;
pub use desired::{Desired, Goal, Wanted};
pub use node::Node;
pub use report::{Failure, FailureKind, JobEnd, NodePhase, Report};
pub use stall::NO_SIGN;

pub use crate::record::Role;
use crate::record::{Ended, Outcome, PhaseName};

/// What does not change while a run lasts. Times are from the run's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Workers wanted.
    pub workers: u32,
    /// Workers that suffice to begin.
    pub min_workers: u32,
    /// Whether all nodes are alike: each attempt chooses its master among them.
    pub alike: bool,
    /// Whether the workers that say they are ready count, because the engine does not count them.
    pub counts_nodes: bool,
    /// Whether the master must know where the workers are when its job starts.
    pub names_workers: bool,
    /// End of the run, whatever happens.
    pub deadline: Duration,
    /// Longest time that its job may show no sign of life, if there is a limit.
    pub stall: Option<Duration>,
    /// Longest time to form.
    pub form: Duration,
    /// Further attempts after a loss that was not the job's doing.
    pub retries: u32,
    /// How long a failed run is held for a look before its release; zero for not at all.
    pub hold: Duration,
    /// The intervals of the protocol.
    pub timing: Timing,
}

/// Intervals that the coordinator sets; the cloud chooses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// Between two reports of a node while the job works.
    pub sync: Duration,
    /// The same while the fleet forms or is collected, when a person waits.
    pub sync_fast: Duration,
    /// Silence after which people are told of it.
    pub silent_after: Duration,
    /// Silence after which a node counts as lost: longer where a network may be parted for a while.
    pub lost_after: Duration,
    /// How long a node lives without an answer.
    pub lease: Duration,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// How long a run that did not end by itself may take to save what there is.
    pub salvage: Duration,
    /// How long a run may last beyond its deadline to finish the upload of a job that ended before it.
    pub overtime: Duration,
    /// How long a job may go on with no worker left.
    pub without_workers: Duration,
    /// Whether nodes end by themselves when the run is over; not where their group ends them, and replaces those that do.
    pub nodes_leave: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The record is in the store.
    Recorded,
    /// The record of this attempt is durable and the fleet's killer is in place.
    Armed(Attempt),
    /// The cloud refused for good; nothing will come up.
    CloudFailed(String),
    /// The record says that this attempt works: its job may begin.
    Begun(Attempt),
    /// A node introduced itself.
    Enrolled(Node),
    /// A node's report on an attempt.
    Reported(NodeId, Attempt, Box<Report>),
    /// Something keeps machines from coming, in words for people.
    Troubled(String),
    /// A machine that had a node is gone.
    MachineGone(NodeId),
    /// Somebody wants the run to end.
    CancelAsked(Cancel),
    /// The deadline was moved to this time from the run's start.
    Extended(Duration),
    /// What the store holds as the commit of this run; without one its attempt cannot commit any more.
    CommitRead(Option<Commit>),
    /// No machine of the run is left.
    FleetGone,
    /// The receipt is in the store, which held this as the run's commit when no machine was left.
    ReceiptWritten(Option<Commit>),
    /// The budget is used up, but for what it takes to save what there is.
    OverBudget(String),
    /// Time passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make the record as it is now durable.
    Save,
    /// Make the record durable, put the killer in place, then say [`Event::Armed`].
    Arm(Attempt),
    /// Make the record durable, then say [`Event::Begun`]: whoever takes the run over must know that its job has begun.
    Begin(Attempt),
    /// Look for a commit, give the attempt up in the store if there is none, and say [`Event::CommitRead`].
    ReadCommit,
    /// Write the receipt, then say [`Event::ReceiptWritten`].
    WriteReceipt,
}

type Effects = Vec<Effect>;

/// How urgently a run is cancelled. Ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cancel {
    /// TERM, grace, save logs and results.
    Graceful,
    /// KILL now, save logs only.
    Fast,
}

/// A commit found in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The attempt that made it.
    pub attempt: Attempt,
    /// The job's own exit code; `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// What the job's end was called when it was committed.
    pub cause: String,
}

impl From<Commit> for JobEnd {
    fn from(commit: Commit) -> Self {
        Self {
            exit_code: commit.exit_code,
            cause: commit.cause,
            ..Self::default()
        }
    }
}

/// Why an attempt is being collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collection {
    /// The job ended by itself: its results are to be committed.
    Commit {
        /// How it ended.
        end: JobEnd,
        /// Whether every node's part is in and the master may write the commit.
        committing: bool,
    },
    /// Something else ended the run: what there is is saved, and nothing committed.
    Salvage {
        /// Whether results are wanted too, or only logs.
        results: bool,
    },
}

/// Where a run is; what is only true there is kept there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The record is being made.
    Accepted,
    /// The killer is being put in place.
    Arming,
    /// Nodes come up.
    Forming {
        /// When the attempt began to form.
        since: Duration,
    },
    /// The job runs.
    Working {
        /// Whether the record says so: before that, it does not begin.
        recorded: bool,
        /// Since when no worker has been there.
        no_workers_since: Option<Duration>,
    },
    /// What nodes hold is being uploaded.
    Collecting {
        /// When it began.
        since: Duration,
        /// What for.
        what: Collection,
    },
    /// A failed run waits for somebody to look at it.
    Held {
        /// When it is released.
        until: Duration,
    },
    /// Machines are being given back.
    Releasing {
        /// Whether the last look found none.
        gone: bool,
    },
    /// No machine is left.
    Closed,
}

/// When a phase of an attempt began, from the run's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The phase.
    pub phase: PhaseName,
    /// The attempt.
    pub attempt: Attempt,
    /// From the run's start.
    pub at: Duration,
}

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What was asked for.
    pub spec: Spec,
    /// The attempt of now.
    pub attempt: Attempt,
    /// Where it is.
    pub stage: Stage,
    /// Every node that ever enrolled.
    pub nodes: BTreeMap<NodeId, Node>,
    /// Phases so far, in order.
    pub marks: Vec<Mark>,
    /// How it ended, once that is known.
    pub ended: Option<Ended>,
    /// What a person should know: losses, retries.
    pub notices: Vec<String>,
    /// The most urgent cancel so far.
    cancel: Option<Cancel>,
    /// Nodes of whose silence people were told.
    silent: BTreeSet<NodeId>,
    /// Why the master of this attempt was given up, while the store is asked for its commit.
    giving_up: Option<String>,
    /// Nodes that tell what they do, and since when nothing of it was a sign of life.
    quiet: BTreeMap<NodeId, stall::Quiet>,
    /// Whether people were told that its release takes too long.
    overdue: bool,
    /// When the last event was taken.
    attended: Duration,
}

/// Time passes by itself many times in this; whoever takes no event for longer stood still, and heard nobody.
const ATTENTIVE: Duration = Duration::from_secs(2);

/// Notices kept; older ones are in the log.
const NOTICES_MAX: usize = 20;

impl Run {
    /// A run whose record is about to be made.
    #[must_use]
    pub fn new(spec: Spec) -> Self {
        let mark = Mark {
            phase: PhaseName::Accepted,
            attempt: Attempt::FIRST,
            at: Duration::ZERO,
        };
        Self {
            spec,
            attempt: Attempt::FIRST,
            stage: Stage::Accepted,
            nodes: BTreeMap::new(),
            marks: vec![mark],
            ended: None,
            notices: Vec::new(),
            cancel: None,
            silent: BTreeSet::new(),
            giving_up: None,
            quiet: BTreeMap::new(),
            overdue: false,
            attended: Duration::ZERO,
        }
    }

    /// Takes one event.
    #[must_use]
    pub fn step(mut self, now: Duration, event: Event) -> (Self, Vec<Effect>) {
        let mut effects = Vec::new();
        self.attend(now);
        self.take(now, event, &mut effects);
        self.advance(now, &mut effects);
        (self, effects)
    }

    /// Time in which nobody listened is no silence of the nodes: the process was stopped, or its machine asleep.
    fn attend(&mut self, now: Duration) {
        let deaf = now.saturating_sub(self.attended);
        if deaf > ATTENTIVE {
            for node in self.nodes.values_mut() {
                node.heard = (node.heard + deaf).min(now);
            }
        }
        self.attended = now;
    }

    /// How the job's process ended, while its results are being collected.
    #[must_use]
    pub fn job_end(&self) -> Option<&JobEnd> {
        match &self.stage {
            Stage::Collecting {
                what: Collection::Commit { end, .. },
                ..
            } => Some(end),
            _ => None,
        }
    }

    /// Until when it is held for a look, from its start, if it is.
    #[must_use]
    pub fn held_until(&self) -> Option<Duration> {
        match self.stage {
            Stage::Held { until } => Some(until.min(self.spec.deadline)),
            Stage::Accepted
            | Stage::Arming
            | Stage::Forming { .. }
            | Stage::Working { .. }
            | Stage::Collecting { .. }
            | Stage::Releasing { .. }
            | Stage::Closed => None,
        }
    }

    /// The phase of now, as people know it.
    #[must_use]
    pub fn phase(&self) -> PhaseName {
        match self.stage {
            Stage::Accepted => PhaseName::Accepted,
            Stage::Arming => PhaseName::Arming,
            Stage::Forming { .. } => PhaseName::Forming,
            Stage::Working { .. } => PhaseName::Working,
            Stage::Collecting { .. } | Stage::Held { .. } => PhaseName::Collecting,
            Stage::Releasing { .. } => PhaseName::Releasing,
            Stage::Closed => PhaseName::Closed,
        }
    }

    /// The master of this attempt, while it is there: of two, one of which was started in place of the other before anybody
    /// knew that it is gone, the elder one.
    #[must_use]
    pub fn master(&self) -> Option<&Node> {
        let masters = self.present().filter(|node| node.role == Role::Master);
        masters.min_by_key(|node| node.since)
    }

    /// Whether this is a second master, which waits for the next attempt.
    fn is_spare(&self, id: &NodeId) -> bool {
        let is_master = self.nodes.get(id).is_some_and(|node| node.role == Role::Master);
        is_master && self.master().is_some_and(|master| master.id != *id)
    }

    /// Nodes that take part now.
    pub fn present(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| node.is_present())
    }

    fn workers(&self) -> impl Iterator<Item = &Node> {
        self.present().filter(|node| node.role == Role::Worker)
    }

    fn enter(&mut self, now: Duration, stage: Stage, effects: &mut Vec<Effect>) {
        let before = self.phase();
        self.stage = stage;
        let phase = self.phase();
        if phase != before || phase == PhaseName::Arming {
            self.marks.push(Mark {
                phase,
                attempt: self.attempt,
                at: now,
            });
        }
        effects.push(Effect::Save);
    }

    fn notice(&mut self, text: String) {
        if self.notices.len() == NOTICES_MAX {
            self.notices.remove(0);
        }
        self.notices.push(text);
    }

    /// Fixes the outcome: the first one stands.
    fn end(&mut self, outcome: Outcome, reason: impl Into<String>, job: Option<&JobEnd>) {
        if self.ended.is_none() {
            self.ended = Some(Ended {
                outcome,
                reason: reason.into(),
                exit_code: job.and_then(|job| job.exit_code),
                last_lines: job.map(|job| job.last_lines.clone()).unwrap_or_default(),
            });
        }
    }
}
