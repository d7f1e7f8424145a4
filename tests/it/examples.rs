//! Every example gives the right answer, also when the agent of its master is killed while it works.

use std::path::{Path, PathBuf};
use std::process::Command;

use mayfly_tests::procs::{self, Kind};
use mayfly_tests::programs::{must, python};
use mayfly_tests::wait::secs;
use mayfly_tests::{Ended, Home, Repo, Run, quick, slots};
use serde_json::Value;

/// Launches a job of `configs/jobs` in a copy of this repository, to its receipt.
pub(crate) fn launch<'h>(home: &'h Home, repo: &Repo, job: &str, workers: usize) -> Run<'h> {
    let mut command = home.command(&["launch", job]);
    let mut launch = home.start(command.current_dir(repo.path()));
    let ended = launch.wait(secs(600));
    ended.exited(0).said("nothing is left");
    let [id] = &home.runs()[..] else {
        panic!("one run, not {:?}", home.runs())
    };
    let run = home.run(id);
    let receipt = run.assert_closed("succeeded");
    assert_receipt(&receipt, repo, workers);
    run
}

fn assert_receipt(receipt: &Value, repo: &Repo, workers: usize) {
    let words = |key: &str, part: &str| -> Vec<String> {
        let items = receipt[key].as_array().expect("a list");
        items
            .iter()
            .map(|item| item[part].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(
        words("phases", "phase"),
        [
            "accepted",
            "arming",
            "forming",
            "working",
            "collecting",
            "releasing"
        ]
    );
    let nodes = ["master-1", "worker-1", "worker-2"];
    assert_eq!(words("nodes", "node"), nodes[..=workers]);
    assert_eq!(receipt["release"]["machines_started"], workers + 1);
    assert_eq!(
        (&receipt["attempts"], &receipt["ended"]["exit_code"]),
        (&1.into(), &0.into())
    );
    assert_eq!(receipt["commit"], repo.head());
    let secs = |item: &Value, key: &str| item[key].as_f64().expect("a number");
    for node in receipt["nodes"].as_array().unwrap() {
        // Processes are looked at every two seconds; most of what shorter ones did may fall between two looks.
        if secs(node, "secs") > 5.0 {
            assert!(secs(node, "cpu_core_secs") > 0.0, "a node used no CPU: {node}");
            assert!(
                secs(node, "peak_memory_bytes") > 50e6,
                "a node used no memory: {node}"
            );
        }
        assert_eq!(node["lost"], false, "{node}");
    }
    let phases: f64 = receipt["phases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|phase| secs(phase, "secs"))
        .sum();
    let total = secs(receipt, "total_secs");
    assert!(
        (phases - total).abs() < 1.0,
        "the phases take {phases} s, the run {total} s"
    );
}

/// Puts the flights into the store; the folder that they are in.
pub(crate) fn put_flights(home: &Home, repo: &Repo) -> PathBuf {
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flights");
    must(
        Command::new(python())
            .arg(repo.path().join("examples/flights/fetch.py"))
            .arg(&data),
    );
    home.verb(&["data", "put", data.to_str().unwrap(), "flights/"])
        .exited(0);
    data
}

/// The answer, computed again without Spark.
pub(crate) fn check(repo: &Repo, job: &str, results: &Path, data: Option<&Path>) {
    let mut check = Command::new(python());
    check
        .arg(repo.path().join("examples/check/check.py"))
        .arg(job)
        .arg(results)
        .args(data);
    let said = must(&mut check);
    assert!(said.starts_with("OK"), "{said}");
}

#[test]
fn word_count() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_examples());
    let run = launch(&home, &repo, "word-count", 2);
    check(&repo, "word-count", &run.results(1), None);
}

#[test]
fn word_count_built_in_the_run() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_examples());
    let run = launch(&home, &repo, "word-count-built", 2);
    check(&repo, "word-count-built", &run.results(1), None);
}

/// What follows when the first attempt has lost its master.
pub(crate) fn assert_second_commits(run: &Run<'_>, ended: &Ended) {
    ended.exited(0).said("attempt 2");
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 2);
    assert_eq!(run.commit().expect("a commit").attempt.number(), 2);
}

/// The agent of the master is killed while the job works: the next attempt commits, nothing is left of either, and the
/// answer is right.
fn killed(job: &str, data: bool) {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_examples());
    let data = data.then(|| put_flights(&home, &repo));
    let mut command = home.command(&["launch", job, "--set", "limits.retries=1"]);
    command.args(quick()).current_dir(repo.path());
    let mut launch = home.start(&mut command);
    let run = launch.until("its job to work", secs(600), || {
        let run = home.run(home.runs().first()?);
        (run.phase() == "working").then_some(run)
    });
    procs::find(&run.id, Kind::Agent, Some("master-1"), secs(10)).kill();
    let ended = launch.wait(secs(600));
    ended.said("nothing is left");
    assert_second_commits(&run, &ended);
    check(&repo, job, &run.results(2), data.as_deref());
}

#[test]
fn sql_whose_master_is_killed() {
    killed("on-time-sql", true);
}

#[test]
fn a_notebook_whose_master_is_killed() {
    killed("on-time-notebook", true);
}

#[test]
fn steps_whose_master_is_killed() {
    killed("on-time", true);
}

/// Those that are not killed above.
#[test]
#[ignore = "minutes; `make test-long`"]
fn every_other_example_whose_master_is_killed() {
    for (job, data) in [
        ("word-count", false),
        ("word-count-built", false),
        ("log-reg-iris", false),
        ("iris-r", false),
        ("flights", true),
        ("delays-dask", true),
        ("delays-ray", true),
        ("delays-mpi", true),
    ] {
        killed(job, data);
    }
}

#[test]
fn log_reg_iris() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_examples());
    let run = launch(&home, &repo, "log-reg-iris", 2);
    check(&repo, "log-reg-iris", &run.results(1), None);
    assert!(run.output(&[]).contains("accuracy"), "{}", run.output(&[]));
    let to = home.scratch("downloaded");
    home.verb(&["results", "last", "--to", to.to_str().unwrap()])
        .exited(0);
    must(Command::new("diff").arg("-r").arg(&to).arg(run.results(1)));
}

#[test]
fn flights() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_examples());
    let data = put_flights(&home, &repo);
    let run = launch(&home, &repo, "flights", 2);
    check(&repo, "flights", &run.results(1), Some(&data));
    // The executors read and wrote it: the parts of the table lay on workers, not on the master with the driver.
    let parts = |node: &str| {
        let path = run.folder().join(format!("attempt-1/manifests/{node}.json"));
        let manifest = std::fs::read_to_string(path).unwrap();
        manifest.matches("delay_by_carrier_month/part-").count()
    };
    assert_eq!(parts("master-1"), 0, "the driver wrote a part");
    assert!(
        parts("worker-1") + parts("worker-2") > 0,
        "no worker wrote a part"
    );
}
