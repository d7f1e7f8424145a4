//! `cancel` from another shell, of a run whose coordinator is in its launch.

use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Repo, slots};

#[test]
fn a_run_of_another_shell_is_cancelled_and_saved_and_once_more_is_no_mistake() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let (mut launch, run) = home.holding(&repo);
    let cancelled = home.verb(&["cancel", "last"]);
    assert!(
        cancelled.exited(0).stdout.contains(run.id.as_str()),
        "{cancelled:#?}"
    );
    launch
        .wait(secs(60))
        .exited(130)
        .said("cancelled")
        .said("nothing is left");
    run.assert_closed("cancelled");
    assert!(run.stored(1).contains_key("part.txt"), "{:?}", run.stored(1));
    assert!(run.output(&[]).contains("holding in attempt 1"));
    home.verb(&["cancel", run.id.as_str()])
        .exited(0)
        .said("closed already");
}

#[test]
fn fast_saves_the_logs_only() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let (mut launch, run) = home.holding(&repo);
    home.verb(&["cancel", run.id.as_str(), "--fast"]).exited(0);
    launch.wait(secs(60)).exited(130).said("nothing is left");
    run.assert_closed("cancelled");
    assert!(run.stored(1).is_empty(), "{:?}", run.stored(1));
    assert!(run.output(&[]).contains("holding in attempt 1"));
}

#[test]
fn one_that_forms_never_begins() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("unformed", &home, &repo, "holds.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    run.wait_phase(&mut launch, "forming");
    home.verb(&["cancel", run.id.as_str()]).exited(0);
    launch.wait(secs(60)).exited(130).said("nothing is left");
    run.assert_closed("cancelled");
    assert_eq!(home.heard("holds"), None, "the job was started");
}
