//! Every kind of fault, and how bad it is.

use super::Kind;
use crate::chance::Chance;
use crate::time::{MIN, Ms, SEC};

/// A kind of fault that may be drawn: whether a healthy run outlives it, on which cloud it happens, and what it is.
pub(super) struct Recipe {
    pub(super) name: &'static str,
    pub(super) mild: bool,
    pub(super) aws: Option<bool>,
    pub(super) draw: fn(&mut Chance, bool) -> Kind,
}

const fn recipe(
    name: &'static str,
    mild: bool,
    aws: Option<bool>,
    draw: fn(&mut Chance, bool) -> Kind,
) -> Recipe {
    Recipe {
        name,
        mild,
        aws,
        draw,
    }
}

/// A duration: short where the world is mild.
fn lasts(chance: &mut Chance, mild: bool) -> Ms {
    if mild {
        chance.between(SEC, 30 * SEC)
    } else if chance.percent(30) {
        chance.between(MIN, 6 * MIN)
    } else {
        chance.between(SEC, 2 * MIN)
    }
}

fn rate(chance: &mut Chance, mild: bool) -> u32 {
    let top = if mild { 30 } else { 90 };
    u32::try_from(chance.between(2, top)).unwrap_or(2)
}

fn node(chance: &mut Chance) -> usize {
    chance.below(64)
}

fn back(chance: &mut Chance, mild: bool) -> Option<Ms> {
    if mild {
        Some(chance.between(SEC, 20 * SEC))
    } else if chance.percent(20) {
        None
    } else {
        Some(chance.between(SEC, 4 * MIN))
    }
}

/// One way or the other, or both.
fn ways(chance: &mut Chance) -> (bool, bool) {
    match chance.below(3) {
        0 => (true, false),
        1 => (false, true),
        _ => (true, true),
    }
}

/// All of them.
pub(super) const RECIPES: &[Recipe] = &[
    recipe("kill", true, None, |c, m| Kind::Kill {
        who: c.below(2),
        back: back(c, m),
    }),
    recipe("crash", true, None, |c, m| Kind::Crash {
        after: c.percent(50),
        back: back(c, m),
    }),
    recipe("pause", true, None, |c, m| Kind::Pause {
        who: c.below(2),
        lasts: lasts(c, m),
    }),
    recipe("second", false, Some(true), |_, _| Kind::Second),
    recipe("clock", true, None, |c, _| {
        let by = i64::try_from(c.between(0, 40)).unwrap_or(0) - 20;
        Kind::Clock {
            who: c.below(2),
            by: by * 1_000,
        }
    }),
    recipe("store-down", true, None, |c, m| Kind::StoreDown {
        lasts: lasts(c, m),
    }),
    recipe("store-fails", true, None, |c, m| Kind::StoreFails {
        lasts: lasts(c, m) * 2,
        percent: rate(c, m),
    }),
    recipe("store-loses", true, None, |c, m| Kind::StoreLoses {
        lasts: lasts(c, m) * 2,
        percent: rate(c, m),
    }),
    recipe("store-slow", true, None, |c, m| Kind::StoreSlow {
        lasts: lasts(c, m),
        by: c.between(100, 5 * SEC),
    }),
    recipe("cloud-down", true, Some(true), |c, m| Kind::CloudDown {
        lasts: lasts(c, m),
    }),
    recipe("cloud-throttles", true, Some(true), |c, m| Kind::CloudThrottles {
        lasts: lasts(c, m) * 2,
        percent: rate(c, m),
    }),
    recipe("cloud-loses", true, Some(true), |c, m| Kind::CloudLoses {
        lasts: lasts(c, m) * 2,
        percent: rate(c, m),
    }),
    recipe("lag", true, Some(true), |c, m| Kind::Lag {
        lasts: lasts(c, m) * 2,
        by: c.between(SEC, 30 * SEC),
    }),
    recipe("flap", true, Some(true), |c, m| Kind::Flap {
        lasts: lasts(c, m) * 2,
        percent: rate(c, m),
    }),
    recipe("deaf", true, Some(true), |c, m| Kind::Deaf { lasts: lasts(c, m) }),
    recipe("late-lease", true, Some(true), |c, _| Kind::LateLease {
        by: c.between(SEC, 30 * SEC),
    }),
    recipe("capacity", false, Some(true), |c, m| Kind::Capacity {
        zone: c.below(3),
        left: u32::try_from(c.below(3)).unwrap_or(0),
        lasts: lasts(c, m) * 2,
    }),
    recipe("quota", false, Some(true), |c, m| Kind::Quota {
        lasts: lasts(c, m),
    }),
    recipe("net-loses", true, None, |c, m| Kind::NetLoses {
        lasts: lasts(c, m),
        percent: rate(c, m),
    }),
    recipe("net-slow", true, None, |c, m| Kind::NetSlow {
        lasts: lasts(c, m) * 2,
        by: c.between(50, 3 * SEC),
    }),
    recipe("net-twice", true, None, |c, m| Kind::NetTwice {
        lasts: lasts(c, m) * 2,
        percent: rate(c, m),
    }),
    recipe("cut", true, None, |c, m| {
        let (up, down) = ways(c);
        Kind::Cut {
            node: node(c),
            up,
            down,
            lasts: lasts(c, m),
        }
    }),
    recipe("cut-all", true, None, |c, m| {
        let (up, down) = ways(c);
        Kind::CutAll {
            up,
            down,
            lasts: lasts(c, m),
        }
    }),
    recipe("cut-store", true, None, |c, m| Kind::CutStore {
        node: node(c),
        lasts: lasts(c, m),
    }),
    recipe("die", false, None, |c, _| Kind::Die { node: node(c) }),
    recipe("agent-dies", false, None, |c, _| Kind::AgentDies {
        node: node(c),
    }),
    recipe("freeze", true, None, |c, m| Kind::Freeze {
        node: node(c),
        lasts: lasts(c, m),
    }),
    recipe("hang", false, None, |c, _| Kind::Hang { node: node(c) }),
    recipe("bad-boot", false, Some(true), |c, m| Kind::BadBoot {
        lasts: lasts(c, m),
        hung: c.percent(30),
    }),
    recipe("slow-boot", false, Some(true), |c, m| Kind::SlowBoot {
        lasts: lasts(c, m),
        by: c.between(10 * SEC, 4 * MIN),
    }),
    recipe("spot", false, Some(true), |c, _| Kind::Spot { node: node(c) }),
    recipe("consul-down", true, Some(false), |c, m| Kind::ConsulDown {
        lasts: lasts(c, m),
    }),
    recipe("consul-wiped", true, Some(false), |_, _| Kind::ConsulWiped),
    recipe("cancel", true, None, |c, _| Kind::Cancel { fast: c.percent(30) }),
    recipe("launch-again", true, None, |c, _| Kind::LaunchAgain {
        who: c.below(2),
    }),
    recipe("gc", true, Some(true), |c, _| {
        let by = i64::try_from(c.between(0, 120)).unwrap_or(0) - 60;
        Kind::Gc { skew: by * 1_000 }
    }),
];
