//! What is promised, and what was seen of it.

use std::collections::BTreeMap;
use std::fmt;

use mayfly_proto::Attempt;

use crate::plan::{Kind, Plan};
use crate::product::coordinator::record::PhaseName;
use crate::product::coordinator::run::Spec;
use crate::time::{MIN, Ms, SEC};

/// Promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Nothing is left running.
    Orphan,
    /// Nothing finished is lost, no run is forgotten, what the record says is true.
    Lost,
    /// Nothing is there twice: commits, fleets, jobs, owners.
    Duplicate,
    /// Nothing healthy is ended.
    FalseKill,
}

/// One that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// How.
    pub what: String,
    /// When.
    pub at: Ms,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, sec) = (self.at / MIN, self.at % MIN / SEC);
        write!(f, "{:?} at {min}:{sec:02}: {}", self.promise, self.what)
    }
}

/// What was seen on the way: for the page of figures.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Machines that were started.
    pub machines: u64,
    /// Attempts that began.
    pub attempts: u64,
    /// Runs with a commit.
    pub commits: u64,
    /// Runs that were closed.
    pub closed: u64,
    /// Agents that died and were followed by another process on their machine.
    pub again: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Whether somebody asked for the end of the run.
    pub cancelled: bool,
    /// The longest that a machine was there after the end of its run, with a coordinator that could do something about it.
    pub worst_release: Ms,
    /// The same after the last coordinator died for ever.
    pub worst_alone: Ms,
    /// The same after the deadline.
    pub worst_deadline: Ms,
    /// The longest that a machine was there whose agent never started.
    pub worst_boot: Ms,
}

impl Seen {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.machines += other.machines;
        self.attempts += other.attempts;
        self.commits += other.commits;
        self.closed += other.closed;
        self.again += other.again;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.worst_release = self.worst_release.max(other.worst_release);
        self.worst_alone = self.worst_alone.max(other.worst_alone);
        self.worst_deadline = self.worst_deadline.max(other.worst_deadline);
        self.worst_boot = self.worst_boot.max(other.worst_boot);
    }
}

/// What is known of the run, and whether a promise was broken.
pub struct Oracle {
    /// The first promise that was broken.
    pub broken: Option<Broken>,
    /// What was seen.
    pub seen: Seen,
    /// Whether a healthy run outlives all faults.
    pub mild: bool,
    /// When the run was made, by a true clock.
    pub created: Option<Ms>,
    /// When its end began, as far as any coordinator knew.
    pub released: Option<Ms>,
    /// Since when no coordinator is there.
    pub alone: Option<Ms>,
    /// When the cloud last did not do as it should.
    pub cloud_trouble: Ms,
    /// Since when there are more machines of a kind than wanted.
    pub crowded: Option<Ms>,
    /// When the machines were last looked at, and the longest time that they were not.
    pub looked: (Ms, Ms),
    /// The highest attempt whose job has begun, and where.
    pub begun: Option<(Attempt, usize)>,
    /// When the job that has begun last showed that it lives, and the longest that it did not.
    pub lived: (Ms, Ms),
    /// The highest attempt of the record.
    pub attempt: Attempt,
    /// Who wrote the record, by their claims, in their order.
    pub writers: Vec<String>,
    /// Whether some coordinator has begun to end the run.
    pub over: bool,
    /// Machines that were told that they are taken away: each may have a substitute.
    pub going: u32,
    /// Whether there was a second coordinator: what it does not know of it refuses, and what it makes before it learns that
    /// the run is another's is left to `gc`.
    pub contested: bool,
    workers: u32,
}

impl Oracle {
    /// For a run of this kind.
    #[must_use]
    pub fn new(plan: &Plan, spec: &Spec) -> Self {
        Self {
            broken: None,
            seen: Seen::default(),
            mild: plan.is_mild(),
            created: None,
            released: None,
            alone: None,
            cloud_trouble: 0,
            crowded: None,
            looked: (0, 0),
            begun: None,
            lived: (0, 0),
            attempt: Attempt::FIRST,
            writers: Vec::new(),
            over: false,
            going: 0,
            contested: false,
            workers: spec.workers,
        }
    }

    /// Whether all is over.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// The first one counts.
    pub fn breaks(&mut self, at: Ms, promise: Promise, what: impl Into<String>) {
        if self.broken.is_none() {
            self.broken = Some(Broken {
                promise,
                what: what.into(),
                at,
            });
        }
    }

    /// A fault happens.
    pub fn fault(&mut self, kind: &Kind) {
        *self.seen.faults.entry(kind.name()).or_default() += 1;
        if matches!(kind, Kind::Spot { .. }) {
            self.going += 1;
        }
        self.contested |= matches!(kind, Kind::Second);
    }

    /// A coordinator is there.
    pub fn coordinator_up(&mut self) {
        self.alone = None;
    }

    /// The last one is gone.
    pub fn coordinators_gone(&mut self, now: Ms) {
        self.alone = Some(now);
    }

    /// The run's end has begun.
    pub fn released(&mut self, at: Ms) {
        self.released.get_or_insert(at);
    }

    /// A coordinator is in this phase.
    pub fn phase(&mut self, now: Ms, attempt: Attempt, phase: PhaseName) {
        self.over |= phase >= PhaseName::Releasing;
        if self.mild && attempt > Attempt::FIRST {
            self.breaks(
                now,
                Promise::FalseKill,
                "an attempt was given up although nothing was wrong with it",
            );
        }
    }

    /// The job's process is started.
    pub fn job_begins(&mut self, now: Ms, attempt: Attempt, machine: usize) {
        if let Some((begun, on)) = self.begun {
            if begun == attempt {
                let what = format!("the job of attempt {attempt} was started on machines {on} and {machine}");
                self.breaks(now, Promise::Duplicate, what);
            } else if begun > attempt {
                let what = format!("the job of attempt {attempt} was started after that of attempt {begun}");
                self.breaks(now, Promise::Duplicate, what);
            }
        }
        self.seen.attempts += 1;
        self.lived = (now, 0);
        self.begun = self.begun.max(Some((attempt, machine)));
    }

    /// The job shows that it lives.
    pub fn lives(&mut self, now: Ms) {
        self.lived = (now, self.longest_stall(now));
    }

    /// The longest time for which the job that has begun showed no sign of life.
    #[must_use]
    pub fn longest_stall(&self, now: Ms) -> Ms {
        let (last, longest) = self.lived;
        longest.max(now.saturating_sub(last))
    }

    /// The most machines that may be there, of those that are alike or of workers.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.workers + self.going
    }
}
