//! Ways to fail, each produced for real: `why` names the cause, with evidence, in the receipt as well; and calls none by a
//! wrong name.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use mayfly_tests::procs::{self, Kind};
use mayfly_tests::wait::secs;
use mayfly_tests::{GitServer, Home, Job, Launch, Repo, Run, programs, slots};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// How many are launched at a time, each with a home of its own.
const AT_A_TIME: usize = 4;
/// Causes that may be told as unknown; wrong ones may not.
const UNKNOWN_MAX: usize = 3;

/// A way to fail.
struct Way {
    name: &'static str,
    cause: &'static str,
    /// What the sentence must name.
    names: &'static str,
    change: fn(Job) -> Job,
}

/// A way of `tests/jobs/ways.py`, with the name of its cause and a part of the sentence.
const fn way(name: &'static str, cause: &'static str, names: &'static str) -> Way {
    Way {
        name,
        cause,
        names,
        change: |job| job,
    }
}

/// The same with something else about the job.
const fn with(way: Way, change: fn(Job) -> Job) -> Way {
    Way { change, ..way }
}

fn deadline(job: Job) -> Job {
    job.set("limits.deadline", "90s").set("limits.form", "70s")
}

fn ways() -> Vec<Way> {
    vec![
        // Those that wait for a deadline first: the others run beside them.
        with(way("sleeps", "deadline", "90 s"), deadline),
        with(way("skew", "skewed-stage", "one task of 8"), deadline),
        with(way("starved", "no-resources", "executor"), deadline),
        way("raise", "exception", "ways.py:35 in number"),
        way("module", "module-missing", "no_such_module"),
        way("module_on_executor", "module-missing", "on the executors"),
        way("udf", "udf-exception", "ZeroDivisionError"),
        way("task_raises", "udf-exception", "KeyError: 'no carrier for 0'"),
        way("csv_missing", "path-missing", "file:/nowhere/flights.csv"),
        way("open_missing", "path-missing", "/nowhere/settings.json"),
        way("column", "column-missing", "delay"),
        way("table", "table-missing", "flights"),
        way("sql", "sql-syntax", "'SELEC'"),
        way("cast", "bad-value", "'n/a'"),
        way("types", "type-mismatch", "types"),
        way("aggregate", "query-invalid", "MISSING_GROUP_BY"),
        way("overwrite", "path-exists", "exists already"),
        way("source", "source-missing", "com.example.excel"),
        way("not_parquet", "bad-file", "table.parquet"),
        with(way("result_size", "result-too-large", "maxResultSize"), |job| {
            job.set("spark.conf", json!({ "spark.driver.maxResultSize": "1m" }))
        }),
        way("driver_heap", "driver-memory", "ways.py"),
        way("driver_python", "driver-memory", "Python in the driver"),
        way("executor_heap", "executor-memory", "one task holds more"),
        way("executor_killed", "executor-killed", "SIGKILL"),
        way("executor_ends", "executor-lost", "143"),
        way("worker_crashes", "python-worker-crashed", "Python worker"),
        way("shuffle_disk", "disk-full", "full"),
        way("denied", "access-denied", "data/flights.csv"),
        way("denied_on_executor", "access-denied", "data/flights.csv"),
        way("no_bucket", "bucket-missing", "no-such-bucket"),
        way("pickle", "serialization", "lock"),
        way("context", "serialization", "CONTEXT_ONLY_VALID_ON_DRIVER"),
        way("python_version", "python-version", "3.7"),
        way("nobody_listens", "network", "ConnectionRefusedError"),
        way("recursion", "recursion", "itself"),
        way("java", "java-exception", "NullPointerException"),
        with(way("broadcast", "broadcast-timeout", "join"), |job| {
            // Adaptive execution waits for the smaller side as long as it takes.
            let conf = json!({ "spark.sql.broadcastTimeout": "1", "spark.sql.adaptive.enabled": "false" });
            job.set("spark.conf", conf)
        }),
        way("exit_3", "exit-code", "3"),
        way("arguments", "arguments", "--month"),
        way("killed", "driver-killed", "signal 9"),
        // Of Spark itself.
        with(way("port", "port-in-use", "sparkDriver"), |job| {
            let conf = json!({ "spark.driver.port": "8080", "spark.port.maxRetries": "0" });
            job.args(&["udf"]).set("spark.conf", conf)
        }),
        with(way("broken", "syntax", "broken.py:1"), |job| {
            job.set("code.entry", "broken.py")
        }),
        with(way("class", "class-missing", "NoSuchMain"), |job| {
            job.set("code.entry", "words.jar").set("code.class", "NoSuchMain")
        }),
        with(way("jar", "java-exception", "NumberFormatException"), |job| {
            let job = job.set("code.entry", "words.jar").set("code.class", "WordCount");
            job.args(&["ways.py", "many"])
        }),
        with(way("jar-path", "path-missing", "nowhere.txt"), |job| {
            let job = job.set("code.entry", "words.jar").set("code.class", "WordCount");
            job.args(&["nowhere.txt", "3"])
        }),
        with(way("requires", "requirements", "no-such-package"), |job| {
            job.set("code.requirements", "missing.txt")
        }),
    ]
}

/// The jobs of the tests, a file that is not Python, and a JAR.
fn repo() -> Repo {
    let jobs = programs::repository().join("tests/jobs");
    let text = |name: &str| std::fs::read_to_string(jobs.join(name)).unwrap();
    let repo = Repo::of(&[
        ("ways.py", &text("ways.py")),
        ("missing.txt", &text("missing.txt")),
        ("broken.py", "def months(:\n    return 12\n"),
    ]);
    let jar = programs::repository().join("examples/word-count/word-count.jar");
    std::fs::copy(jar, repo.path().join("words.jar")).unwrap();
    repo.and_commit();
    repo
}

fn job(way: &Way, home: &Home, repo: &Repo) -> Job {
    let job = Job::at_gate(&way.name.replace('_', "-"), home, repo, "ways.py")
        .args(&[way.name])
        .set("limits.retries", 0);
    let job = (way.change)(job);
    // The first failure of a task is as good as the fourth, and sooner.
    job.lay("spark.conf", json!({ "spark.task.maxFailures": "1" }))
}

/// What `why` says, which must be what the receipt says too.
fn told(home: &Home, run: &Run<'_>) -> Value {
    let ended = home.verb(&["why", run.id.as_str(), "--json"]);
    ended.exited(0);
    let why = ended.json();
    assert_eq!(
        run.receipt()["why"]["cause"],
        why["cause"],
        "the receipt tells another cause"
    );
    why
}

/// What is wrong with what was said of it, if anything is; an unknown cause is not.
fn check(way: &Way, why: &Value, unknown: &Mutex<Vec<String>>) -> Option<String> {
    let text = |key: &str| why[key].as_str().unwrap_or_default();
    if text("cause") == "unknown" {
        let mut unknown = unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.push(way.name.to_owned());
        return None;
    }
    let right = text("cause") == way.cause && text("sentence").contains(way.names);
    let evidence = why["evidence"]
        .as_array()
        .is_some_and(|evidence| !evidence.is_empty());
    (!right || !evidence).then(|| format!("{}: not {} with {:?}: {why:#}", way.name, way.cause, way.names))
}

fn one(way: &Way, home: &Home, repo: &Repo, unknown: &Mutex<Vec<String>>) -> Option<String> {
    let job = job(way, home, repo);
    let mut launch = home.launch(&job);
    let ended = launch.wait(secs(240));
    let Some(id) = home.runs().into_iter().find(|run| run.job() == job.name()) else {
        return Some(format!("{}: no run: {}", way.name, ended.stderr));
    };
    let run = home.run(&id);
    if run.receipt()["ended"]["outcome"] == "succeeded" {
        return Some(format!("{}: did not fail", way.name));
    }
    let why = told(home, &run);
    if why["cause"] != "unknown" {
        // The last block of the launch has it.
        ended.said("coordinator why");
    }
    check(way, &why, unknown)
}

#[test]
#[ignore = "46 runs, a quarter of an hour; `make test-long`"]
fn each_way_to_fail_is_called_by_its_name() {
    let repo = repo();
    let all = ways();
    let count = all.len();
    let queue = Mutex::new(VecDeque::from(all));
    let (unknown, wrong) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                let home = Home::new();
                while let Some(way) = next() {
                    let _slot = slots::take();
                    if let Some(said) = one(&way, &home, &repo, &unknown) {
                        wrong.lock().unwrap_or_else(PoisonError::into_inner).push(said);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {count} by a wrong name:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let unknown = unknown.into_inner().unwrap();
    assert!(unknown.len() <= UNKNOWN_MAX, "not known: {unknown:?}");
}

/// Waits for the end of a launch of which this is the cause.
fn ends_with(home: &Home, run: &Run<'_>, launch: &mut Launch, cause: &str) -> Value {
    launch.wait(secs(120));
    let why = told(home, run);
    assert_eq!(why["cause"], cause, "{why:#}");
    why
}

#[test]
fn a_repository_that_goes_away_after_the_launch() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let server = GitServer::start(repo.path().parent().unwrap());
    let name = repo.path().file_name().unwrap().to_str().unwrap();
    let job = Job::new("away", &server.url(&format!("{name}/.git")), "ends.py").set("limits.retries", 0);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    // The commit is known by now, and no node has fetched it yet.
    drop(server);
    let why = ends_with(&home, &run, &mut launch, "git");
    assert!(why["sentence"].as_str().unwrap().contains("git says"), "{why:#}");
}

#[test]
fn a_worker_that_never_registers() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("lonely", &home, &repo, "ends.py")
        .args(&["fine"])
        .set("limits.retries", 0)
        .set("limits.form", "12s");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    let agent = procs::find(&run.id, Kind::Agent, Some("worker-1"), secs(30));
    agent.signal(Signal::SIGSTOP);
    let why = ends_with(&home, &run, &mut launch, "workers-never-registered");
    assert!(
        why["sentence"].as_str().unwrap().contains("0 of 1 workers"),
        "{why:#}"
    );
}
