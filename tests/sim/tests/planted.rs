//! Every planted bug is found within its budget of seeds: a simulation that finds none proves nothing.

use mayfly_sim::many::{Until, many};
use mayfly_sim::planted::{BUGS, all};

/// Whether one of these seeds finds the bug.
fn found(number: usize, from: u64, count: u64) -> bool {
    !many(from, count, Some(number), Until::Found).0.is_empty()
}

#[test]
fn every_planted_bug_is_found() {
    assert!(all().count() >= 30, "a few bugs prove little");
    let survivors: Vec<&str> = all()
        .filter(|&number| {
            let bug = &BUGS[number];
            assert!(
                bug.seed < bug.budget,
                "{} is looked for beyond its budget",
                bug.name
            );
            !found(number, bug.seed, 1) && !found(number, 0, bug.budget)
        })
        .map(|number| BUGS[number].name)
        .collect();
    assert_eq!(survivors, Vec::<&str>::new(), "mend the simulation, not the bug");
}
