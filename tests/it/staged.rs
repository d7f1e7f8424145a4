//! Inputs as they come: how far they are is told while the fleet forms, and what the store has damaged is not given to a job.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Repo, slots};
use serde_json::{Value, json};

/// More than one request brings.
const SIZE: usize = 40_000_000;

#[test]
fn inputs_are_told_as_they_come_and_are_what_was_stored() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let large = home.scratch("large");
    fs::write(&large, vec![b'x'; SIZE]).unwrap();
    home.verb(&["data", "put", large.to_str().unwrap(), "in/large"])
        .exited(0);
    home.tell("go");
    let job = Job::at_gate("staged", &home, &repo, "light.py")
        .args(&[""])
        .set("inputs", json!([{ "from": "data/in", "to": "in" }]));

    let ended = home.launch_with(&job, &["--json"]).wait(secs(120));
    let events = ended.exited(0).stdout.lines();
    let views = events.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told: Vec<Value> = views
        .filter_map(|view| Some(view["nodes"].as_array()?.clone()))
        .flatten()
        .map(|node| node["inputs"].clone())
        .filter(Value::is_object)
        .collect();
    let whole = json!({ "files": 1, "bytes": SIZE, "files_total": 1, "bytes_total": SIZE, "whole": true });
    assert!(told.contains(&whole), "{told:#?}");

    damage(&home.path().join("store/mayfly/data/in/large"));
    let ended = home.launch(&job).wait(secs(120));
    ended
        .exited(3)
        .said("data/in/large")
        .said("its bytes are not those of its checksum");
}

/// Another byte, as a disk changes it: the store is not told.
fn damage(stored: &Path) {
    let file = File::options().write(true).open(stored).unwrap();
    let written = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(b"y", SIZE as u64 - 1).unwrap();
    file.set_modified(written).unwrap();
}
