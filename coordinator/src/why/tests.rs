//! Causes that machines of a cloud, or luck, would have to produce: in the words of those that tell them. What a real Spark
//! says is in the whole-path tests.

use super::samples::{facts, failed};
use super::*;
use crate::record::{Lost, Unfinished};

fn cause(facts: &Facts) -> String {
    explain(facts).cause
}

fn infra(reason: &str) -> String {
    cause(&facts(Outcome::InfraFailed, reason, None, ""))
}

#[test]
fn what_the_coordinator_says_of_machines_is_named() {
    for (reason, name) in [
        (
            "You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket",
            "quota",
        ),
        (
            "the fleet did not form within 300 s: 0 of 2 workers ready (InsufficientInstanceCapacity: no m7g.large)",
            "no-capacity",
        ),
        (
            "the groups cannot be made: You are not authorized to perform this operation",
            "cloud-permission",
        ),
        (
            "master-i-0123456789abcdef0 was taken away: its spot instance is interrupted",
            "spot-loss",
        ),
        (
            "the fleet did not form within 60 s: 1 of 2 workers ready; the master says: ready",
            "workers-never-registered",
        ),
        (
            "the fleet did not form within 60 s: 0 of 2 workers ready, no master enrolled",
            "no-master",
        ),
        (
            "all workers were lost and none came back within 60 s",
            "node-lost",
        ),
        (
            "worker-1 was lost and may have held a part of the results",
            "results-lost",
        ),
        (
            "master-1 failed: spark-master ended with exit code 1, for the 4th time",
            "engine-failed",
        ),
        (
            "master-1 failed: cannot fetch from https://x/y.git: git says: fatal: unable to access",
            "git",
        ),
        ("something new", UNKNOWN),
    ] {
        assert_eq!(infra(reason), name, "{reason}");
    }
    assert_eq!(
        cause(&facts(
            Outcome::OverBudget,
            "the budget of $1.00 is used up",
            None,
            ""
        )),
        "budget"
    );
    assert_eq!(
        cause(&facts(Outcome::Cancelled, "cancelled", None, "")),
        "cancelled"
    );
}

#[test]
fn a_job_that_hung_is_told_from_one_that_was_late() {
    let reason = "the job showed no sign of life for 1h: no output, no progress, and so on";
    let mut hung = facts(Outcome::TimedOut, reason, None, "waiting for the lock");
    hung.spark = Some(Summary {
        unfinished: vec![Unfinished {
            stage: 3,
            name: "count at a.py:1".to_owned(),
            tasks: 8,
            done: 7,
            running: 1,
            median_secs: 0.5,
            oldest_secs: 3_600.0,
        }],
        ..Summary::default()
    });
    let why = explain(&hung);
    assert_eq!((why.cause.as_str(), why.sentence.as_str()), ("stalled", reason));
    let told: Vec<&str> = why
        .evidence
        .iter()
        .map(|evidence| evidence.source.as_str())
        .collect();
    assert_eq!(told, ["the coordinator", "Spark's event log", "job output"]);
    assert!(
        why.change
            .last()
            .unwrap()
            .ends_with("raise limits.stall or say `none`"),
        "{why:?}"
    );
}

#[test]
fn what_kept_the_job_from_starting_is_named() {
    for (reason, name) in [
        (
            "this machine has no Python 3.13, which the job names (code.python): install it there, or name one that it has: \
             3.11 (/usr/bin/python3.11)",
            "python-missing",
        ),
        (
            "r.txt cannot be installed: no matching distribution",
            "requirements",
        ),
        (
            "code.entry \"main.py\" does not exist in the repository at this commit",
            "entry-missing",
        ),
    ] {
        assert_eq!(
            cause(&facts(Outcome::JobFailed, reason, None, "")),
            name,
            "{reason}"
        );
    }
}

#[test]
fn a_deadline_that_a_straggler_passed_is_told_from_one_of_too_much_work() {
    let stage = |done, running, oldest_secs| Unfinished {
        stage: 3,
        name: "count at a.py:1".to_owned(),
        tasks: 8,
        done,
        running,
        median_secs: 0.5,
        oldest_secs,
    };
    let mut late = facts(Outcome::TimedOut, "the deadline of 60 s passed", None, "");
    for (unfinished, name) in [
        (stage(7, 1, 40.0), "skewed-stage"),
        (stage(7, 1, 1.0), "deadline"),
        (stage(2, 2, 40.0), "deadline"),
        (stage(0, 8, 40.0), "deadline"),
    ] {
        late.spark = Some(Summary {
            unfinished: vec![unfinished.clone()],
            ..Summary::default()
        });
        assert_eq!(cause(&late), name, "{unfinished:?}");
    }
}

#[test]
fn an_executor_that_the_kernel_killed_is_so_by_evidence_alone() {
    let output = "Traceback (most recent call last):\n  File \"/n/code/main.py\", line 9, in <module>\n    x\npy4j.protocol.Py4JJavaError: An error occurred while calling o1.x.\n: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 0.0 failed 4 times, most recent failure: Lost task 0.3 in stage 0.0 (TID 3) (127.0.0.2 executor 3): ExecutorLostFailure (executor 3 exited caused by one of the running tasks) Reason: Command exited with code 137\nDriver stacktrace:";
    let mut killed = failed(1, output);
    killed.spark = Some(Summary {
        lost: vec![Lost {
            executor: "3".to_owned(),
            host: "127.0.0.2".to_owned(),
            reason: "Command exited with code 137".to_owned(),
        }],
        ..Summary::default()
    });
    let why = explain(&killed);
    assert_eq!(why.cause, "executor-killed");
    assert!(!why.sentence.contains("the kernel killed"), "{}", why.sentence);
    assert_eq!(why.place.as_deref(), Some("main.py:9"));
    killed.agent = vec![Lines {
        node: "worker-1".to_owned(),
        lines: vec!["WARN the kernel killed 1 of this machine's processes because memory ran out".to_owned()],
    }];
    let why = explain(&killed);
    assert!(
        why.sentence
            .starts_with("the kernel killed an executor on worker-1"),
        "{}",
        why.sentence
    );
}

#[test]
fn an_exception_that_the_job_only_tells_of_is_not_its_cause() {
    let told = "Traceback (most recent call last):\n  File \"/n/code/main.py\", line 1, in <module>\nValueError: handled\ngoing on\nnothing to do today";
    assert_eq!(cause(&failed(3, told)), "exit-code");
    // Words that some rule looks for, in a line of the job's own.
    let said =
        "the report says: No space left on device, PATH_NOT_FOUND, java.lang.OutOfMemoryError in 3 of 9 runs";
    assert_eq!(cause(&failed(3, said)), "exit-code");
    assert_eq!(cause(&failed(1, "")), "exit-code");
}

#[test]
fn of_a_program_that_ends_itself_its_last_words_are_told() {
    let said = explain(&failed(3, "one\nno such month\n\n")).sentence;
    assert_eq!(
        said,
        "the job ended itself with exit code 3; the last that it said is \"no such month\""
    );
    let said = explain(&failed(1, "")).sentence;
    assert_eq!(said, "the job ended itself with exit code 1 and said nothing");
}

#[test]
fn what_stops_a_program_of_r_is_named() {
    let of = |output: &str| explain(&failed(1, output));
    let missing = "Error in library(SparkR) : there is no package called ‘SparkR’\nExecution halted\nException in thread \"main\" org.apache.spark.SparkUserAppException: User application exited with 1";
    let why = of(missing);
    assert_eq!(
        (why.cause.as_str(), why.sentence.as_str()),
        ("r-package-missing", "the R package SparkR is not installed")
    );
    let why =
        of("[1] 3\nError in read.csv(place) : \n  no rows in table\nCalls: f -> read.csv\nExecution halted");
    assert_eq!(
        (why.cause.as_str(), why.sentence.as_str()),
        (
            "r-error",
            "the R program stopped in read.csv(place): no rows in table"
        )
    );
    let why = of("Error: object 'delays' not found\nExecution halted");
    assert_eq!(why.sentence, "the R program stopped: object 'delays' not found");
    // A line of the job's own that begins so.
    assert_eq!(cause(&failed(3, "Error in a row : skipped\ndone")), "exit-code");
}

#[test]
fn names_are_words_and_none_is_that_of_what_is_not_known() {
    let all: std::collections::BTreeSet<_> = names().collect();
    assert!(all.len() >= 40 && !all.contains(UNKNOWN), "{all:?}");
    let word = |name: &&str| name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    assert!(all.iter().all(word), "{all:?}");
}
