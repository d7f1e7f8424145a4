//! Ctrl-C once, twice, three times.

use std::time::Duration;

use mayfly_tests::procs;
use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Launch, Repo, Run, slots};
use nix::sys::signal::Signal;

fn holding<'h>(home: &'h Home, repo: &Repo) -> (Launch, Run<'h>) {
    let job = Job::at_gate("held", home, repo, "holds.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(120), || home.heard("holds"));
    (launch, run)
}

/// Presses Ctrl-C and waits for the answer.
fn press(launch: &mut Launch, answer: &str) {
    launch.signal(Signal::SIGINT);
    wait_for(launch, answer);
}

fn wait_for(launch: &mut Launch, answer: &str) {
    let err = |launch: &Launch| launch.stderr().contains(answer).then_some(());
    mayfly_tests::wait::until(&format!("{answer:?}"), secs(5), || err(launch));
}

#[test]
fn once_cancels_and_saves() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let (mut launch, run) = holding(&home, &repo);
    press(&mut launch, "cancelling");
    let ended = launch.wait(secs(60));
    ended.exited(130).said("nothing is left").said("cancelled");
    run.assert_closed("cancelled");
    assert_eq!(run.commit(), None);
    let (receipt, record) = (run.receipt(), run.record().unwrap());
    let fleet = record["job"]["workers"]["count"].as_u64().unwrap() + 1;
    assert_eq!(
        receipt["release"]["machines_started"], fleet,
        "what leaves is not replaced: {receipt:#}"
    );
    // Results and logs of a cancelled job are saved.
    assert!(run.stored(1).contains_key("part.txt"), "{:?}", run.stored(1));
    assert!(
        run.output(&[]).contains("holding in attempt 1"),
        "{}",
        run.output(&[])
    );
}

#[test]
fn once_while_the_fleet_forms() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("unformed", &home, &repo, "holds.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    run.wait_phase(&mut launch, "forming");
    launch.signal(Signal::SIGINT);
    launch
        .wait(secs(60))
        .exited(130)
        .said("cancelled")
        .said("nothing is left");
    run.assert_closed("cancelled");
    assert_eq!(home.heard("holds"), None, "the job was started");
}

#[test]
fn twice_is_faster() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let (mut launch, run) = holding(&home, &repo);
    press(&mut launch, "cancelling");
    press(&mut launch, "cancelling now");
    let ended = launch.wait(secs(60));
    ended.exited(130).said("nothing is left");
    run.assert_closed("cancelled");
    assert!(
        run.output(&[]).contains("holding in attempt 1"),
        "{}",
        run.output(&[])
    );
}

#[test]
fn three_times_exits_at_once() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let (mut launch, run) = holding(&home, &repo);
    press(&mut launch, "cancelling");
    press(&mut launch, "cancelling now");
    launch.signal(Signal::SIGINT);
    // At once: the salvage of a cancelled run could take a minute.
    let ended = launch.wait(secs(5));
    ended.exited(130);
    if ended.stderr.contains("nothing is left") {
        // The release was faster than the third one.
        run.assert_closed("cancelled");
        return;
    }
    ended.said(run.id.as_str()).said("coordinator gc --yes");
    procs::wait_gone(&run.id, Duration::from_secs(20));
    home.verb(&["gc", "--yes"]).exited(0);
    run.assert_closed("cancelled");
}
