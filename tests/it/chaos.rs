//! A part of `make chaos`: at a few points the process that comes to them dies, and a few other things go wrong.

use std::collections::BTreeMap;

use mayfly_tests::chaos::{Case, Rig, Side, Trouble, all, run};
use mayfly_tests::{programs, slots};

/// Kinds of cases by the beginning of their names, and how many of each every test run tries; all of them are `make chaos`.
const KINDS: [(&str, usize); 10] = [
    ("server", 6),
    ("command", 3),
    ("aws", 2),
    ("on-master", 1),
    ("full-disk", 1),
    ("out-of-memory", 1),
    ("blow", 2),
    ("spark", 1),
    ("store", 2),
    ("cut", 2),
];

/// Those that are chosen from; always the same ones.
fn cases() -> Vec<Case> {
    all(1, 12, 1)
}

fn kind(case: &Case) -> &str {
    case.name.split('/').next().unwrap_or_default()
}

/// Of each kind so many, as far apart as can be, the first and the last of the kind among them.
fn chosen(cases: &[Case]) -> Vec<&Case> {
    let mut chosen = Vec::new();
    for (name, wanted) in KINDS {
        let of_kind: Vec<&Case> = cases.iter().filter(|case| kind(case) == name).collect();
        assert!(of_kind.len() >= wanted, "{name} has {} cases", of_kind.len());
        let last = of_kind.len() - 1;
        chosen.extend((0..wanted).map(|n| of_kind[n * last / (wanted - 1).max(1)]));
    }
    chosen
}

#[test]
fn every_kind_of_case_and_either_side_of_a_point_is_tried() {
    let cases = cases();
    let count = |cases: &[&Case]| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for case in cases {
            *counts.entry(kind(case).to_owned()).or_default() += 1;
        }
        counts
    };
    let (chosen, all) = (chosen(&cases), cases.iter().collect::<Vec<_>>());
    let tried = count(&chosen);
    let expected = KINDS.map(|(kind, wanted)| (kind.to_owned(), wanted));
    assert_eq!(tried, BTreeMap::from(expected));
    assert!(
        count(&all).keys().eq(tried.keys()),
        "a kind is forgotten: {:?}",
        count(&all)
    );
    let on = |wanted: Side| {
        let crashes = chosen.iter();
        crashes
            .filter(|case| matches!(case.trouble, Trouble::Crash(_, side, _) if side == wanted))
            .count()
    };
    let sides = [on(Side::Before), on(Side::After)];
    assert!(
        sides.iter().all(|&tried| tried >= 4),
        "before and after: {sides:?}"
    );
    let page = std::fs::read_to_string(programs::repository().join("docs/reliability.md")).unwrap();
    let told = format!("`cargo test` runs {} of them", chosen.len());
    assert!(page.contains(&told), "docs/reliability.md does not say: {told}");
}

#[test]
fn whoever_dies_at_whatever_step_nothing_is_left_and_nothing_is_lost() {
    let cases = cases();
    let rig = Rig::new();
    let failed: Vec<String> = std::thread::scope(|scope| {
        let tried: Vec<_> = chosen(&cases)
            .into_iter()
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
