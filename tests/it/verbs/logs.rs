//! `logs -f`: the output of a run that another command drives, from the store alone.

use mayfly_tests::procs::{self, Kind};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Home, Job, Launch, Repo, Run, slots};
use nix::sys::signal::Signal;
use serde_json::Value;

const BURST: usize = 500;

/// Thousands of lines are no message.
#[track_caller]
fn assert_told(said: &str, expected: &str) {
    let both = said.lines().zip(expected.lines());
    let other = both.clone().find(|(said, expected)| said != expected);
    assert!(
        said == expected,
        "{} lines of {}; the first other one: {other:?}",
        said.lines().count(),
        expected.lines().count()
    );
}

fn follow(home: &Home, run: &Run<'_>, flags: &[&str]) -> Launch {
    let mut args = vec!["logs", run.id.as_str(), "-f"];
    args.extend(flags);
    home.start(&mut home.command(&args))
}

/// What a job has printed after so many bursts of an attempt.
fn told(attempt: u32, bursts: usize) -> String {
    let lines = (0..bursts * BURST).map(|n| format!("line {n} of attempt {attempt}\n"));
    lines.collect()
}

fn wait_for(follower: &mut Launch, expected: &str) {
    let file = follower.stdout_file();
    follower.until("the lines of now", secs(30), || {
        (std::fs::read_to_string(&file).unwrap() == expected).then_some(())
    });
}

#[test]
fn a_live_run_is_followed_to_its_end_without_a_line_lost_or_twice() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("told", &home, &repo, "tells.py").args(&["3", &BURST.to_string(), "0"]);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    // From before there is anything to see, from the middle, and from shortly before the end.
    let mut first = follow(&home, &run, &[]);
    home.tell("tell-0-1");
    wait_for(&mut first, &told(1, 1));
    let mut second = follow(&home, &run, &["--node", "master-1"]);
    home.tell("tell-1-1");
    wait_for(&mut second, &told(1, 2));
    let mut third = follow(&home, &run, &["--tail", "10"]);
    let tail = told(1, 2)
        .lines()
        .skip(2 * BURST - 10)
        .map(|line| format!("{line}\n"))
        .collect::<String>();
    wait_for(&mut third, &tail);
    let mut other = follow(&home, &run, &["--node", "worker-1"]);
    home.tell("tell-2-1");
    home.tell("end");
    launch.wait(secs(60)).exited(0);
    for follower in [&mut first, &mut second] {
        let ended = follower.wait(secs(20));
        assert_told(&ended.exited(0).stdout, &told(1, 3));
    }
    let tail = third.wait(secs(20));
    assert_eq!(
        tail.exited(0).stdout.lines().count(),
        10 + BURST,
        "{}",
        tail.stdout
    );
    assert!(told(1, 3).ends_with(&tail.stdout));
    let other = other.wait(secs(20));
    assert_eq!(other.exited(0).stdout, "", "a worker prints nothing of the job");
    other.said("worker-1");
}

#[test]
fn of_several_nodes_only_the_one_that_is_named_is_followed() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("nodes", &home, &repo, "holds.py").workers(2);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    let mut all = follow(&home, &run, &["--stream", "agent", "--json"]);
    let mut one = follow(
        &home,
        &run,
        &["--stream", "agent", "--json", "--node", "worker-2"],
    );
    launch.until("the job", secs(120), || home.heard("holds"));
    home.tell("go");
    launch.wait(secs(60)).exited(0);
    let [all, one] = [&mut all, &mut one].map(|follower| follower.wait(secs(20)));
    let nodes = |said: &str| -> Vec<String> {
        let lines = said
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut nodes: Vec<String> = lines
            .map(|line| line["node"].as_str().unwrap().to_owned())
            .collect();
        nodes.sort();
        nodes.dedup();
        nodes
    };
    assert_eq!(nodes(&all.exited(0).stdout), ["master-1", "worker-1", "worker-2"]);
    assert_eq!(nodes(&one.exited(0).stdout), ["worker-2"]);
    let of_one = |said: &str| -> Vec<String> {
        let lines = said.lines().filter(|line| line.contains("\"worker-2\""));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(of_one(&all.stdout), of_one(&one.stdout));
}

#[test]
fn the_rest_of_an_attempt_is_shown_before_the_next_one() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("tried", &home, &repo, "tells.py").args(&["2", &BURST.to_string(), "0"]);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    home.tell("tell-0-1");
    let mut follower = follow(&home, &run, &[]);
    wait_for(&mut follower, &told(1, 1));
    // It is slow: by the time that it looks again the next attempt works.
    follower.signal(Signal::SIGSTOP);
    home.tell("tell-1-1");
    wait::until("the rest in the store", secs(30), || {
        (run.output(&["--attempt", "1"]) == told(1, 2)).then_some(())
    });
    procs::find(&run.id, Kind::Agent, Some("master-1"), secs(10)).kill();
    home.tell("tell-0-2");
    launch.until("the next attempt", secs(120), || home.heard("told-0-2"));
    wait::until("its lines in the store", secs(30), || {
        (run.output(&["--attempt", "2"]) == told(2, 1)).then_some(())
    });
    follower.signal(Signal::SIGCONT);
    home.tell("tell-1-2");
    home.tell("end");
    launch.wait(secs(90)).exited(0);
    let ended = follower.wait(secs(20));
    assert_told(&ended.exited(0).stdout, &(told(1, 2) + &told(2, 2)));
}
