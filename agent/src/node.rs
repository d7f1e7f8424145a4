//! The node's life as a pure state machine: facts and wishes go in, effects come out. No clock, no I/O.
//!
//! ```text
//!            goal FORM                goal WORK            goal COLLECT            goal COMMIT
//! Waiting ──────────▶ Forming ─────────────────▶ (job) ──▶ Stopping ─▶ Collecting ─▶ Collected ─▶ Committing ─▶ Committed
//!    ▲                  prepare, engine          master only                                      master only
//!    │ a higher attempt: stop everything, set the old results aside, begin again
//!    └────────────────────────────────────────────────────────────────────────
//! Forming, (job) ── the machine is about to be taken away ──▶ Stopping (master): what is there is uploaded at once
//! any ── goal LEAVE, lease or deadline passed ──▶ Leaving (stop) ──▶ Parting (last logs) ──▶ Gone
//!                                                    └─▶ Salvaging ──┘ where nobody has asked for the results, and the disk
//!                                                        goes with the machine
//! ```
//!
//! Where nodes are alike (`Auto`), a node prepares and takes part in the election ([`Node::standing_for`]) until the
//! coordinator says what it is in the attempt; then it is as if it had always been that.
//!
//! Goals are ordered and level-triggered: a node that is further than told stays where it is, and telling it the same
//! twice does nothing. Every report from a piece of work carries its attempt; those of an older one have no effect.

mod learn;
mod pursue;
mod report;
#[cfg(test)]
mod tests;

use std::time::Duration;

use mayfly_kit::records::StepEntry;
use mayfly_proto::engine::Peer;
use mayfly_proto::{Attempt, NodeId};
use serde::{Deserialize, Serialize};

/// How long a machine that is left alone uploads what its job wrote, from the end of its lease on. With the lease before and
/// the last logs after it, such a machine is gone long before ten minutes are over.
pub const SALVAGE_MAX: Duration = Duration::from_secs(120);

/// What the node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Drives the job.
    Master,
    /// Serves the master.
    Worker,
    /// One of nodes that are alike: in each attempt the coordinator says which of the two it is.
    Auto,
}

/// How far the node shall go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Goal {
    /// Prepare and run the engine.
    Form,
    /// The master may start the job.
    Work,
    /// Stop and upload.
    Collect,
    /// The master commits.
    Commit,
    /// Stop and go.
    Leave,
}

/// The whole of what the coordinator wants, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The attempt it is about.
    pub attempt: Attempt,
    /// How far to go.
    pub goal: Goal,
    /// Where the engine's master is; empty while unknown.
    pub master_address: String,
    /// Nodes whose manifests are committed.
    pub commit_nodes: Vec<NodeId>,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// From the moment the report was sent.
    pub lease: Duration,
    /// From the moment the report was sent.
    pub deadline: Duration,
    /// Whether results are wanted, or only logs.
    pub save_results: bool,
    /// What a node of [`Role::Auto`] is in this attempt; that itself while it is not decided.
    pub role: Role,
    /// The workers that are ready, told to a master that is about to start its job where its engine must know them.
    pub workers: Vec<Peer>,
}

/// Whose doing a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The job's own.
    Job,
    /// Ours or the machine's.
    Infra,
}

/// Why the node cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whose doing it is.
    pub blame: Blame,
    /// One sentence.
    pub message: String,
}

/// How the job's process ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEnd {
    /// Set when it ended by itself.
    pub exit_code: Option<i32>,
    /// Set when a signal ended it.
    pub signal: Option<i32>,
    /// One sentence, when it did not succeed.
    pub cause: String,
    /// Last lines of its output.
    pub last_lines: Vec<String>,
    /// The agent ended it because it was told to.
    pub stopped: bool,
    /// How each step ended, where the job is several.
    pub steps: Vec<StepEntry>,
}

/// What a process of the agent that follows a dead one has to save in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsaved {
    /// The attempt that it is of.
    pub attempt: Attempt,
    /// How the job ended, where it ran.
    pub end: Option<JobEnd>,
}

/// A fact. Those that carry an attempt come from work that was begun for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The coordinator answered a report that was sent at `asked` (since boot).
    Desired {
        /// When the report was sent.
        asked: Duration,
        /// The answer.
        desired: Desired,
    },
    /// Consul names the engine's master of this attempt. Used while the coordinator has named none.
    Found(Attempt, String),
    /// Consul gave this node the lock of the attempt's master.
    Locked(Attempt),
    /// Code and requirements are in place.
    Prepared(Attempt),
    /// The engine runs.
    EngineReady(Attempt),
    /// The engine stopped and is being restarted.
    EngineLost(Attempt),
    /// The job's process ended by whatever cause.
    JobExited(Attempt, JobEnd),
    /// Preparation, engine, job, upload or commit failed for good.
    Failed(Attempt, Failure),
    /// No process of the attempt is left.
    Stopped(Attempt),
    /// Results, logs and manifest are in the store.
    Uploaded(Attempt),
    /// The commit is in the store and it is ours.
    Committed(Attempt),
    /// The last logs are in the store, or their time is up.
    Farewell,
    /// The machine is about to be taken away.
    Interrupted,
    /// A signal asks the program to end.
    Signal,
    /// Time has passed.
    Tick,
}

/// Something to do. The driver runs it and answers with an [`Event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Clone, install requirements.
    Prepare(Attempt),
    /// Run the engine, in place of one that runs with another master; the address is empty for the master's own.
    StartEngine(Attempt, String),
    /// Run the job.
    StartJob(Attempt),
    /// Let the engine move what this worker holds to others, and give it nothing new.
    Decommission(Attempt),
    /// End whatever runs for the attempt; again with less grace when there is hurry.
    Stop(Attempt, Duration),
    /// Move the results of a given-up attempt aside.
    SetAside(Attempt),
    /// Upload; a running upload of the attempt is dropped first.
    Collect(Attempt, What),
    /// Write the commit.
    WriteCommit(Attempt, Vec<NodeId>, JobEnd),
    /// Upload the last logs in the time that is left.
    Farewell,
    /// End the program.
    Exit(Why),
}

/// What is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Results, events and logs.
    All,
    /// Events and logs.
    LogsOnly,
}

/// Why the node goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The coordinator said so.
    Told,
    /// No word from the coordinator for too long.
    LeaseExpired,
    /// The run's time is up.
    DeadlinePassed,
    /// A signal asked for it.
    Signal,
}

/// Where the node stands within its attempt. `ended` is set once nothing of the attempt runs any more.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// Nothing was asked of it yet.
    Waiting,
    /// Preparation and engine are on their way, or done; then the job.
    Forming {
        prepared: bool,
        engine: Engine,
        decommissioned: bool,
    },
    /// The job and the engine are being ended.
    Stopping {
        grace: Duration,
        ended: bool,
    },
    Collecting(What),
    Collected,
    Committing,
    Committed,
    /// Upload or commit failed for good.
    Stuck,
    /// A higher attempt is wanted; this one is being ended.
    Resetting {
        ended: bool,
    },
    Leaving {
        why: Why,
        ended: bool,
        /// Results are uploaded before the node goes, until then, since boot.
        save_until: Option<Duration>,
    },
    /// Nobody waits for the results any more; they are uploaded for whoever comes later, done or not until then.
    Salvaging {
        why: Why,
        until: Duration,
    },
    /// Only the last logs are left to do.
    Parting {
        why: Why,
        done: bool,
    },
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    None,
    Starting,
    Running,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Job {
    None,
    Running,
    Ended(JobEnd),
}

/// The node. Everything it knows, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    role: Role,
    /// `None` until the first answer; while an older attempt is being ended, still that one.
    attempt: Option<Attempt>,
    stage: Stage,
    job: Job,
    failure: Option<Failure>,
    wish: Option<Desired>,
    /// Where the engine's master is, as Consul says.
    found: Option<(Attempt, String)>,
    /// The attempt whose master's lock it has taken in Consul.
    locked: Option<Attempt>,
    /// What the engine was started as.
    started_as: Role,
    /// The master's address that the engine was started with.
    master: String,
    /// Whether the machine is about to be taken away.
    interrupted: bool,
    /// When the latest report that was answered had been sent.
    answered: Option<Duration>,
    lease_until: Duration,
    deadline_at: Option<Duration>,
    /// How long results are uploaded after the lease; zero where they stay on the disk.
    salvage: Duration,
}

impl Node {
    /// A node that has just enrolled and may live until `lease_until` (since boot) without an answer.
    #[must_use]
    pub fn new(role: Role, lease_until: Duration) -> Self {
        Self {
            role,
            attempt: None,
            stage: Stage::Waiting,
            job: Job::None,
            failure: None,
            wish: None,
            found: None,
            locked: None,
            started_as: role,
            master: String::new(),
            interrupted: false,
            answered: None,
            lease_until,
            deadline_at: None,
            salvage: Duration::ZERO,
        }
    }

    /// The same, and gone by then (since boot), unless the coordinator says otherwise.
    #[must_use]
    pub fn until(self, deadline: Option<Duration>) -> Self {
        Self {
            deadline_at: deadline,
            ..self
        }
    }

    /// The same, on a machine whose disk goes with it: what the job wrote is uploaded for that long when the lease or the
    /// deadline has passed.
    #[must_use]
    pub fn salvaging(self, salvage: Duration) -> Self {
        Self { salvage, ..self }
    }

    /// The same in place of a process that has died and left this to be saved: nothing of its attempt runs any more.
    #[must_use]
    pub fn again(self, unsaved: Unsaved) -> Self {
        Self {
            attempt: Some(unsaved.attempt),
            stage: Stage::Stopping {
                grace: Duration::ZERO,
                ended: true,
            },
            job: unsaved.end.map_or(Job::None, Job::Ended),
            ..self
        }
    }

    /// When the node goes on by itself if nothing happens, since boot.
    #[must_use]
    pub fn wakes_at(&self) -> Duration {
        match self.stage {
            Stage::Leaving {
                save_until: Some(until),
                ..
            }
            | Stage::Salvaging { until, .. } => until,
            _ => self
                .deadline_at
                .map_or(self.lease_until, |deadline| deadline.min(self.lease_until)),
        }
    }

    /// Until when it may live without another answer, since boot.
    #[must_use]
    pub fn lease_until(&self) -> Duration {
        self.lease_until
    }

    /// When the run ends, whatever happens, since boot; `None` while nobody has said.
    #[must_use]
    pub fn deadline_at(&self) -> Option<Duration> {
        self.deadline_at
    }

    /// One step. `now` is the time since boot.
    #[must_use]
    pub fn step(mut self, now: Duration, event: Event) -> (Self, Vec<Effect>) {
        let signal = event == Event::Signal;
        self.learn(event);
        let mut effects = Vec::new();
        if !self.is_leaving() {
            if signal {
                self.leave(Why::Signal, Duration::ZERO, &mut effects);
            } else if self.deadline_at.is_some_and(|deadline| now >= deadline) {
                self.leave_alone(now, Why::DeadlinePassed, &mut effects);
            } else if now >= self.lease_until {
                self.leave_alone(now, Why::LeaseExpired, &mut effects);
            }
        }
        if let Stage::Salvaging { why, until } = self.stage
            && now >= until
        {
            self.say_farewell(why, &mut effects);
        }
        self.pursue(&mut effects);
        (self, effects)
    }

    fn is_leaving(&self) -> bool {
        matches!(
            self.stage,
            Stage::Leaving { .. } | Stage::Salvaging { .. } | Stage::Parting { .. } | Stage::Gone
        )
    }

    fn is_now(&self, attempt: Attempt) -> bool {
        self.attempt == Some(attempt)
    }
}
