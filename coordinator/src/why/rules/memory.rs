//! Memory: of the driver, of executors, of Python; and what was killed.

use super::super::trace::is_log;
use super::super::{Case, Found, Rule, evidence};
use super::between;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "driver-memory",
        find: driver_heap,
    },
    Rule {
        name: "result-too-large",
        find: result_too_large,
    },
    Rule {
        name: "executor-memory",
        find: executor_heap,
    },
    Rule {
        name: "executor-killed",
        find: executor_killed,
    },
    Rule {
        name: "python-worker-crashed",
        find: worker_crashed,
    },
    Rule {
        name: "executor-lost",
        find: executor_lost,
    },
    Rule {
        name: "driver-memory",
        find: driver_python,
    },
    Rule {
        name: "executor-memory",
        find: worker_python,
    },
    Rule {
        name: "driver-memory",
        find: driver_killed_by_kernel,
    },
    Rule {
        name: "driver-killed",
        find: driver_killed,
    },
];

const HEAP: [&str; 3] = [
    "java.lang.OutOfMemoryError",
    "SparkOutOfMemoryError",
    "UNABLE_TO_ACQUIRE_MEMORY",
];
/// How Spark tells that a task, and not the driver, failed.
const OF_TASK: [&str; 2] = ["Job aborted due to stage failure", "Lost task "];
/// What a kernel that runs out of memory does, as agents tell it.
const KERNEL: &str = "the kernel killed";

fn of_task(case: &Case<'_>) -> bool {
    OF_TASK.iter().any(|part| case.said.says(part))
}

fn driver_heap(case: &Case<'_>) -> Option<Found> {
    let mut line = case.said.line_with(&HEAP);
    if line.is_none() && case.said.last.is_empty() {
        // A driver without memory may not even manage to say so at its end.
        let mut last = case.said.lines.iter().rev().take(200).map(String::as_str);
        line = last.find(|line| is_of_jvm(line));
    }
    let line = line.filter(|_| case.job_failed() && !of_task(case))?;
    let place = case.driver_place();
    Some(
        Found::new(format!(
            "the driver ran out of memory{}: its heap is too small for what was brought to it",
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(evidence("job output", [line.trim()]))
        .change(
            "leave the data on the executors: write it, or aggregate it, instead of collect() and toPandas()",
        )
        .change("or give the master more with master.memory"),
    )
}

/// A line in which the driver's JVM itself, and not the job, says that its memory ran out.
fn is_of_jvm(line: &str) -> bool {
    const ERROR: &str = "java.lang.OutOfMemoryError";
    let begins = ["", "Exception: ", "Exception in thread ", "Terminating due to "];
    let said = begins.iter().any(|begin| {
        let rest = line.strip_prefix(begin);
        rest.is_some_and(|rest| rest.starts_with(ERROR) || (!begin.is_empty() && rest.contains(ERROR)))
    });
    said || (is_log(line) && line.contains(ERROR) && !line.contains("TaskSetManager"))
}

fn result_too_large(case: &Case<'_>) -> Option<Found> {
    let line = case.said.line_with(&[
        "is bigger than spark.driver.maxResultSize",
        "bigger than local result size limit",
    ])?;
    let place = case.driver_place();
    let sizes = between(line, "Total size of serialized results of ", " is bigger")
        .unwrap_or("what the tasks return");
    Some(
        Found::new(format!(
            "more was brought to the driver than spark.driver.maxResultSize allows{}: {sizes}",
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(case.output_with(&["is bigger than"]))
        .change("write the result with df.write, or aggregate it first, instead of collect() and toPandas()")
        .change("or raise spark.conf spark.driver.maxResultSize, with a master.memory to match"),
    )
}

fn executor_heap(case: &Case<'_>) -> Option<Found> {
    let failed = case.job_failed() && of_task(case);
    let told = case.said.line_with(&HEAP).map(str::trim);
    // 52 is what an executor ends with that ran out of heap (SparkExitCode.OOM).
    let ended = case.said.line_with(&["exit code 52", "code 52"]).map(str::trim);
    let line = told.or(ended).filter(|_| failed)?;
    let place = case.driver_place();
    let mut found = Found::new(format!(
        "an executor ran out of memory{}: one task holds more than its share of the heap",
        Case::shown(place.as_ref())
    ))
    .at(place)
    .because(evidence("job output", [line]));
    found = events(case, found, &["OutOfMemory", "code 52"]);
    Some(
        found
            .change("more partitions make each task smaller: repartition(n), or spark.sql.shuffle.partitions")
            .change("avoid what holds a whole group in one task: collect_list, groupByKey, a window without a partition")
            .change(format!("or give workers more with workers.memory (now {} MiB)", case.facts.record.job.workers.machine.memory_bytes >> 20)),
    )
}

/// What the event log says of it.
fn events(case: &Case<'_>, found: Found, any: &[&str]) -> Found {
    let Some(spark) = &case.facts.spark else {
        return found;
    };
    let holds = |text: &str| any.iter().any(|part| text.contains(part));
    let failures = spark
        .failures
        .iter()
        .filter(|f| holds(&f.said) || holds(&f.class))
        .map(|f| {
            format!(
                "stage {}, {} times: {} {} {}",
                f.stage,
                f.times,
                f.reason,
                f.class,
                f.said.lines().next().unwrap_or_default()
            )
        });
    let lost = spark
        .lost
        .iter()
        .filter(|l| holds(&l.reason))
        .map(|l| format!("executor {} on {}: {}", l.executor, l.host, l.reason));
    found.because(evidence("Spark's event log", failures.chain(lost)))
}

fn executor_killed(case: &Case<'_>) -> Option<Found> {
    if !(case.job_failed() && case.said.says("ExecutorLostFailure")) {
        return None;
    }
    let marks = [
        "exit code 137",
        "code 137",
        "SIGKILL",
        "exit status: 137",
        "exit code 9",
    ];
    let line = case.said.line_with(&marks)?.trim();
    let place = case.driver_place();
    let kernel = case.agents_with(KERNEL);
    let sentence = match &kernel {
        Some((node, _)) => format!("the kernel killed an executor on {node} because memory ran out"),
        None => "executors were killed by SIGKILL, again and again: a kernel that runs out of memory does that, or a person".to_owned(),
    };
    let mut found = Found::new(format!("{sentence}{}", Case::shown(place.as_ref())))
        .at(place)
        .because(evidence("job output", [line]));
    found = events(case, found, &["137", "SIGKILL"]);
    if let Some((_, evidence)) = kernel {
        found = found.because(evidence);
    }
    let held = case.facts.nodes.iter().filter_map(|node| {
        let peak = node.peak_bytes?;
        Some(format!(
            "{}: at most {} of {} MiB",
            node.node,
            peak >> 20,
            node.memory_bytes >> 20
        ))
    });
    Some(
        found
            .because(evidence("the receipt", held))
            .change("what Python workers hold is outside of the heap: lower spark.executor.memory, or give workers more with workers.memory")
            .change("more partitions make each task smaller"),
    )
}

fn worker_crashed(case: &Case<'_>) -> Option<Found> {
    let line = case
        .said
        .line_with(&["Python worker exited unexpectedly (crashed)"])?;
    let place = case.driver_place();
    Some(
        Found::new(format!(
            "a Python worker of an executor crashed{}: it did not raise, it ended (os._exit, a signal, or an extension in C)",
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(evidence("job output", [line.trim()]))
        .change("set spark.conf spark.python.worker.faulthandler.enabled: \"true\": the output then has the place where it crashed")
        .change("if it is memory, give workers more with workers.memory, or make tasks smaller with more partitions"),
    )
}

fn executor_lost(case: &Case<'_>) -> Option<Found> {
    if !(case.job_failed() && case.said.says("ExecutorLostFailure")) {
        return None;
    }
    let line = case.said.line_with(&["ExecutorLostFailure"])?;
    let place = case.driver_place();
    let why = line.split_once("Reason: ").map_or("", |(_, why)| why).trim();
    let mut found = Found::new(format!(
        "the executors of a task were lost, as often as Spark tries{}: {why}",
        Case::shown(place.as_ref())
    ))
    .at(place)
    .because(evidence("job output", [line.trim()]));
    found = events(case, found, &[""]);
    Some(found.change("`coordinator logs RUN --stream engine` has what the Workers say of it"))
}

fn driver_python(case: &Case<'_>) -> Option<Found> {
    let root = case
        .said
        .root()
        .filter(|t| t.name() == "MemoryError" && case.job_failed())?;
    let inner = root.is_workers() || case.said.says("PythonException");
    (!inner).then(|| {
        let place = root.place();
        Found::new(format!(
            "Python in the driver ran out of memory{}",
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(case.traced(root))
        .change("give the master more with master.memory, or leave the data on the executors")
    })
}

fn worker_python(case: &Case<'_>) -> Option<Found> {
    let root = case
        .said
        .root()
        .filter(|t| t.name() == "MemoryError" && case.job_failed())?;
    let place = root.place();
    Some(
        Found::new(format!(
            "Python on an executor ran out of memory{}",
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(case.traced(root))
        .change("give workers more with workers.memory, or make tasks smaller with more partitions"),
    )
}

fn killed(case: &Case<'_>) -> bool {
    case.facts.outcome == crate::record::Outcome::JobFailed
        && case.facts.reason.contains("was killed by signal 9")
}

fn driver_killed_by_kernel(case: &Case<'_>) -> Option<Found> {
    let (node, evidence) = case.agents_with(KERNEL).filter(|_| killed(case))?;
    Some(
        Found::new(format!(
            "the kernel of {node} killed the driver because memory ran out"
        ))
        .because(evidence)
        .because(case.output_end())
        .change("give the master more with master.memory, or leave the data on the executors"),
    )
}

fn driver_killed(case: &Case<'_>) -> Option<Found> {
    let ended = case.facts.reason.contains("was ended by signal") || killed(case);
    let is = case.facts.outcome == crate::record::Outcome::JobFailed && ended;
    is.then(|| {
        Found::new(format!("something outside of the job ended it: {}", case.facts.reason))
            .because(evidence("the agent", [&case.facts.reason]))
            .because(case.output_end())
            .change("SIGKILL is what a kernel does that runs out of memory, and what a person may do: look at the machine's memory")
    })
}
