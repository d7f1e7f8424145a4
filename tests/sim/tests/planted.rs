//! Every planted bug is found within its budget of seeds: a simulation that finds none proves nothing.

use mayfly_sim::many::{Until, many};
use mayfly_sim::planted::{BUGS, all};

#[test]
fn every_planted_bug_is_found() {
    assert!(all().count() >= 30, "a few bugs prove little");
    let survivors: Vec<&str> = all()
        .filter(|&number| {
            many(0, BUGS[number].budget, Some(number), Until::Found)
                .0
                .is_empty()
        })
        .map(|number| BUGS[number].name)
        .collect();
    assert_eq!(survivors, Vec::<&str>::new(), "mend the simulation, not the bug");
}
