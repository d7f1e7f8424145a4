//! Ctrl-C once, twice, three times; and at the terminal of somebody whose run is a server's, who is asked.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_tests::procs;
use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Launch, Repo, Run, Serve, slots};
use nix::sys::signal::Signal;

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
    let (mut launch, run) = home.holding(&repo);
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
    let (mut launch, run) = home.holding(&repo);
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
    let (mut launch, run) = home.holding(&repo);
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

const CTRL_C: &str = "\u{3}";
const QUESTION: &str =
    "c + Enter: cancel the run and save; d + Enter: leave, and let it go on; Enter: go on watching";
/// More often than signals are counted.
const SECOND_THOUGHTS: usize = 4;

/// Presses keys at a terminal and waits until it has shown this so often.
pub(crate) fn pressed(launch: &mut Launch, keys: &str, shown: &str, times: usize) {
    launch.press(keys);
    mayfly_tests::wait::until(&format!("{shown:?} {times} times"), secs(20), || {
        (launch.stdout().matches(shown).count() == times).then_some(())
    });
}

#[test]
fn who_leaves_a_run_of_a_server_is_asked_and_told_how_it_goes_on() {
    let _slot = slots::take();
    let (server, ann, repo) = (Home::light(), Home::new(), Repo::of_jobs());
    let serve = Serve::start(&server);
    let job = Job::at_gate("left", &server, &repo, "holds.py");
    let mut launch = ann.start_at_terminal(serve.command(&ann, &["launch"]).arg(job.write(&ann)));
    let run = server.run_of(&job, &mut launch);
    let job = launch.until("the job", secs(120), || server.heard("holds"));
    for times in 1..=SECOND_THOUGHTS {
        pressed(&mut launch, CTRL_C, QUESTION, times);
        pressed(&mut launch, "\n", "going on", times);
    }
    pressed(&mut launch, CTRL_C, QUESTION, SECOND_THOUGHTS + 1);
    launch.press("d\n");
    let left = launch.wait(secs(20));
    left.exited(0);
    assert!(!left.stdout.contains("cancelling"), "{}", left.stdout);
    assert_farewell(&left.stdout, &run);
    assert_eq!(run.phase(), "working", "it goes on");
    assert!(Path::new("/proc").join(job).exists(), "the job has ended");
    // Both commands that were printed do what they are for.
    let mut back = ann.start_at_terminal(&serve.command(&ann, &printed(&left.stdout, "attach")));
    mayfly_tests::wait::until("the view", secs(20), || {
        back.stdout().contains("working").then_some(())
    });
    ann.start(&mut serve.command(&ann, &printed(&left.stdout, "cancel")))
        .wait(secs(60))
        .exited(0);
    back.wait(secs(60)).exited(130);
    run.assert_closed("cancelled");
    assert!(run.stored(1).contains_key("part.txt"), "{:?}", run.stored(1));
}

/// Until when, at what price, how to come back and how to end it.
#[track_caller]
fn assert_farewell(said: &str, run: &Run<'_>) {
    let deadline: Timestamp = run.record().unwrap()["deadline"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let (id, until) = (&run.id, deadline.strftime("%Y-%m-%d %H:%M:%S UTC"));
    let expected = format!(
        "{id} goes on without this command, until {until} at the latest, on the coordinator's own machine, at no price \
         of its own; `coordinator attach {id}` comes back to it, `coordinator cancel {id}` ends it"
    );
    assert!(said.contains(&expected), "{expected:?} is not in {said}");
}

/// The arguments of a command that was printed.
#[track_caller]
fn printed<'s>(said: &'s str, verb: &str) -> Vec<&'s str> {
    let commands = said
        .split('`')
        .filter_map(|text| text.strip_prefix("coordinator "));
    let mut found = commands.filter(|text| text.starts_with(verb));
    let command = found.next().unwrap_or_else(|| panic!("no {verb} in {said}"));
    command.split(' ').collect()
}
