//! `workers: {count, min}`: workers that never come up.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Launch, Repo, programs, slots};
use serde_json::json;

/// A launch in which the machines of these workers come up, and nothing on them does: what is beside its program as the
/// agent does nothing there.
fn launch_without(home: &Home, job: &Job, workers: &str) -> Launch {
    let folder = home.scratch("programs");
    fs::create_dir(&folder).unwrap();
    let program = folder.join("coordinator");
    let real = programs::path("coordinator");
    // The program finds the agent beside itself, whatever link it was started by.
    fs::hard_link(&real, &program)
        .or_else(|_| fs::copy(&real, &program).map(drop))
        .unwrap();
    let agent = folder.join("agent");
    let script = format!(
        "#!/bin/sh\ncase \"$MAYFLY_NODE\" in {workers}) exec sleep 600;; esac\nexec {} \"$@\"\n",
        programs::path("agent").display()
    );
    fs::write(&agent, script).unwrap();
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
    let command = home.command(&["launch"]);
    let mut other = Command::new(&program);
    other.args(command.get_args()).arg(job.write(home));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    home.start(other.current_dir(home.scratch("")))
}

fn job_of_three(home: &Home, repo: &Repo) -> Job {
    Job::at_gate("three", home, repo, "tells.py")
        .args(&["0", "0", "0"])
        .lay("workers", json!({ "count": 3, "min": 2 }))
}

#[test]
fn with_as_many_as_it_must_have_the_run_goes_on_and_says_so() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    home.tell("end");
    let job = job_of_three(&home, &repo);
    let mut launch = launch_without(&home, &job, "worker-3");
    let run = home.run_of(&job, &mut launch);
    let ended = launch.wait(secs(90));
    ended
        .exited(0)
        .said("begins with 2 of 3 workers: 1 not enrolled")
        .said("nothing is left");
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["release"]["machines_started"], 4, "{receipt:#}");
}

#[test]
fn with_fewer_it_fails_as_soon_as_it_must_have_formed_and_says_who_is_missing() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    home.tell("end");
    let job = job_of_three(&home, &repo).set("limits.form", "10s");
    let mut launch = launch_without(&home, &job, "worker-2|worker-3");
    let run = home.run_of(&job, &mut launch);
    let ended = launch.wait(secs(90));
    ended
        .exited(3)
        .said("the fleet did not form within 10 s: 1 of 2 workers ready")
        .said("nothing is left");
    let receipt = run.assert_closed("infra-failed");
    let reason = receipt["ended"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("1 of 2 workers ready, 2 not enrolled"),
        "the cause is not in {reason:?}"
    );
    assert_eq!(run.commit(), None);
}
