//! `on_failure: hold`: the machines of a job that failed stay for a look.

use jiff::Timestamp;
use mayfly_tests::procs::{self, Kind};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Home, Job, Launch, Repo, Run, slots};

/// A launch whose job has failed and whose fleet is held.
fn held<'h>(home: &'h Home, repo: &Repo, hold: &str) -> (Launch, Run<'h>) {
    let job = Job::at_gate("looked-at", home, repo, "ends.py")
        .args(&["exit-3"])
        .set("on_failure", hold)
        .set("limits.deadline", "2h");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("a run that is held", secs(120), || held_until(&run));
    (launch, run)
}

/// Until when, as the record has it.
fn held_until(run: &Run<'_>) -> Option<Timestamp> {
    run.record()?["held_until"].as_str()?.parse().ok()
}

fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The sentence that says until when, how it is kept, and how it is released.
fn wait_told(launch: &Launch, run: &Run<'_>, until: Timestamp) {
    let id = &run.id;
    let sentence = format!(
        "held until {} for a look: `coordinator extend {id} --by 30m` keeps it, `coordinator cancel {id}` releases it",
        shown(until)
    );
    wait::until(&format!("{sentence:?}"), secs(10), || {
        launch.stderr().contains(&sentence).then_some(())
    });
}

fn is_there(run: &Run<'_>) -> bool {
    let agents = procs::of(&run.id).into_iter().filter(|p| p.kind == Kind::Agent);
    agents.count() == 2
}

#[test]
fn a_job_that_failed_leaves_its_fleet_until_it_is_released_and_has_failed_all_the_same() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let began = Timestamp::now();
    let (mut launch, run) = held(&home, &repo, "hold 10m");
    let until = held_until(&run).unwrap();
    wait_told(&launch, &run, until);
    let secs_held = until.duration_since(began).as_secs();
    assert!((600..660).contains(&secs_held), "held for {secs_held} s");
    assert!(is_there(&run), "{:#?}", procs::of(&run.id));
    // All that there is to save is saved by then.
    assert_eq!(run.commit().expect("a commit").exit_code, Some(3));
    assert!(run.output(&[]).contains("the first line"));
    // What it shows as its end is the end of the hold, and that is what is moved.
    let status = home.verb(&["status", run.id.as_str()]);
    assert!(
        status.exited(0).stdout.contains(&shown(until)),
        "{}",
        status.stdout
    );
    assert!(
        status.stdout.contains("1/1 ready"),
        "its coordinator was not asked:\n{}",
        status.stdout
    );
    let extended = home.verb(&["extend", run.id.as_str(), "--by", "5m"]);
    let later = held_until(&run).unwrap();
    let moved = later.duration_since(until).as_secs();
    assert!((298..=302).contains(&moved), "moved by {moved} s");
    assert!(extended.exited(0).stdout.contains("ends at"), "{extended:#?}");
    wait_told(&launch, &run, later);
    assert!(is_there(&run), "{:#?}", procs::of(&run.id));
    let released = home.verb(&["cancel", run.id.as_str()]);
    assert!(
        released.exited(0).stdout.contains("is being released"),
        "{}",
        released.stdout
    );
    launch
        .wait(secs(60))
        .exited(1)
        .said("exit code 3")
        .said("nothing is left");
    let receipt = run.assert_closed("job-failed");
    assert_eq!(receipt["ended"]["exit_code"], 3, "{receipt:#}");
}

#[test]
fn ctrl_c_releases_what_is_held() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let (mut launch, run) = held(&home, &repo, "hold 10m");
    launch.signal(nix::sys::signal::Signal::SIGINT);
    launch.wait(secs(60)).exited(1).said("nothing is left");
    run.assert_closed("job-failed");
}
