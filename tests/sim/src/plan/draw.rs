//! What is drawn.

use super::recipes::{RECIPES, Recipe};
use super::{Fault, Job, JobEnding, Kind, Life, Setup, Site};
use crate::chance::Chance;
use crate::time::{MIN, Ms, SEC};

/// Faults happen until then at the latest; those that last end soon after.
const FAULTS_UNTIL: Ms = 20 * MIN;

/// The run that is asked for.
pub(super) fn setup(chance: &mut Chance) -> Setup {
    let site = match chance.below(10) {
        0..=6 => Site::Aws,
        7..=8 => Site::Server,
        _ => Site::Command,
    };
    let workers = u32::try_from(chance.below(5)).unwrap_or(0);
    let small = |chance: &mut Chance, n: u32| u32::try_from(chance.below(n as usize + 1)).unwrap_or(0);
    let deadline = chance.between(8 * MIN, 26 * MIN);
    let skew = |chance: &mut Chance| i64::try_from(chance.between(0, 40 * SEC)).unwrap_or(0) - 20_000;
    Setup {
        site,
        alike: site == Site::Server && chance.percent(40),
        coordinators: if site == Site::Command { 1 } else { 2 },
        workers,
        min_workers: if chance.percent(60) {
            workers
        } else {
            small(chance, workers)
        },
        retries: small(chance, 2),
        deadline,
        stall: 0,
        form: chance.between(4 * MIN, 7 * MIN),
        hold: if chance.percent(15) {
            chance.between(MIN, 5 * MIN)
        } else {
            0
        },
        cents: if chance.percent(10) {
            chance.between(1, 40)
        } else {
            10_000
        },
        job: job(chance, deadline),
        skew: vec![skew(chance), skew(chance)],
        comes_back: site != Site::Command && chance.percent(80),
    }
}

fn job(chance: &mut Chance, deadline: Ms) -> Job {
    let parts = u32::try_from(chance.between(1, 12)).unwrap_or(1);
    let whole = if chance.percent(50) {
        chance.between(5 * SEC, 2 * MIN)
    } else {
        chance.between(30 * SEC, deadline)
    };
    let end = match chance.below(20) {
        0..=13 => JobEnding::Well,
        14..=16 => JobEnding::Code(3, u32::try_from(chance.below(parts as usize)).unwrap_or(0)),
        17..=18 => JobEnding::Never,
        _ => JobEnding::Unprepared,
    };
    Job {
        parts,
        part: (whole / Ms::from(parts)).max(100),
        end,
        stubborn: chance.percent(20),
        prepare: chance.between(SEC, 40 * SEC),
        life: Life::Speaks,
    }
}

/// Drawn last: so it is of no influence on all else that a seed makes.
pub(super) fn life(chance: &mut Chance, setup: &mut Setup) {
    setup.job.life = match chance.below(3) {
        0 => Life::Speaks,
        1 => Life::Computes,
        _ => Life::WorkerComputes,
    };
    if chance.percent(60) {
        setup.stall = chance.between(MIN, 5 * MIN);
    }
}

/// A few kinds of faults, a few times each: what does not happen leaves room for what does.
pub(super) fn faults(chance: &mut Chance, setup: &Setup, mild: bool) -> Vec<Fault> {
    let aws = setup.site == Site::Aws;
    let fits = |recipe: &&Recipe| recipe.aws.is_none_or(|of_aws| of_aws == aws) && (recipe.mild || !mild);
    let mut kinds: Vec<&Recipe> = RECIPES.iter().filter(fits).collect();
    let wanted = chance.below(8);
    let mut faults = Vec::new();
    for _ in 0..wanted {
        let recipe = kinds.swap_remove(chance.below(kinds.len()));
        if recipe.name == "cancel" && chance.percent(60) {
            continue;
        }
        for _ in 0..=chance.below(if mild { 2 } else { 4 }) {
            let at = when(chance);
            let kind = (recipe.draw)(chance, mild);
            faults.push(Fault {
                at,
                kind: without_return(kind, setup),
            });
        }
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// A run is at its most delicate while it forms and ends: half of all faults come early.
fn when(chance: &mut Chance) -> Ms {
    let until = match chance.below(4) {
        0 => 30 * SEC,
        1 => 4 * MIN,
        _ => FAULTS_UNTIL,
    };
    chance.between(0, until)
}

/// Where nobody starts a coordinator again, it stays dead.
fn without_return(kind: Kind, setup: &Setup) -> Kind {
    match kind {
        Kind::Kill { who, .. } if !setup.comes_back => Kind::Kill { who, back: None },
        Kind::Crash { after, .. } if !setup.comes_back => Kind::Crash { after, back: None },
        Kind::Kill { who, back: None } => Kind::Kill {
            who,
            back: Some(3 * MIN),
        },
        Kind::Crash { after, back: None } => Kind::Crash {
            after,
            back: Some(3 * MIN),
        },
        other => other,
    }
}
