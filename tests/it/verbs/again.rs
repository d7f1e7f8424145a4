//! The same launch once more, when its run is over: its end is shown, and nothing is started.

use mayfly_tests::wait::secs;
use mayfly_tests::{Ended, Home, Job, Launch, Repo, Serve, slots};
use serde_json::Value;

const FLAGS: [&str; 2] = ["--request-id", "only-once"];

/// Ends with exit code 3, and has printed a line.
fn job(home: &Home, repo: &Repo) -> Job {
    home.tell("tell-0-1");
    home.tell("end");
    Job::at_gate("once", home, repo, "tells.py").args(&["1", "1", "3"])
}

/// The end of a run that has been over for a while.
#[track_caller]
fn assert_shown(again: &Ended, run: &str) {
    again
        .exited(1)
        .said(&format!("{run} is over"))
        .said("✗ job-failed")
        .said("exit code 3")
        .said("nothing is left at");
    assert!(!again.stderr.contains("lost"), "{}", again.stderr);
}

#[test]
fn a_server_that_was_started_again_shows_how_the_run_ended() {
    let _slot = slots::take();
    let (server, ann, repo) = (Home::light(), Home::new(), Repo::of_jobs());
    let mut serve = Serve::start(&server);
    let job = job(&server, &repo);
    let launch = |serve: &Serve, flags: &[&str]| -> Launch { serve.launch(&ann, &job, flags) };
    let first = launch(&serve, &FLAGS).wait(secs(90));
    first.exited(1);
    let [id] = &server.runs()[..] else {
        panic!("{:?}", server.runs())
    };
    let run = server.run(id);
    let receipt = run.assert_closed("job-failed");
    // It still knows the run: the output comes too.
    let again = launch(&serve, &FLAGS).wait(secs(60));
    again.exited(1).said("nothing is left at");
    assert_eq!(again.stdout, first.stdout);
    // It does not any more: the store has it.
    serve.again(&server);
    assert_shown(&launch(&serve, &FLAGS).wait(secs(60)), id.as_str());
    let as_json = launch(&serve, &[&FLAGS[..], &["--json"]].concat()).wait(secs(60));
    let last: Value = serde_json::from_str(as_json.exited(1).stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["event"], &last["receipt"]["run"]),
        (&"receipt".into(), &id.as_str().into()),
        "{last:#}"
    );
    let detached = launch(&serve, &[&FLAGS[..], &["--detach"]].concat()).wait(secs(60));
    assert_eq!(detached.exited(0).stdout.trim(), id.as_str());
    assert_eq!(
        (run.receipt(), server.runs().len()),
        (receipt, 1),
        "something was done again"
    );
    // Another command is another run.
    launch(&serve, &[]).wait(secs(90)).exited(1);
    assert_eq!(server.runs().len(), 2);
}

#[test]
fn a_command_with_its_own_coordinator_does_so_too() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = job(&home, &repo);
    home.launch_with(&job, &FLAGS).wait(secs(90)).exited(1);
    let [id] = &home.runs()[..] else {
        panic!("{:?}", home.runs())
    };
    let receipt = home.run(id).assert_closed("job-failed");
    assert_shown(&home.launch_with(&job, &FLAGS).wait(secs(60)), id.as_str());
    assert_eq!((home.run(id).receipt(), home.runs().len()), (receipt, 1));
}
