//! From a launch to its receipt.

use std::process::Command;

use mayfly_tests::programs::{must, python};
use mayfly_tests::region::{Region, limit};
use mayfly_tests::{Repo, slots};
use serde_json::json;

#[test]
fn an_example_runs_on_a_fleet_and_nothing_is_left() {
    let _slot = slots::take();
    let (region, repo) = (
        Region::start(&json!({ "pending_secs": 1, "shutting_down_secs": 1 })),
        Repo::of_examples(),
    );
    let mut command = region
        .serve
        .command(&region.home, &["launch", "log-reg-iris", "--on", "aws"]);
    command
        .current_dir(repo.path())
        .args(["--set", "workers.count=3"])
        .args([
            "--set",
            "master.instance=t4g.small",
            "--set",
            "workers.instance=t4g.small",
        ]);
    let ended = region.home.start(&mut command).wait(limit());
    ended.exited(0).said("nothing is left");
    let out = region.home.scratch("out");
    region
        .home
        .verb(&["results", "last", "--to", out.to_str().unwrap()])
        .exited(0);
    let check = repo.path().join("examples/check/check.py");
    let said = must(Command::new(python()).arg(check).arg("log-reg-iris").arg(&out));
    assert!(said.starts_with("OK"), "{said}");
    let receipt = region.receipt();
    assert_eq!(receipt["release"]["machines_started"], 4);
    assert_eq!(receipt["release"]["machines_gone"], 4);
    region.assert_nothing_left();
}
