//! A part of `make chaos`: at a few points the process that comes to them dies.

use mayfly_tests::chaos::{Case, Rig, all, run};
use mayfly_tests::slots;

/// Cases of every test run.
const CASES: usize = 13;

#[test]
fn whoever_dies_at_whatever_step_nothing_is_left_and_nothing_is_lost() {
    let local = |case: &Case| {
        ["server/", "command/", "blow/", "store/", "cut/"]
            .iter()
            .any(|kind| case.name.starts_with(kind))
    };
    let cases: Vec<Case> = all(1, 12, 0).into_iter().filter(local).collect();
    let step = cases.len().div_ceil(CASES);
    let rig = Rig::new();
    let failed: Vec<String> = std::thread::scope(|scope| {
        let tried: Vec<_> = cases
            .iter()
            .step_by(step)
            .map(|case| {
                let rig = &rig;
                scope.spawn(move || {
                    let _slot = slots::take();
                    let verdict = run(rig, case);
                    verdict.result.err().map(|why| format!("{case}: {why}"))
                })
            })
            .collect();
        tried
            .into_iter()
            .filter_map(|one| one.join().expect("no panic leaves a case"))
            .collect()
    });
    assert!(
        failed.is_empty(),
        "`target/debug/chaos CASE` repeats one:\n{}",
        failed.join("\n")
    );
}
