//! Ended from outside: by somebody, by the clock, by the money.

use super::super::{Case, Found, Rule, evidence};
use crate::record::Outcome;
use crate::run::NO_SIGN;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "cancelled",
        find: cancelled,
    },
    Rule {
        name: "budget",
        find: budget,
    },
    Rule {
        name: "stalled",
        find: stalled,
    },
    Rule {
        name: "no-resources",
        find: no_resources,
    },
    Rule {
        name: "skewed-stage",
        find: skewed,
    },
    Rule {
        name: "deadline",
        find: deadline,
    },
];

/// A stage waits for stragglers when so much of it is done.
const MOSTLY_DONE: f64 = 0.5;
/// A straggler runs so many times as long as the middle one of those that are done, and so many seconds at least.
const STRAGGLES_TIMES: f64 = 4.0;
const STRAGGLES_SECS: f64 = 5.0;
/// What Spark says while no executor can be had.
const NO_RESOURCES: &str = "Initial job has not accepted any resources";

fn cancelled(case: &Case<'_>) -> Option<Found> {
    let is = case.facts.outcome == Outcome::Cancelled;
    is.then(|| Found::new("somebody cancelled it").because(evidence("the coordinator", [&case.facts.reason])))
}

fn budget(case: &Case<'_>) -> Option<Found> {
    (case.facts.outcome == Outcome::OverBudget).then(|| {
        Found::new(format!(
            "it was stopped so that it stays within its budget: {}",
            case.facts.reason
        ))
        .because(evidence("the coordinator", [&case.facts.reason]))
        .change("raise limits.cost, or ask `coordinator estimate` what earlier runs of this job came to")
        .change("take fewer or smaller workers, or spot ones (workers.spot)")
    })
}

fn timed_out(case: &Case<'_>) -> bool {
    case.facts.outcome == Outcome::TimedOut
}

/// The job hung long before its deadline.
fn stalled(case: &Case<'_>) -> Option<Found> {
    let is = timed_out(case) && case.facts.reason.starts_with(NO_SIGN);
    is.then(|| {
        Found::new(&case.facts.reason)
            .because(evidence("the coordinator", [&case.facts.reason]))
            .because(evidence("Spark's event log", open_stages(case)))
            .because(case.output_end())
            .change("look what it waits for after its last lines of output: a lock, an answer without a time limit, input that never comes")
            .change("where it waits with good reason, raise limits.stall or say `none`")
    })
}

/// The job waited for executors that never came.
fn no_resources(case: &Case<'_>) -> Option<Found> {
    if !timed_out(case) {
        return None;
    }
    let last = case
        .said
        .lines
        .iter()
        .rev()
        .take(50)
        .find(|line| line.contains(NO_RESOURCES))?;
    let had_some = case
        .facts
        .spark
        .as_ref()
        .is_some_and(|spark| spark.tasks > 0 && spark.executors > spark.executors_lost);
    if had_some {
        return None;
    }
    let workers = &case.facts.record.job.workers;
    Some(
        Found::new(
            "the deadline passed while Spark waited for executors: what the job asks of an executor is more than any worker offers",
        )
        .because(evidence("job output", [last]))
        .change(format!(
            "ask for less with spark.executor.memory and spark.executor.cores, or leave them out: executors then fit the workers ({} cores each)",
            workers.machine.cores
        ))
        .change("or give workers more with workers.memory and workers.cores"),
    )
}

fn skewed(case: &Case<'_>) -> Option<Found> {
    if !timed_out(case) {
        return None;
    }
    let open = &case.facts.spark.as_ref()?.unfinished;
    let waits = open.iter().find(|stage| {
        let done = part(stage.done, stage.tasks);
        stage.done > 0
            && stage.done + stage.running >= stage.tasks
            && done >= MOSTLY_DONE
            && stage.oldest_secs >= STRAGGLES_SECS
            && stage.oldest_secs >= STRAGGLES_TIMES * stage.median_secs
    })?;
    let left = waits.tasks - waits.done.min(waits.tasks);
    let what = if left == 1 { "one task" } else { "a few tasks" };
    Some(
        Found::new(format!(
            "the deadline passed while stage {} ({}) waited for {what} of {}: it had run for {:.0} s, the others took {:.1} s",
            waits.stage, waits.name, waits.tasks, waits.oldest_secs, waits.median_secs
        ))
        .because(evidence(
            "Spark's event log",
            [format!(
                "stage {}: {} of {} tasks done, {} running, the oldest for {:.1} s, the middle one took {:.1} s",
                waits.stage, waits.done, waits.tasks, waits.running, waits.oldest_secs, waits.median_secs
            )],
        ))
        .change("spread the keys that most rows share: salt them, or repartition by a column with more values before the join or group")
        .change("for joins and groups of SQL, spark.sql.adaptive.skewJoin.enabled does this by itself where the stage shuffles"),
    )
}

fn deadline(case: &Case<'_>) -> Option<Found> {
    if !timed_out(case) {
        return None;
    }
    Some(
        Found::new(format!("it took longer than it may: {}", case.facts.reason))
            .because(evidence("the coordinator", [&case.facts.reason]))
            .because(evidence("Spark's event log", open_stages(case)))
            .because(case.output_end())
            .change("raise limits.deadline, or `coordinator extend` a run while it goes on")
            .change("or take more workers, if its stages have more tasks than there are cores"),
    )
}

fn open_stages(case: &Case<'_>) -> Vec<String> {
    let open = case.facts.spark.iter().flat_map(|spark| &spark.unfinished);
    let told = open.map(|stage| {
        format!(
            "stage {} ({}): {} of {} tasks done",
            stage.stage, stage.name, stage.done, stage.tasks
        )
    });
    told.collect()
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
fn part(done: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { done as f64 / all as f64 }
}
