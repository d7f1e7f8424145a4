//! What a seed makes of the world: the run that is asked for, and every fault that will happen.

mod draw;
mod recipes;

use std::fmt;
use std::time::Duration;

use crate::chance::Chance;
use crate::time::{MIN, Ms, SEC};

/// Everything that is drawn beforehand.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is asked for, and where.
    pub setup: Setup,
    /// What goes wrong, by time.
    pub faults: Vec<Fault>,
}

/// Which cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// Auto Scaling groups, and a coordinator that serves.
    Aws,
    /// Processes of one machine, and a coordinator that serves.
    Server,
    /// Processes of one machine, and a coordinator in a command.
    Command,
}

/// What is asked for, and where.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Which cloud.
    pub site: Site,
    /// Whether nodes are alike and elect their master.
    pub alike: bool,
    /// Coordinators that there may be at the same time.
    pub coordinators: usize,
    /// Workers.
    pub workers: u32,
    /// Workers that suffice.
    pub min_workers: u32,
    /// Further attempts.
    pub retries: u32,
    /// End of the run, from its start.
    pub deadline: Ms,
    /// Longest time that its job may show no sign of life; 0 for none.
    pub stall: Ms,
    /// Longest time to form.
    pub form: Ms,
    /// How long a failed run is held.
    pub hold: Ms,
    /// What it may cost, in cents.
    pub cents: u64,
    /// The job.
    pub job: Job,
    /// How far each coordinator's clock is ahead of the true one, in milliseconds.
    pub skew: Vec<i64>,
    /// Whether there is a coordinator again after every death.
    pub comes_back: bool,
}

/// The job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Parts of its results.
    pub parts: u32,
    /// How long each part takes.
    pub part: Ms,
    /// How it ends.
    pub end: JobEnding,
    /// Whether TERM does not end it.
    pub stubborn: bool,
    /// How long it takes to prepare a node for it.
    pub prepare: Ms,
    /// By what it is seen that it lives.
    pub life: Life,
}

/// By what it is seen that a job lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It writes a line now and then.
    Speaks,
    /// Its own process computes, and says nothing.
    Computes,
    /// One of its workers computes, and all others wait for that.
    WorkerComputes,
}

/// How a job ends that nobody disturbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEnding {
    /// With all parts written.
    Well,
    /// With this exit code, after so many parts.
    Code(i32, u32),
    /// Never: it hangs once all parts are written.
    Never,
    /// It cannot be prepared.
    Unprepared,
}

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub at: Ms,
    /// What.
    pub kind: Kind,
}

/// What goes wrong. Nodes are named by a number that is taken modulo those that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A coordinator dies and is started again after a while, if at all.
    Kill {
        /// Which coordinator.
        who: usize,
        /// When another one comes.
        back: Option<Ms>,
    },
    /// The same, right before or after something that it asks of the world takes effect.
    Crash {
        /// Whether it takes effect.
        after: bool,
        /// When another one comes.
        back: Option<Ms>,
    },
    /// A coordinator stands still.
    Pause {
        /// Which coordinator.
        who: usize,
        /// For how long.
        lasts: Ms,
    },
    /// Another coordinator is started beside the one that is there.
    Second,
    /// A coordinator's clock is set.
    Clock {
        /// Which coordinator.
        who: usize,
        /// How much.
        by: i64,
    },
    /// The store does not answer.
    StoreDown {
        /// For how long.
        lasts: Ms,
    },
    /// Some requests to the store fail.
    StoreFails {
        /// For how long.
        lasts: Ms,
        /// How many of a hundred.
        percent: u32,
    },
    /// Some replies of the store are lost.
    StoreLoses {
        /// For how long.
        lasts: Ms,
        /// How many of a hundred.
        percent: u32,
    },
    /// The store is slow.
    StoreSlow {
        /// For how long.
        lasts: Ms,
        /// How much.
        by: Ms,
    },
    /// AWS does not answer.
    CloudDown {
        /// For how long.
        lasts: Ms,
    },
    /// Some requests to AWS are throttled.
    CloudThrottles {
        /// For how long.
        lasts: Ms,
        /// How many of a hundred.
        percent: u32,
    },
    /// Some replies of AWS are lost.
    CloudLoses {
        /// For how long.
        lasts: Ms,
        /// How many of a hundred.
        percent: u32,
    },
    /// Listings of machines are so old.
    Lag {
        /// For how long.
        lasts: Ms,
        /// How much.
        by: Ms,
    },
    /// Listings lack some machines.
    Flap {
        /// For how long.
        lasts: Ms,
        /// How many of a hundred.
        percent: u32,
    },
    /// To end machines has no effect.
    Deaf {
        /// For how long.
        lasts: Ms,
    },
    /// Scheduled actions are late.
    LateLease {
        /// How much.
        by: Ms,
    },
    /// A zone has so many machines left.
    Capacity {
        /// Which.
        zone: usize,
        /// Machines.
        left: u32,
        /// For how long.
        lasts: Ms,
    },
    /// The account may not have more machines.
    Quota {
        /// For how long.
        lasts: Ms,
    },
    /// Messages between nodes and coordinators are lost.
    NetLoses {
        /// For how long.
        lasts: Ms,
        /// How many of a hundred.
        percent: u32,
    },
    /// They are slow, and overtake each other.
    NetSlow {
        /// For how long.
        lasts: Ms,
        /// How much.
        by: Ms,
    },
    /// They come twice.
    NetTwice {
        /// For how long.
        lasts: Ms,
        /// How many of a hundred.
        percent: u32,
    },
    /// A node is cut off from coordinators, in one direction or both.
    Cut {
        /// Which.
        node: usize,
        /// What it says.
        up: bool,
        /// What it is told.
        down: bool,
        /// For how long.
        lasts: Ms,
    },
    /// The same for all nodes.
    CutAll {
        /// What it says.
        up: bool,
        /// What it is told.
        down: bool,
        /// For how long.
        lasts: Ms,
    },
    /// A node is cut off from the store.
    CutStore {
        /// Which.
        node: usize,
        /// For how long.
        lasts: Ms,
    },
    /// A machine is no more.
    Die {
        /// Which.
        node: usize,
    },
    /// An agent dies.
    AgentDies {
        /// Which.
        node: usize,
    },
    /// An agent stands still.
    Freeze {
        /// Which.
        node: usize,
        /// For how long.
        lasts: Ms,
    },
    /// A machine does nothing any more, and does not end by itself.
    Hang {
        /// Which.
        node: usize,
    },
    /// Machines that are started do not come up.
    BadBoot {
        /// For how long.
        lasts: Ms,
        /// Nor do their timers work.
        hung: bool,
    },
    /// Machines are slow to boot.
    SlowBoot {
        /// For how long.
        lasts: Ms,
        /// How much.
        by: Ms,
    },
    /// A machine is taken away in two minutes.
    Spot {
        /// Which.
        node: usize,
    },
    /// Consul is away.
    ConsulDown {
        /// For how long.
        lasts: Ms,
    },
    /// Consul has forgotten its locks.
    ConsulWiped,
    /// Somebody wants the run to end.
    Cancel {
        /// At once.
        fast: bool,
    },
    /// The same request comes again.
    LaunchAgain {
        /// Which coordinator.
        who: usize,
    },
    /// Somebody looks for what is left over, with a clock that is so much ahead.
    Gc {
        /// Its clock, ahead by so many milliseconds.
        skew: i64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, sec) = (self.at / MIN, self.at % MIN / SEC);
        write!(f, "{min:3}:{sec:02}.{:03} {:?}", self.at % SEC, self.kind)
    }
}

impl Kind {
    /// Its name among the kinds of faults.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::Crash { .. } => "crash",
            Self::Pause { .. } => "pause",
            Self::Second => "second",
            Self::Clock { .. } => "clock",
            Self::StoreDown { .. } => "store-down",
            Self::StoreFails { .. } => "store-fails",
            Self::StoreLoses { .. } => "store-loses",
            Self::StoreSlow { .. } => "store-slow",
            Self::CloudDown { .. } => "cloud-down",
            Self::CloudThrottles { .. } => "cloud-throttles",
            Self::CloudLoses { .. } => "cloud-loses",
            Self::Lag { .. } => "lag",
            Self::Flap { .. } => "flap",
            Self::Deaf { .. } => "deaf",
            Self::LateLease { .. } => "late-lease",
            Self::Capacity { .. } => "capacity",
            Self::Quota { .. } => "quota",
            Self::NetLoses { .. } => "net-loses",
            Self::NetSlow { .. } => "net-slow",
            Self::NetTwice { .. } => "net-twice",
            Self::Cut { .. } => "cut",
            Self::CutAll { .. } => "cut-all",
            Self::CutStore { .. } => "cut-store",
            Self::Die { .. } => "die",
            Self::AgentDies { .. } => "agent-dies",
            Self::Freeze { .. } => "freeze",
            Self::Hang { .. } => "hang",
            Self::BadBoot { .. } => "bad-boot",
            Self::SlowBoot { .. } => "slow-boot",
            Self::Spot { .. } => "spot",
            Self::ConsulDown { .. } => "consul-down",
            Self::ConsulWiped => "consul-wiped",
            Self::Cancel { .. } => "cancel",
            Self::LaunchAgain { .. } => "launch-again",
            Self::Gc { .. } => "gc",
        }
    }
}

impl Kind {
    /// For how long it disturbs.
    #[must_use]
    pub fn lasts(&self) -> Ms {
        match self {
            Self::Kill { back, .. } | Self::Crash { back, .. } => back.unwrap_or(0),
            Self::Pause { lasts, .. }
            | Self::StoreDown { lasts }
            | Self::StoreFails { lasts, .. }
            | Self::StoreLoses { lasts, .. }
            | Self::StoreSlow { lasts, .. }
            | Self::CloudDown { lasts }
            | Self::CloudThrottles { lasts, .. }
            | Self::CloudLoses { lasts, .. }
            | Self::Lag { lasts, .. }
            | Self::Flap { lasts, .. }
            | Self::Deaf { lasts }
            | Self::Capacity { lasts, .. }
            | Self::Quota { lasts }
            | Self::NetLoses { lasts, .. }
            | Self::NetSlow { lasts, .. }
            | Self::NetTwice { lasts, .. }
            | Self::Cut { lasts, .. }
            | Self::CutAll { lasts, .. }
            | Self::CutStore { lasts, .. }
            | Self::Freeze { lasts, .. }
            | Self::BadBoot { lasts, .. }
            | Self::SlowBoot { lasts, .. }
            | Self::ConsulDown { lasts } => *lasts,
            Self::Second
            | Self::Clock { .. }
            | Self::LateLease { .. }
            | Self::Die { .. }
            | Self::AgentDies { .. }
            | Self::Hang { .. }
            | Self::Spot { .. }
            | Self::ConsulWiped
            | Self::Cancel { .. }
            | Self::LaunchAgain { .. }
            | Self::Gc { .. } => 0,
        }
    }
}

impl Plan {
    /// Until when what has begun by now disturbs.
    #[must_use]
    pub fn disturbed_until(&self, now: Ms) -> Ms {
        let begun = self.faults.iter().filter(|fault| fault.at <= now);
        begun
            .map(|fault| fault.at + fault.kind.lasts())
            .max()
            .unwrap_or(0)
    }

    /// What this seed makes.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mild = chance.percent(35);
        let mut setup = draw::setup(&mut chance);
        let faults = draw::faults(&mut chance, &setup, mild);
        draw::life(&mut chance, &mut setup);
        Self { setup, faults }
    }

    /// Whether a healthy run outlives all of it, so that its end must be the job's own.
    #[must_use]
    pub fn is_mild(&self) -> bool {
        let mut standstill = 0;
        for fault in &self.faults {
            let recipe = recipes::RECIPES
                .iter()
                .find(|recipe| recipe.name == fault.kind.name());
            if recipe.is_none_or(|recipe| !recipe.mild) {
                return false;
            }
            standstill += match fault.kind {
                Kind::Kill { back, .. } | Kind::Crash { back, .. } => match back {
                    Some(back) => back + 10 * SEC,
                    None => return false,
                },
                Kind::Pause { lasts, .. }
                | Kind::StoreDown { lasts }
                | Kind::StoreSlow { lasts, .. }
                | Kind::CloudDown { lasts }
                | Kind::Cut { lasts, .. }
                | Kind::CutAll { lasts, .. }
                | Kind::CutStore { lasts, .. }
                | Kind::Freeze { lasts, .. } => lasts,
                // Nodes of one machine speak over no network.
                Kind::NetLoses { percent, .. } if percent > 10 || self.setup.site != Site::Aws => {
                    return false;
                }
                Kind::StoreFails { lasts, percent }
                | Kind::StoreLoses { lasts, percent }
                | Kind::CloudThrottles { lasts, percent }
                | Kind::CloudLoses { lasts, percent }
                    if percent > 30 =>
                {
                    lasts
                }
                _ => 0,
            };
            let longest = match fault.kind {
                Kind::Pause { lasts, .. }
                | Kind::Cut { lasts, .. }
                | Kind::CutAll { lasts, .. }
                | Kind::Freeze { lasts, .. } => lasts,
                _ => 0,
            };
            // On one machine nothing is cut off for long.
            let most = if self.setup.site == Site::Aws {
                30 * SEC
            } else {
                5 * SEC
            };
            let lasting = matches!(
                fault.kind,
                Kind::Cut { .. } | Kind::CutAll { .. } | Kind::Freeze { .. }
            );
            if lasting && longest > most {
                return false;
            }
        }
        self.setup.comes_back && standstill <= 90 * SEC
    }
}

/// As the product counts.
#[must_use]
pub fn secs(ms: Ms) -> Duration {
    Duration::from_secs(ms / SEC)
}
