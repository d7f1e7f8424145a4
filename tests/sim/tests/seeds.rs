//! Ten thousand worlds, those that once broke a promise, and that a world is always the same.

use std::rc::Rc;

use mayfly_sim::many::{Until, many};
use mayfly_sim::plan::Plan;
use mayfly_sim::simulate;

/// Seeds of every test run; `make simulate` runs as many others as one likes.
const SEEDS: u64 = 10_000;
/// Worlds in which the product once broke a promise, or would without what mended it.
const REGRESSIONS: &[u64] = &[
    122,    // a job without workers was given up for want of them
    361,    // a newcomer took the place of a lost master
    371,    // a job began while its attempt was being given up
    498,    // a coordinator that had stood still took that for silence
    1_235,  // a job that was ended by another coordinator was called failed
    3_296,  // a machine that no listing had shown was not waited for
    6_484,  // groups were armed again after they had been deleted
    9_362,  // a held run over its budget was held for ever
    10_226, // a commit was written as its run was given up for its deadline
    27_074, // the same
    36_418, // the same
    16_114, // a job began before the record said so, and again
    44_175, // the same
    19_117, // a worker first heard of when results were collected was lost, and its part with it
    45_774, // a run was taken over after its end, and a machine started
    48_396, // the same
    15_196, // the same, of a run whose end was known
    276,    // a master that was given up committed after the next attempt had begun
    19_655, // results that were uploaded over the budget were taken for a broken promise
    29_567, // as 19,907
    44_431, // as 36,293
    19_907, // a coordinator that looked before there was a run was taken for one that knew of it
    36_293, // what AWS says of when a machine was told to end was not in the model
    40_210, // a machine that nobody ever saw was missed in the receipt
];

#[test]
fn every_promise_is_kept_in_many_worlds() {
    let (failed, seen) = many(0, SEEDS, None, Until::All);
    let failed: Vec<String> = failed
        .iter()
        .map(|one| format!("seed {}: {}", one.seed, one.broken))
        .collect();
    assert!(
        failed.is_empty(),
        "`make simulate` shows what happened:\n{}",
        failed.join("\n")
    );
    assert!(
        seen.closed > SEEDS / 2 && seen.commits > SEEDS / 4,
        "the worlds are too hard on runs: {seen:?}"
    );
}

#[test]
fn what_failed_once_does_not_fail_again() {
    for &seed in REGRESSIONS {
        let ending = simulate(seed, &Rc::new(Plan::of(seed)), false);
        assert_eq!(
            ending.broken.map(|broken| broken.to_string()),
            None,
            "seed {seed}"
        );
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 0..20 {
        let trace = || simulate(seed, &Rc::new(Plan::of(seed)), true).trace;
        assert!(trace() == trace(), "seed {seed} has two traces");
    }
}
