//! The command that runs a job dies by SIGKILL, in each phase: its nodes end by themselves, what was written stays, and
//! the next commands tell the truth.

use std::time::{Duration, Instant};

use mayfly_tests::procs::{self, Kind};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Home, Job, Launch, Repo, Run, slots};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Within this time the nodes of a dead command are gone.
const GONE: Duration = Duration::from_secs(20);

/// Kills the command; its nodes must end by themselves.
fn kill(launch: &mut Launch, run: &Run<'_>) {
    let phase = run.phase();
    launch.kill();
    let began = Instant::now();
    procs::wait_gone(&run.id, GONE);
    eprintln!(
        "killed in phase {phase}: every process of {} was gone after {:?}",
        run.id,
        began.elapsed()
    );
}

/// The next commands name the run and close it; returns its receipt.
fn closed_by_gc(home: &Home, run: &Run<'_>, outcome: &str) -> Value {
    let record = run.record().unwrap();
    let listed = home.verb(&["list"]);
    listed.exited(0);
    assert!(listed.stdout.contains(run.id.as_str()), "{listed:#?}");
    let looked = home.verb(&["gc", "--json"]).json();
    assert_eq!(looked["leftovers"][0]["run"], run.id.as_str(), "{looked:#}");
    assert_eq!(
        run.record().unwrap(),
        record,
        "gc without --yes changed the record"
    );
    home.verb(&["gc", "--yes"]).exited(0);
    let again = home.verb(&["gc", "--json"]).json();
    assert_eq!(again["leftovers"], serde_json::json!([]), "{again:#}");
    run.assert_closed(outcome)
}

/// What the job wrote and nobody uploaded is still there, and the next command says where.
fn assert_folder_named(home: &Home, run: &Run<'_>) {
    let listed = home.verb(&["list"]);
    let said = format!("{}{}", listed.stdout, listed.stderr);
    let folder = run.nodes().canonicalize().unwrap();
    assert!(
        said.contains(folder.to_str().unwrap()),
        "list does not name {}: {said}",
        folder.display()
    );
}

fn part_of_master(run: &Run<'_>) -> String {
    std::fs::read_to_string(run.node("master-1").join("shared/results/part.txt"))
        .expect("the job's file is there")
}

#[test]
fn while_the_fleet_forms() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("forming", &home, &repo, "holds.py").workers(2);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    run.wait_phase(&mut launch, "forming");
    // Spark's processes are the ones that could stay.
    let master = procs::find(&run.id, Kind::Master, None, secs(60));
    assert!(master.is_alive());
    kill(&mut launch, &run);
    closed_by_gc(&home, &run, "infra-failed");
    assert_eq!(run.commit(), None);
}

#[test]
fn while_the_job_works() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("working", &home, &repo, "holds.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(120), || home.heard("holds"));
    assert_eq!(run.phase(), "working");
    kill(&mut launch, &run);
    assert_folder_named(&home, &run);
    let receipt = closed_by_gc(&home, &run, "infra-failed");
    // It is known which nodes there were and what they offered; what they used nobody can say any more.
    let nodes: Vec<_> = receipt["nodes"].as_array().unwrap().iter().collect();
    let known = |node: &Value| {
        (
            node["node"].clone(),
            node["cores"].clone(),
            node["cpu_core_secs"].clone(),
        )
    };
    let expected = |node: &str| (node.into(), 1.into(), Value::Null);
    assert_eq!(
        nodes.iter().map(|node| known(node)).collect::<Vec<_>>(),
        [expected("master-1"), expected("worker-1")]
    );
    let shown = home.verb(&["receipt", run.id.as_str()]);
    assert!(shown.stdout.contains("-: not known"), "{shown:#?}");
    let reason = receipt["ended"]["reason"].as_str().unwrap();
    assert!(
        reason.contains(run.nodes().canonicalize().unwrap().to_str().unwrap()),
        "{reason}"
    );
    assert_eq!(
        part_of_master(&run),
        "attempt 1\n",
        "gc took away what the job had written"
    );
    assert_eq!(run.commit(), None);
}

#[test]
fn while_results_are_uploaded() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("collecting", &home, &repo, "many.py").args(&["10000"]);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the first file in the store", secs(180), || {
        run.results(1).read_dir().ok()?.next()?.ok()
    });
    let phase = run.phase();
    kill(&mut launch, &run);
    assert_eq!(phase, "collecting");
    // All files are in the node's folder still; a commit may or may not have been made before the end.
    let kept: usize = (0..10)
        .map(|n| {
            run.node("master-1")
                .join(format!("shared/results/{n}"))
                .read_dir()
                .unwrap()
                .count()
        })
        .sum();
    assert_eq!(kept, 10_000);
    let outcome = if run.commit().is_some() {
        "succeeded"
    } else {
        "infra-failed"
    };
    closed_by_gc(&home, &run, outcome);
}

#[test]
fn while_machines_are_released() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("releasing", &home, &repo, "holds.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(120), || home.heard("holds"));
    let worker = procs::find(&run.id, Kind::Agent, Some("worker-1"), secs(10));
    home.tell("go");
    launch.until("the commit", secs(60), || run.commit());
    // A machine that does not leave at once holds the release open.
    worker.signal(Signal::SIGSTOP);
    run.wait_phase(&mut launch, "releasing");
    launch.kill();
    worker.signal(Signal::SIGCONT);
    kill(&mut launch, &run);
    let receipt = closed_by_gc(&home, &run, "succeeded");
    assert_eq!(receipt["ended"]["exit_code"], 0);
    assert_eq!(run.stored(1).keys().collect::<Vec<_>>(), ["part.txt"]);
}

#[test]
fn the_next_launch_names_what_is_left_over() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("first", &home, &repo, "holds.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(120), || home.heard("holds"));
    launch.kill();
    // At once, while the nodes of the dead one may still live: one does not disturb the other.
    let next = Job::at_gate("second", &home, &repo, "ends.py").args(&["fine"]);
    let ended = home.launch(&next).wait(secs(180));
    ended
        .exited(0)
        .said(run.id.as_str())
        .said(run.nodes().canonicalize().unwrap().to_str().unwrap());
    wait::until("the nodes of the dead command to end", GONE, || {
        procs::of(&run.id).is_empty().then_some(())
    });
    // The record of another run, which nobody can read, changes nothing for this one.
    let broken = run.folder().with_file_name("broken-22222222");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("run.json"), "{").unwrap();
    home.verb(&["gc", "--yes"]).exited(0).said("broken-22222222");
    run.assert_closed("infra-failed");
}
