//! The runs as they are now: pure functions of their views.

use mayfly_kit::scrape::{Family, value};
use mayfly_proto::v1;

/// Millionths and cents of a dollar.
const MICROS: f64 = 1e6;
const CENTS: f64 = 1e2;
/// Phases of an open run.
const PHASES: [v1::Phase; 6] = [
    v1::Phase::Accepted,
    v1::Phase::Arming,
    v1::Phase::Forming,
    v1::Phase::Working,
    v1::Phase::Collecting,
    v1::Phase::Releasing,
];
/// States of a node; `booting` has not enrolled yet, `lost` was given up and may still be there.
const STATES: [&str; 11] = [
    "booting",
    "preparing",
    "ready",
    "working",
    "ended",
    "collecting",
    "collected",
    "committed",
    "failed",
    "leaving",
    "lost",
];

pub(super) fn is_closed(view: &v1::RunView) -> bool {
    view.phase() == v1::Phase::Closed
}

/// When the run was closed, by the coordinator's clock.
pub(super) fn closed_ms(view: &v1::RunView) -> Option<i64> {
    let last = view.phases.last()?;
    (last.phase() == v1::Phase::Closed).then_some(last.began_ms)
}

/// Time in each phase of each attempt so far: until the next one began, the last one until `now_ms`.
pub(super) fn phase_secs(view: &v1::RunView, now_ms: i64) -> Vec<(u32, v1::Phase, f64)> {
    let ends = view
        .phases
        .iter()
        .skip(1)
        .map(|span| span.began_ms)
        .chain([now_ms]);
    view.phases
        .iter()
        .zip(ends)
        .filter(|(span, _)| span.phase() != v1::Phase::Closed)
        .map(|(span, end)| (span.attempt, span.phase(), secs(end - span.began_ms)))
        .collect()
}

fn secs(ms: i64) -> f64 {
    std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0)).as_secs_f64()
}

pub(super) fn phase_name(phase: v1::Phase) -> &'static str {
    match phase {
        v1::Phase::Unspecified => "unknown",
        v1::Phase::Accepted => "accepted",
        v1::Phase::Arming => "arming",
        v1::Phase::Forming => "forming",
        v1::Phase::Working => "working",
        v1::Phase::Collecting => "collecting",
        v1::Phase::Releasing => "releasing",
        v1::Phase::Closed => "closed",
    }
}

pub(super) fn outcome_name(outcome: v1::Outcome) -> Option<&'static str> {
    match outcome {
        v1::Outcome::Unspecified => None,
        v1::Outcome::Succeeded => Some("succeeded"),
        v1::Outcome::JobFailed => Some("job-failed"),
        v1::Outcome::InfraFailed => Some("infra-failed"),
        v1::Outcome::TimedOut => Some("timed-out"),
        v1::Outcome::OverBudget => Some("over-budget"),
        v1::Outcome::Cancelled => Some("cancelled"),
    }
}

pub(super) fn role_name(role: v1::Role) -> &'static str {
    match role {
        v1::Role::Unspecified => "unknown",
        v1::Role::Master => "master",
        v1::Role::Worker => "worker",
        v1::Role::Auto => "auto",
    }
}

/// State of a node that is not gone.
fn state(node: &v1::NodeView) -> &'static str {
    if node.lost {
        return "lost";
    }
    match node.phase() {
        v1::NodePhase::Unspecified => "booting",
        v1::NodePhase::Preparing => "preparing",
        v1::NodePhase::Ready => "ready",
        v1::NodePhase::Working => "working",
        v1::NodePhase::Ended => "ended",
        v1::NodePhase::Collecting => "collecting",
        v1::NodePhase::Collected => "collected",
        v1::NodePhase::Committed => "committed",
        v1::NodePhase::Failed => "failed",
        v1::NodePhase::Leaving => "leaving",
    }
}

fn count(n: usize) -> f64 {
    value(u64::try_from(n).unwrap_or(u64::MAX))
}

/// All runs together. Zeros are told too: that nothing is left is worth an alert's trust.
pub(super) fn overview(views: &[v1::RunView]) -> [Family; 2] {
    let mut runs = Family::gauge("mayfly_runs", "Runs that are not closed, by phase.");
    for phase in PHASES {
        let here = views.iter().filter(|view| view.phase() == phase).count();
        runs.add([("phase", phase_name(phase))], count(here));
    }
    let mut nodes = Family::gauge(
        "mayfly_nodes",
        "Nodes of runs that are not closed, by state, until they are seen to be gone.",
    );
    let there: Vec<_> = views
        .iter()
        .filter(|view| !is_closed(view))
        .flat_map(present)
        .collect();
    for known in STATES {
        let here = there.iter().filter(|node| state(node) == known).count();
        nodes.add([("state", known)], count(here));
    }
    [runs, nodes]
}

fn present(view: &v1::RunView) -> impl Iterator<Item = &v1::NodeView> {
    view.nodes.iter().filter(|node| !node.gone)
}

/// Each run by itself.
pub(super) fn each(views: &[&v1::RunView], now_ms: i64) -> [Family; 11] {
    let mut info = Family::gauge(
        "mayfly_run_info",
        "Always 1; the labels say what runs, to be joined by `run`.",
    );
    let mut phase = Family::gauge("mayfly_run_phase", "1 for the phase that the run is in.");
    let mut phase_seconds = Family::gauge(
        "mayfly_run_phase_seconds",
        "Time that the run has spent in each phase of each attempt so far.",
    );
    let mut outcome = Family::gauge("mayfly_run_outcome", "1 for the outcome, once it is known.");
    let mut attempts = Family::gauge("mayfly_run_attempts", "Attempts that have begun.");
    let mut nodes = Family::gauge(
        "mayfly_run_nodes",
        "Nodes that the run has had, by role and whether they are there, gone, or were lost.",
    );
    let mut cpu = Family::counter(
        "mayfly_run_cpu_seconds",
        "CPU time that the processes of all its nodes used, as they reported it.",
    );
    let mut deadline = Family::gauge(
        "mayfly_run_deadline_remaining_seconds",
        "Until the run is ended, whatever it does.",
    );
    let mut cost = Family::counter(
        "mayfly_run_cost_dollars",
        "US dollars that its machines have cost; 0 where machines are not paid for.",
    );
    let mut price = Family::gauge(
        "mayfly_run_price_dollars_per_hour",
        "US dollars that the machines which are there cost in an hour.",
    );
    let mut cost_limit = Family::gauge(
        "mayfly_run_cost_limit_dollars",
        "US dollars at which the run is ended (limits.cost).",
    );
    for view in views {
        let run = view.run_id.as_str();
        let labels = [
            ("run", run),
            ("job_name", view.job.as_str()),
            ("cloud", view.cloud.as_str()),
            ("commit", view.commit.as_str()),
        ];
        info.add(labels, 1.0);
        phase.add([("run", run), ("phase", phase_name(view.phase()))], 1.0);
        for (attempt, phase, secs) in phase_secs(view, now_ms) {
            let attempt = attempt.to_string();
            let labels = [
                ("run", run),
                ("attempt", attempt.as_str()),
                ("phase", phase_name(phase)),
            ];
            phase_seconds.add(labels, secs);
        }
        if let Some(name) = outcome_name(view.outcome()) {
            outcome.add([("run", run), ("outcome", name)], 1.0);
        }
        attempts.add([("run", run)], view.attempt.into());
        add_nodes(&mut nodes, view);
        cpu.add([("run", run)], cpu_secs(view));
        cost.add([("run", run)], value(view.cost_micros) / MICROS);
        price.add([("run", run)], value(view.hourly_micros) / MICROS);
        cost_limit.add([("run", run)], value(view.budget_cents) / CENTS);
        if !is_closed(view) {
            deadline.add([("run", run)], secs(view.deadline_ms - now_ms));
        }
    }
    [
        info,
        phase,
        phase_seconds,
        outcome,
        attempts,
        nodes,
        cpu,
        deadline,
        cost,
        price,
        cost_limit,
    ]
}

/// What a node says of itself is no number that a counter can have, if the node is wrong.
fn cpu_secs(view: &v1::RunView) -> f64 {
    let used = view.nodes.iter().filter_map(|node| node.usage.as_ref());
    let possible = used
        .map(|usage| usage.cpu_core_secs)
        .filter(|secs| (0.0..1e12).contains(secs));
    possible.sum()
}

fn add_nodes(family: &mut Family, view: &v1::RunView) {
    for role in [v1::Role::Master, v1::Role::Worker, v1::Role::Auto] {
        // Only nodes that are alike have no role, and only before it is decided.
        let undecided = |node: &v1::NodeView| node.role() == v1::Role::Auto;
        if role == v1::Role::Auto && !view.nodes.iter().any(undecided) {
            continue;
        }
        for state in ["there", "gone", "lost"] {
            let is = |node: &&v1::NodeView| {
                let now = match (node.lost, node.gone) {
                    (true, _) => "lost",
                    (false, true) => "gone",
                    (false, false) => "there",
                };
                node.role() == role && now == state
            };
            let labels = [
                ("run", view.run_id.as_str()),
                ("role", role_name(role)),
                ("state", state),
            ];
            family.add(labels, count(view.nodes.iter().filter(is).count()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_of_now_grows_and_the_others_stand() {
        let span = |phase: v1::Phase, attempt, began_ms| v1::PhaseSpan {
            phase: phase.into(),
            attempt,
            began_ms,
        };
        let mut view = v1::RunView {
            phases: vec![
                span(v1::Phase::Accepted, 1, 1_000),
                span(v1::Phase::Forming, 1, 1_500),
                span(v1::Phase::Forming, 2, 4_000),
            ],
            ..v1::RunView::default()
        };
        let told = [
            (1, v1::Phase::Accepted, 0.5),
            (1, v1::Phase::Forming, 2.5),
            (2, v1::Phase::Forming, 6.0),
        ];
        assert_eq!(phase_secs(&view, 10_000), told);
        view.phases.push(span(v1::Phase::Closed, 2, 10_000));
        assert_eq!(phase_secs(&view, 99_000), told, "a closed run does not grow");
    }

    #[test]
    fn money_is_told_in_dollars() {
        let view = v1::RunView {
            cost_micros: 1_234_500,
            hourly_micros: 206_400,
            budget_cents: 2_550,
            ..v1::RunView::default()
        };
        let told: Vec<_> = each(&[&view], 0)
            .into_iter()
            .filter(|family| family.name.contains("dollars"))
            .map(|family| (family.name, family.samples[0].1))
            .collect();
        let expected = [
            ("mayfly_run_cost_dollars", 1.2345),
            ("mayfly_run_price_dollars_per_hour", 0.2064),
            ("mayfly_run_cost_limit_dollars", 25.5),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_node_that_was_lost_is_counted_as_such_until_it_is_gone() {
        let node = |lost, gone| v1::NodeView {
            role: v1::Role::Worker.into(),
            phase: v1::NodePhase::Ready.into(),
            lost,
            gone,
            ..v1::NodeView::default()
        };
        let view = v1::RunView {
            phase: v1::Phase::Working.into(),
            nodes: vec![
                node(false, false),
                node(true, false),
                node(true, true),
                node(false, true),
            ],
            ..v1::RunView::default()
        };
        let value = |family: &Family, label: &str| {
            let found = family
                .samples
                .iter()
                .find(|(labels, _)| labels.iter().any(|l| l.1 == label));
            found.unwrap().1
        };
        let [_, nodes] = overview(std::slice::from_ref(&view));
        assert_eq!((value(&nodes, "ready"), value(&nodes, "lost")), (1.0, 1.0));
        let total: f64 = nodes.samples.iter().map(|sample| sample.1).sum();
        assert_eq!(total, 2.0, "what is gone is not there");
    }
}
