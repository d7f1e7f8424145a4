//! The same request twice is one run; different ones in one home do not disturb each other.

use mayfly_tests::procs::{self, Kind};
use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Repo, slots};

#[test]
fn the_same_request_twice_at_once_is_one_run() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("same", &home, &repo, "holds.py");
    let flags = ["--request-id", "only-once"];
    let mut both = [home.launch_with(&job, &flags), home.launch_with(&job, &flags)];
    mayfly_tests::wait::until("the job", secs(180), || home.heard("holds"));
    let [id] = &home.runs()[..] else {
        panic!("one run, not {:?}", home.runs())
    };
    let run = home.run(id);
    let drivers = procs::of(&run.id)
        .into_iter()
        .filter(|p| p.kind == Kind::Driver)
        .count();
    assert_eq!(drivers, 1, "the job runs {drivers} times");
    home.tell("go");
    let ended = both.each_mut().map(|launch| launch.wait(secs(90)));
    // One of them runs it; the other one follows it, or names it and leaves.
    let succeeded = ended.iter().filter(|ended| ended.code == Some(0)).count();
    assert!(succeeded >= 1, "{ended:#?}");
    for other in ended.iter().filter(|ended| ended.code != Some(0)) {
        other.exited(2).said(run.id.as_str());
    }
    let receipt = run.assert_closed("succeeded");
    assert_eq!(
        (&receipt["attempts"], &receipt["release"]["machines_started"]),
        (&1.into(), &2.into())
    );
    // Once more, when it is over: the same run, which nothing is started for.
    let again = home.launch_with(&job, &flags).wait(secs(60));
    assert!(
        again.stderr.contains(run.id.as_str()) || again.stdout.contains(run.id.as_str()),
        "{again:#?}"
    );
    assert_eq!(home.runs().len(), 1);
    assert_eq!(run.receipt(), receipt, "the receipt of a closed run has changed");
}

#[test]
fn two_commands_with_one_home() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let jobs = ["left", "right"].map(|name| {
        let gate = home.scratch(name);
        std::fs::create_dir(&gate).unwrap();
        (
            Job::new(name, &repo.url(), "holds.py").set("env", serde_json::json!({ "GATE": gate })),
            gate,
        )
    });
    let mut launches = jobs.each_ref().map(|(job, _)| home.launch(job));
    for (_, gate) in &jobs {
        mayfly_tests::wait::until("both jobs", secs(180), || std::fs::read(gate.join("holds")).ok());
    }
    // Both work at the same time, on different addresses.
    let mut addresses = Vec::new();
    for id in home.runs() {
        let node = std::fs::read(home.run(&id).node("master-1").join("node.json")).unwrap();
        let node: serde_json::Value = serde_json::from_slice(&node).unwrap();
        addresses.push(node["address"].as_str().unwrap().to_owned());
    }
    assert!(
        addresses.len() == 2 && addresses[0] != addresses[1],
        "{addresses:?}"
    );
    for (_, gate) in &jobs {
        std::fs::write(gate.join("go"), "").unwrap();
    }
    for launch in &mut launches {
        launch.wait(secs(90)).exited(0).said("nothing is left");
    }
    for id in home.runs() {
        home.run(&id).assert_closed("succeeded");
    }
}
