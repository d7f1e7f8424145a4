//! Kill -9 of every other part of a run that works.

use std::time::Duration;

use mayfly_tests::procs::{self, Kind, Process};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Home, Job, Launch, Repo, Run, slots};
use nix::sys::signal::Signal;

fn nodes_of(run: &Run<'_>) -> Vec<(String, bool)> {
    let receipt = run.receipt();
    let nodes = receipt["nodes"].as_array().unwrap();
    let mut nodes: Vec<_> = nodes
        .iter()
        .map(|n| {
            (
                n["node"].as_str().unwrap().to_owned(),
                n["lost"].as_bool().unwrap(),
            )
        })
        .collect();
    nodes.sort();
    nodes
}

#[test]
fn the_agent_of_the_master() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("master-lost", &home, &repo, "attempts.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    let node = launch.until("the first attempt", secs(120), || home.heard("attempt-1"));
    assert_eq!(node, "master-1");
    // The output is made durable as it comes, not line by line.
    let chunk = run.folder().join("attempt-1/logs/master-1/job-000000.log.gz");
    launch.until("the first output in the store", secs(15), || {
        chunk.exists().then_some(())
    });
    let driver = procs::find(&run.id, Kind::Driver, Some("master-1"), secs(10));
    procs::find(&run.id, Kind::Agent, Some("master-1"), secs(10)).kill();
    wait::until("the driver to die with its agent", secs(10), || {
        (!driver.is_alive()).then_some(())
    });
    let ended = launch.wait(secs(240));
    ended.exited(0).said("attempt 2");
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 2);
    assert_eq!(home.heard("attempt-2").as_deref(), Some("master-2"));
    assert_eq!(run.commit().expect("a commit").attempt.number(), 2);
    // Nothing of the first attempt is among the results; its logs are still there.
    assert_eq!(
        run.stored(2).keys().collect::<Vec<_>>(),
        ["driver-of-attempt-2.txt", "executor-of-attempt-2.txt"]
    );
    assert!(
        run.output(&["--attempt", "1"]).contains("in attempt 1"),
        "the first attempt's output is lost"
    );
    assert!(run.output(&[]).contains("in attempt 2"));
    let nodes =
        [("master-1", true), ("master-2", false), ("worker-1", false)].map(|(n, lost)| (n.to_owned(), lost));
    assert_eq!(nodes_of(&run), nodes);
}

#[test]
fn the_agent_of_a_worker_that_holds_no_results() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("worker-lost", &home, &repo, "beats.py").workers(2);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    beats(&home, &mut launch, secs(120));
    procs::find(&run.id, Kind::Agent, Some("worker-1"), secs(10)).kill();
    // The job goes on, and another worker takes its place.
    procs::find(&run.id, Kind::Executor, Some("worker-3"), secs(90));
    beats(&home, &mut launch, secs(60));
    home.tell("go");
    launch.wait(secs(60)).exited(0).said("worker-1");
    let receipt = run.assert_closed("succeeded");
    assert_eq!(
        receipt["attempts"], 1,
        "the loss of a worker is not the end of an attempt"
    );
    let nodes = [
        ("master-1", false),
        ("worker-1", true),
        ("worker-2", false),
        ("worker-3", false),
    ];
    assert_eq!(nodes_of(&run), nodes.map(|(n, lost)| (n.to_owned(), lost)));
}

#[test]
fn the_agent_of_a_worker_that_holds_results() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("part-lost", &home, &repo, "parquet.py").workers(2);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the table", secs(120), || home.heard("written-1"));
    procs::find(&run.id, Kind::Agent, Some("worker-2"), secs(10)).kill();
    home.tell("go");
    // What is left would be half a table: it is not committed, the job is done again.
    launch
        .wait(secs(240))
        .exited(0)
        .said("may have held a part of the results");
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 2);
    assert_eq!(run.commit().expect("a commit").attempt.number(), 2);
    let rows = super::results::rows(&run.results(2).join("table"));
    assert_eq!(rows, 100_000);
}

#[test]
fn the_agent_of_a_worker_that_holds_the_only_copy_of_a_plain_file() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("copy-lost", &home, &repo, "plain.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the file", secs(120), || home.heard("plain-1"));
    procs::find(&run.id, Kind::Agent, Some("worker-1"), secs(10)).kill();
    launch.until("the notice of the loss", secs(20), || {
        launch_says(&home, "worker-1 is gone")
    });
    home.tell("go");
    launch
        .wait(secs(240))
        .exited(0)
        .said("may have held a part of the results");
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 2);
    assert_eq!(run.stored(2).keys().collect::<Vec<_>>(), ["plain-2.txt"]);
}

#[test]
fn the_agent_of_the_master_while_it_uploads() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("upload-lost", &home, &repo, "many.py").args(&["3000", "200"]);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the first file in the store", secs(120), || {
        run.results(1).read_dir().ok()?.next()?.ok()
    });
    procs::find(&run.id, Kind::Agent, Some("master-1"), secs(10)).kill();
    launch.wait(secs(240)).exited(0);
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 2, "the agent was killed after the commit");
    assert_eq!(run.stored(2).len(), 3_001);
    // What the first one was uploading in parts is not kept for ever.
    let begun = run.unfinished_uploads();
    assert!(begun.is_empty(), "uploads that nobody will finish: {begun:?}");
}

#[test]
fn an_agent_of_a_worker_that_hangs_for_a_while() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("worker-hangs", &home, &repo, "beats.py").workers(2);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    beats(&home, &mut launch, secs(120));
    let agent = procs::find(&run.id, Kind::Agent, Some("worker-1"), secs(10));
    agent.signal(Signal::SIGSTOP);
    launch.until("the loss", secs(30), || launch_says(&home, "worker-1 is lost"));
    beats(&home, &mut launch, secs(60));
    agent.signal(Signal::SIGCONT);
    // It comes back, or leaves and is replaced; the job does not mind, and two workers end it.
    beats(&home, &mut launch, secs(60));
    home.tell("go");
    launch.wait(secs(60)).exited(0);
    assert_eq!(run.assert_closed("succeeded")["attempts"], 1);
}

#[test]
fn an_agent_of_the_master_that_hangs_for_ever() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("master-hangs", &home, &repo, "attempts.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the first attempt", secs(120), || home.heard("attempt-1"));
    procs::find(&run.id, Kind::Agent, Some("master-1"), secs(10)).signal(Signal::SIGSTOP);
    launch.wait(secs(120)).exited(0).said("master-1 is lost");
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 2);
    assert_eq!(
        run.stored(2).keys().collect::<Vec<_>>(),
        ["driver-of-attempt-2.txt", "executor-of-attempt-2.txt"]
    );
}

#[test]
fn every_agent_of_a_worker_as_soon_as_it_starts() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("never-forms", &home, &repo, "ends.py").args(&["fine"]);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the end of patience", secs(100), || {
        let all = procs::of(&run.id);
        all.iter()
            .filter(|p| p.kind == Kind::Agent && p.node.starts_with("worker"))
            .for_each(Process::kill);
        ["collecting", "releasing", "closed"]
            .contains(&run.phase().as_str())
            .then_some(())
    });
    launch
        .wait(secs(60))
        .exited(3)
        .said("workers keep ending as soon as they are started");
    run.assert_closed("infra-failed");
}

#[test]
fn every_jvm_of_spark_but_the_driver() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("jvms", &home, &repo, "beats.py").workers(2);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    beats(&home, &mut launch, secs(120));
    // The Master comes back and knows its workers and the application …
    replaced(&run, Kind::Master, "master-1");
    beats(&home, &mut launch, secs(60));
    // … or else a Worker that comes back would get no executor from it.
    replaced(&run, Kind::Worker, "worker-1");
    procs::find(&run.id, Kind::Executor, Some("worker-1"), secs(60));
    beats(&home, &mut launch, secs(60));
    replaced(&run, Kind::Executor, "worker-2");
    beats(&home, &mut launch, secs(60));
    home.tell("go");
    launch.wait(secs(60)).exited(0);
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 1);
    assert_eq!(
        receipt["release"]["machines_started"], 3,
        "a JVM that dies is no machine that dies"
    );
}

fn launch_says(home: &Home, text: &str) -> Option<()> {
    let said = std::fs::read_to_string(home.scratch("command-0.err")).unwrap_or_default();
    said.contains(text).then_some(())
}

/// Kills a process and waits for the one that takes its place; there is never a second one beside it.
fn replaced(run: &Run<'_>, kind: Kind, node: &str) {
    const LIMIT: Duration = Duration::from_secs(60);
    let first = procs::find(&run.id, kind, Some(node), secs(20));
    first.kill();
    let of_kind = || -> Vec<i32> {
        let all = procs::of(&run.id);
        all.into_iter()
            .filter(|p| p.kind == kind && p.node == node && p.pid != first.pid)
            .map(|p| p.pid)
            .collect()
    };
    wait::until(&format!("another {kind:?} on {node}"), LIMIT, || {
        (!of_kind().is_empty()).then_some(())
    });
    assert_eq!(of_kind().len(), 1, "more than one {kind:?} on {node}");
}

/// Waits until the job has done three more small Spark jobs.
fn beats(home: &Home, launch: &mut Launch, limit: Duration) {
    let now = || home.heard("beats").and_then(|text| text.parse::<u64>().ok());
    let before = now().unwrap_or(0);
    launch.until("more of the job's beats", limit, || {
        now().filter(|&beats| beats >= before + 3)
    });
}
