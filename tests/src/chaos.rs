//! Whole runs in which one thing goes wrong, and what is promised of each: nothing is left running, nothing finished is
//! lost.
//!
//! * [`Case`]: what goes wrong. [`all`]: all cases of a seed, those that end a process at each [`Point`] first.
//! * `scene`: what it takes for a run to come to each point; `stage`: the real programs; `judge`: the promises.

mod aws;
mod judge;
mod local;
mod network;
mod rig;
mod scene;
mod weather;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use mayfly_kit::crash::Point;

use crate::Chance;

pub use rig::Rig;
pub use scene::{Act, Scene, Stage, scenes};
pub use weather::Weather;

/// On which side of a step the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Just before it.
    Before,
    /// Just after it.
    After,
}

impl Side {
    /// As [`mayfly_kit::crash::AT`] has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// A process of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The coordinator that serves.
    Coordinator,
    /// The agent of this node.
    Agent(&'static str),
    /// What keeps a program of this node.
    Keeper(&'static str),
    /// The engine's daemon on this node.
    Engine(&'static str),
    /// The job itself.
    Job,
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT after so long.
    Freeze(Duration),
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A process ends itself at a point.
    Crash(Point, Side, Stage),
    /// A process is killed, or stands still, so long after the run's record was made.
    Blow(Whom, Blow, Duration),
    /// The disk of one node is full.
    FullDisk,
    /// The job takes more memory than its cgroup has.
    OutOfMemory,
    /// The store is not well, so long after the run's record was made, for so long.
    Store(Weather, Duration, Duration),
    /// One node reaches neither coordinator nor store, so long after the run's record was made; for so long, or ever again.
    Cut(&'static str, Duration, Option<Duration>),
}

/// One run in which something goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it is called on the command line.
    pub name: String,
    /// What goes wrong.
    pub trouble: Trouble,
    /// Whether the engine is the real Spark, or stands in for it.
    pub spark: bool,
}

/// How a case went.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Which.
    pub case: Case,
    /// How the run ended; or which promise was broken.
    pub result: Result<Seen, String>,
    /// How long it took.
    pub took: Duration,
}

/// What was seen of a run.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// How it ended; empty where there was no run.
    pub outcome: String,
    /// Its attempts.
    pub attempts: u64,
    /// Coordinators it took.
    pub lives: u32,
    /// From the end of the last command to the end of the last process.
    pub gone: Duration,
    /// What cannot be tried on this machine, and why.
    pub skipped: Option<String>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// All cases of this seed: each point on each side, `blows` random ones with a light job, `spark` with real Spark, a store
/// that is not well and a node that is cut off each a quarter as often as there are blows, and what a full disk and a small
/// cgroup do.
#[must_use]
pub fn all(seed: u64, blows: u64, spark: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    for &point in Point::ALL {
        for scene in scenes(point) {
            for side in [Side::Before, Side::After] {
                cases.push(Case {
                    name: format!("{}/{}/{}", scene.stage.name(), point.name(), side.name()),
                    trouble: Trouble::Crash(point, side, scene.stage),
                    spark: false,
                });
            }
        }
    }
    for (name, trouble) in [
        ("full-disk", Trouble::FullDisk),
        ("out-of-memory", Trouble::OutOfMemory),
    ] {
        cases.push(Case {
            name: name.to_owned(),
            trouble,
            spark: false,
        });
    }
    cases.extend((0..blows).map(|number| blow(seed, number, false)));
    cases.extend((0..spark).map(|number| blow(seed, number, true)));
    cases.extend((0..blows / 4).map(|number| store(seed, number)));
    cases.extend((0..blows / 4).map(|number| cut(seed, number)));
    cases
}

fn blow(seed: u64, number: u64, spark: bool) -> Case {
    let mut chance = Chance::new(seed ^ (number << 1 | u64::from(spark)));
    let nodes = ["master-1", "worker-1"];
    let node = nodes[chance.below(2)];
    let whom = match chance.below(8) {
        0..=1 => Whom::Coordinator,
        2..=3 => Whom::Agent(node),
        4 => Whom::Keeper(node),
        5..=6 => Whom::Engine(node),
        _ => Whom::Job,
    };
    let what = match chance.below(3) {
        0..=1 => Blow::Kill,
        _ => Blow::Freeze(Duration::from_millis(500 + chance.below(12_000) as u64)),
    };
    let reach = if spark { 25_000 } else { 3_500 };
    let after = Duration::from_millis(chance.below(reach) as u64);
    Case {
        name: format!("{}/{seed}-{number}", if spark { "spark" } else { "blow" }),
        trouble: Trouble::Blow(whom, what, after),
        spark,
    }
}

fn store(seed: u64, number: u64) -> Case {
    let mut chance = Chance::new(!seed ^ number);
    let weather = [Weather::Silent, Weather::Broken, Weather::Busy][chance.below(3)];
    let after = Duration::from_millis(chance.below(3_500) as u64);
    let lasts = Duration::from_millis(500 + chance.below(20_000) as u64);
    Case {
        name: format!("store/{seed}-{number}"),
        trouble: Trouble::Store(weather, after, lasts),
        spark: false,
    }
}

fn cut(seed: u64, number: u64) -> Case {
    let mut chance = Chance::new(seed.rotate_left(17) ^ number);
    let node = ["master-1", "worker-1"][chance.below(2)];
    let after = Duration::from_millis(chance.below(3_500) as u64);
    let lasts = (chance.below(4) > 0).then(|| Duration::from_millis(500 + chance.below(20_000) as u64));
    Case {
        name: format!("cut/{seed}-{number}"),
        trouble: Trouble::Cut(node, after, lasts),
        spark: false,
    }
}

/// Runs a case. A rig that cannot go on says so as a broken promise does.
#[must_use]
pub fn run(rig: &Rig, case: &Case) -> Verdict {
    let began = Instant::now();
    let tried = AssertUnwindSafe(|| match &case.trouble {
        Trouble::Crash(point, side, stage) => match stage {
            Stage::Server | Stage::Command => local::crash(rig, *point, *side, *stage),
            Stage::Aws | Stage::OnMaster => aws::crash(rig, *point, *side, *stage),
        },
        Trouble::Blow(whom, what, after) => local::blow(rig, *whom, *what, *after, case.spark),
        Trouble::FullDisk => local::full_disk(rig),
        Trouble::OutOfMemory => local::out_of_memory(rig),
        Trouble::Store(weather, after, lasts) => network::store(rig, *weather, *after, *lasts),
        Trouble::Cut(node, after, lasts) => network::cut(rig, node, *after, *lasts),
    });
    let result = catch_unwind(tried).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap_or(&"a panic")).to_owned())
    });
    Verdict {
        case: case.clone(),
        result,
        took: began.elapsed(),
    }
}
