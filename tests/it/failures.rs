//! Jobs that fail: the right outcome, the cause in one sentence, logs in the store, nothing left.

use std::os::unix::fs::PermissionsExt as _;

use mayfly_tests::procs::{self, Kind};
use mayfly_tests::wait::secs;
use mayfly_tests::{Ended, Home, Job, Repo, Run, slots};
use serde_json::{Value, json};

/// Launches to the end; the run must close with this exit code and outcome.
fn failed<'h>(home: &'h Home, job: &Job, code: i32, outcome: &str) -> (Run<'h>, Ended, Value) {
    let mut launch = home.launch(job);
    let run = home.run_of(job, &mut launch);
    let ended = launch.wait(secs(240));
    ended.exited(code).said("nothing is left");
    let receipt = run.assert_closed(outcome);
    (run, ended, receipt)
}

/// The reason, which the command and the receipt give alike.
fn reason(ended: &Ended, receipt: &Value) -> String {
    let reason = receipt["ended"]["reason"].as_str().expect("a reason").to_owned();
    assert!(
        !reason.contains('\n') && reason.len() > 10,
        "not a sentence: {reason:?}"
    );
    ended.said(&reason);
    reason
}

fn last_lines(receipt: &Value) -> String {
    let lines = receipt["ended"]["last_lines"].as_array().expect("lines");
    lines
        .iter()
        .map(|line| line.as_str().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_job_that_exits_with_3() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("exits", &home, &repo, "ends.py").args(&["exit-3"]);
    let (run, ended, receipt) = failed(&home, &job, 1, "job-failed");
    assert!(reason(&ended, &receipt).contains("exit code 3"), "{receipt:#}");
    assert_eq!(receipt["ended"]["exit_code"], 3);
    assert!(
        last_lines(&receipt).contains("there is nothing to count"),
        "{receipt:#}"
    );
    ended.said("there is nothing to count");
    assert!(run.output(&[]).contains("the first line"), "{}", run.output(&[]));
    // What it had written is committed, with its exit code.
    assert_eq!(run.commit().expect("a commit").exit_code, Some(3));
    assert!(run.stored(1).contains_key("before.txt"));
}

#[test]
fn a_job_that_raises() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("raises", &home, &repo, "ends.py").args(&["raise"]);
    let (run, ended, receipt) = failed(&home, &job, 1, "job-failed");
    assert!(
        reason(&ended, &receipt).contains("ValueError: the month 13 does not exist"),
        "{receipt:#}"
    );
    assert!(last_lines(&receipt).contains("ValueError"), "{receipt:#}");
    assert!(
        run.output(&[]).contains("Traceback (most recent call last)"),
        "{}",
        run.output(&[])
    );
}

#[test]
fn a_job_that_fails_for_a_program_that_reads_json() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("told", &home, &repo, "ends.py").args(&["raise"]);
    let mut launch = home.launch_with(&job, &["--json"]);
    let run = home.run_of(&job, &mut launch);
    let ended = launch.wait(secs(120));
    ended.exited(1);
    let parse = |line: &str| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?} is no JSON: {error}"))
    };
    let lines: Vec<Value> = ended.stdout.lines().map(parse).collect();
    let last = lines.last().expect("a last line");
    assert_eq!(last["event"], "receipt", "{last:#}");
    assert_eq!(last["receipt"], run.assert_closed("job-failed"));
    assert!(
        lines
            .iter()
            .any(|line| line["event"] == "log" && line.to_string().contains("the first line"))
    );
    assert!(lines.iter().all(|line| line["schema"] == 1));
}

#[test]
fn a_driver_that_is_killed() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("killed", &home, &repo, "holds.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    let python = launch.until("the job", secs(120), || home.heard("holds"));
    // What Python has printed goes through the driver, which takes along what it has not passed on yet.
    launch.until("what it printed", secs(30), || {
        let said = std::fs::read_to_string(home.scratch("command-0.out")).ok()?;
        said.contains("holding").then_some(())
    });
    procs::find(&run.id, Kind::Driver, Some("master-1"), secs(10)).kill();
    let ended = launch.wait(secs(60));
    ended.exited(1).said("nothing is left");
    let receipt = run.assert_closed("job-failed");
    let reason = reason(&ended, &receipt);
    assert!(reason.contains("signal 9"), "{reason}");
    assert_eq!(receipt["ended"]["exit_code"], Value::Null);
    assert_eq!(
        receipt["attempts"], 1,
        "a job that fails by itself is not repeated"
    );
    assert!(
        run.output(&[]).contains("holding in attempt 1"),
        "pid {python}: {}",
        run.output(&[])
    );
}

#[test]
fn a_requirement_that_cannot_be_installed() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("requires", &home, &repo, "ends.py")
        .args(&["fine"])
        .set("code.requirements", "missing.txt");
    let (run, ended, receipt) = failed(&home, &job, 1, "job-failed");
    let reason = reason(&ended, &receipt);
    assert!(
        reason.contains("no-such-package-1.0-py3-none-any.whl"),
        "not pip's line: {reason}"
    );
    assert_eq!(run.commit(), None);
    // What pip said at length is in the agent's log.
    let log = run.output(&["--stream", "agent"]);
    assert!(log.contains("no-such-package"), "{log}");
}

#[test]
fn a_requirement_whose_index_nobody_answers_for() {
    let _slot = slots::take();
    let home = Home::new();
    // Nobody is at this port.
    let needs = "--index-url http://127.0.0.1:1/simple\nno-such-package-of-ours==1\n";
    let repo = Repo::of(&[("main.py", "print(1)\n"), ("needs.txt", needs)]);
    let job = Job::new("closed", &repo.url(), "main.py")
        .set("engine", "single")
        .set("code.requirements", "needs.txt")
        .set("limits.retries", 0)
        .without("workers");
    let (run, ended, receipt) = failed(&home, &job, 3, "infra-failed");
    let reason = reason(&ended, &receipt);
    assert!(
        reason.contains("needs.txt cannot be installed: no package index answers (Connection refused)"),
        "{reason}"
    );
    assert_eq!(run.commit(), None);
}

#[test]
fn a_package_of_spark_whose_repository_nobody_answers_for() {
    let _slot = slots::take();
    let home = Home::new();
    let ivy = "<ivysettings><settings defaultResolver=\"none\"/><resolvers><ibiblio name=\"none\" m2compatible=\"true\" \
               root=\"http://127.0.0.1:1/\"/></resolvers></ivysettings>\n";
    let repo = Repo::of(&[("main.py", "print(1)\n"), ("ivy.xml", ivy)]);
    let conf = json!({ "spark.jars.packages": "org.none:nothing:1", "spark.jars.ivySettings": "ivy.xml" });
    let job = Job::new("packages", &repo.url(), "main.py").set("spark.conf", conf);
    let (_run, ended, receipt) = failed(&home, &job, 1, "job-failed");
    let reason = reason(&ended, &receipt);
    assert!(reason.contains("org.none#nothing;1: not found"), "{reason}");
    assert_eq!(receipt["attempts"], 1, "the job's own doing is not repeated");
}

/// The first bytes of a program for a machine that this is not.
fn program_of_another_machine() -> Vec<u8> {
    let other: u16 = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
    let mut head = vec![0; 64];
    head[..6].copy_from_slice(b"\x7fELF\x02\x01");
    head[18..20].copy_from_slice(&other.to_le_bytes());
    head
}

#[test]
fn a_program_for_another_machine() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of(&[("readme", "nothing\n")]));
    let path = repo.path().join("run");
    std::fs::write(&path, program_of_another_machine()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    repo.and_commit();
    let job = Job::new("other", &repo.url(), "")
        .without("code.entry")
        .set("code.command", vec!["./run"])
        .set("engine", "single")
        .without("workers");
    let (_run, ended, receipt) = failed(&home, &job, 1, "job-failed");
    let reason = reason(&ended, &receipt);
    assert!(reason.contains("./run is a program for "), "{reason}");
    assert_eq!(receipt["attempts"], 1, "the job's own doing is not repeated");
}

#[test]
fn a_job_that_leaves_daemons_behind() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("daemons", &home, &repo, "daemons.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.wait(secs(180)).exited(0).said("nothing is left");
    run.assert_closed("succeeded");
    let stored = run.stored(1);
    assert_eq!(
        stored.keys().collect::<Vec<_>>(),
        ["own-session.txt", "same-session.txt"]
    );
    // They were dead before the upload began: what was uploaded is all that they ever wrote, but for one line on the way.
    for name in ["own-session", "same-session"] {
        let uploaded = std::fs::read_to_string(run.results(1).join(format!("{name}.txt"))).unwrap();
        let lines = home.heard(name).expect("what the daemon told").lines().count();
        assert!(lines > 0, "{name} never wrote");
        assert!(
            uploaded.lines().count() <= lines + 1,
            "{name}: {} lines uploaded",
            uploaded.lines().count()
        );
        assert!(
            lines <= uploaded.lines().count(),
            "{name} went on to line {lines} after its upload"
        );
    }
}

/// A job of one machine that may hang for five seconds.
fn impatient(name: &str, repo: &Repo, command: &[&str]) -> Job {
    Job::new(name, &repo.url(), "")
        .without("code.entry")
        .set("code.command", command.to_vec())
        .set("engine", "single")
        .set("limits.stall", "5s")
        .without("workers")
}

#[test]
fn a_job_that_hangs_and_one_that_computes_in_silence() {
    let slot = slots::take();
    let (home, busy_home) = (Home::light(), Home::light());
    let repo = Repo::of(&[("readme", "nothing\n")]);
    // A fifth of a core, by processes that live for a moment.
    let parts = "i=0; while [ $i -lt 50 ]; do i=$((i + 1)); seq 10000 | sort -R > /dev/null; sleep 0.1; done";
    let (hangs, computes) = (
        impatient("hangs", &repo, &["sleep", "inf"]),
        impatient("computes", &repo, &["sh", "-c", parts]),
    );
    let mut busy = busy_home.launch(&computes);
    let mut launch = home.launch(&hangs);
    let run = home.run_of(&hangs, &mut launch);
    // They wait, or sleep.
    drop(slot);
    let ended = launch.wait(secs(60));
    ended
        .exited(4)
        .said("nothing is left")
        .said("raise limits.stall or say `none`");
    let receipt = run.assert_closed("timed-out");
    let reason = reason(&ended, &receipt);
    assert!(
        reason.starts_with("the job showed no sign of life for 5s"),
        "{reason}"
    );
    assert_eq!(receipt["why"]["cause"], "stalled", "{receipt:#}");
    assert_eq!(run.commit(), None);
    let busy_run = busy_home.run_of(&computes, &mut busy);
    busy.wait(secs(60)).exited(0);
    busy_run.assert_closed("succeeded");
}

#[test]
fn a_job_that_passes_its_deadline() {
    let slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("late", &home, &repo, "holds.py")
        .set("limits.deadline", "60s")
        .set("limits.form", "50s");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(60), || home.heard("holds"));
    // From here on it only sleeps.
    drop(slot);
    let ended = launch.wait(secs(120));
    ended.exited(4).said("nothing is left");
    let receipt = run.assert_closed("timed-out");
    assert!(
        reason(&ended, &receipt).contains("deadline of 60 s"),
        "{receipt:#}"
    );
    let took = receipt["total_secs"].as_f64().unwrap();
    assert!(took >= 60.0, "closed after {took} s");
    assert_eq!(run.commit(), None, "no commit after a deadline");
    assert_eq!(
        std::fs::read_to_string(run.results(1).join("part.txt")).unwrap(),
        "attempt 1\n"
    );
    assert!(
        run.output(&[]).contains("holding in attempt 1"),
        "{}",
        run.output(&[])
    );
}
