//! What a page shows of a run, whether its owner is in this process or only the store knows it: no I/O.

use mayfly_proto::v1;

use super::charts::Bar;
use crate::cli::view::{staged, units};
use crate::record::{Outcome, PhaseName, Receipt, Role, RunRecord};

/// A run, as its page shows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub(super) run: String,
    pub(super) job: String,
    pub(super) commit: String,
    pub(super) attempt: u32,
    pub(super) state: State,
    pub(super) closed: bool,
    /// Whether its owner is in this process: it can be followed, cancelled and extended.
    pub(super) live: bool,
    pub(super) bars: Vec<Bar>,
    pub(super) total_secs: f64,
    /// Until the end of the run at the latest, from now.
    pub(super) left_secs: f64,
    pub(super) reason: String,
    pub(super) exit_code: Option<i32>,
    pub(super) last_lines: Vec<String>,
    pub(super) nodes: Vec<NodeShown>,
    pub(super) workers: (u32, u32),
    pub(super) progress: Option<v1::Progress>,
    pub(super) cost: Cost,
    pub(super) notices: Vec<String>,
    /// Whether the engine's own pages can be reached through this coordinator now.
    pub(super) engine_ui: bool,
}

/// What it cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Whether its machines are paid for.
    pub(super) paid: bool,
    /// Millionths of a US dollar.
    pub(super) micros: u64,
    /// By the hour, of what is there now.
    pub(super) hourly_micros: u64,
    /// What it may cost, in US cents.
    pub(super) cap_cents: u64,
}

/// A word for how a run is, and how good that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) word: &'static str,
    pub(super) tone: &'static str,
}

/// A node.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NodeShown {
    pub(super) id: String,
    pub(super) master: bool,
    pub(super) phase: &'static str,
    pub(super) status: String,
    pub(super) cores: u32,
    pub(super) memory_bytes: u64,
    /// In use now, or on average and at most once it is over.
    pub(super) cpu: Option<f64>,
    pub(super) memory_used: Option<u64>,
    pub(super) gone: bool,
    pub(super) lost: bool,
    pub(super) cost_micros: u64,
    pub(super) kind: String,
}

impl State {
    /// The word for an outcome or else a phase.
    pub(super) fn of(outcome: Option<Outcome>, phase: PhaseName) -> Self {
        let (word, tone) = match (outcome, phase) {
            (Some(Outcome::Succeeded), _) => ("succeeded", "good"),
            (Some(Outcome::JobFailed), _) => ("job failed", "bad"),
            (Some(Outcome::InfraFailed), _) => ("infrastructure failed", "bad"),
            (Some(Outcome::TimedOut), _) => ("timed out", "bad"),
            (Some(Outcome::OverBudget), _) => ("over budget", "bad"),
            (Some(Outcome::Cancelled), _) => ("cancelled", "calm"),
            (None, PhaseName::Accepted) => ("accepted", "busy"),
            (None, PhaseName::Arming) => ("arming", "busy"),
            (None, PhaseName::Forming) => ("forming", "busy"),
            (None, PhaseName::Working) => ("working", "busy"),
            (None, PhaseName::Collecting) => ("collecting", "busy"),
            (None, PhaseName::Releasing) => ("releasing", "busy"),
            (None, PhaseName::Closed) => ("closed", "calm"),
        };
        Self { word, tone }
    }
}

/// Whether this may be the outcome that a filter asks for.
pub(super) const FILTERS: [(&str, &str); 7] = [
    ("", "all"),
    ("open", "open"),
    ("succeeded", "succeeded"),
    ("failed", "failed"),
    ("cancelled", "cancelled"),
    ("timed-out", "timed out"),
    ("over-budget", "over budget"),
];

/// The word of a filter that a run falls under.
pub(super) fn class(outcome: Option<Outcome>, closed: bool) -> &'static str {
    match outcome {
        _ if !closed => "open",
        None => "open",
        Some(Outcome::Succeeded) => "succeeded",
        Some(Outcome::JobFailed | Outcome::InfraFailed) => "failed",
        Some(Outcome::Cancelled) => "cancelled",
        Some(Outcome::TimedOut) => "timed-out",
        Some(Outcome::OverBudget) => "over-budget",
    }
}

impl Shown {
    /// As the owner of a run shows it.
    pub(super) fn live(view: &v1::RunView, now_ms: i64) -> Self {
        let phase = phase_of(view.phase());
        let closed = phase == PhaseName::Closed;
        let marks: Vec<(PhaseName, u32, i64)> = view
            .phases
            .iter()
            .map(|span| (phase_of(span.phase()), span.attempt, span.began_ms))
            .collect();
        let end = if closed {
            None
        } else {
            Some(now_ms.max(view.now_ms))
        };
        let (bars, total_secs) = bars(&marks, end);
        let outcome = outcome_of(view.outcome());
        let nodes: Vec<NodeShown> = view.nodes.iter().map(node_of_view).collect();
        Self {
            run: view.run_id.clone(),
            job: view.job.clone(),
            commit: view.commit.clone(),
            attempt: view.attempt,
            state: State::of(outcome, phase),
            closed,
            live: !closed,
            bars,
            total_secs,
            left_secs: units::between_ms(now_ms, view.deadline_ms),
            reason: view.reason.clone(),
            exit_code: view.exit_code,
            last_lines: view.last_lines.clone(),
            engine_ui: !closed && master_of(view).is_some(),
            nodes,
            workers: (view.workers_wanted, view.workers_min),
            progress: view.progress.clone().filter(|progress| progress.tasks_total > 0),
            cost: Cost {
                paid: view.hourly_micros > 0 || view.cost_micros > 0,
                micros: view.cost_micros,
                hourly_micros: view.hourly_micros,
                cap_cents: view.budget_cents,
            },
            notices: view.notices.clone(),
        }
    }

    /// As the store has it.
    pub(super) fn stored(record: &RunRecord, receipt: Option<&Receipt>, now_ms: i64) -> Self {
        let phase = record
            .phases
            .last()
            .map_or(PhaseName::Accepted, |mark| mark.phase);
        let closed = record.is_closed();
        let mark = |mark: &crate::record::PhaseMark| {
            (mark.phase, mark.attempt.number(), mark.began.as_millisecond())
        };
        let marks: Vec<_> = record.phases.iter().map(mark).collect();
        let (bars, total_secs) = bars(&marks, (!closed).then_some(now_ms));
        let ended = record.ended.as_ref();
        Self {
            run: record.run.to_string(),
            job: record.job.name.to_string(),
            commit: record.commit.clone(),
            attempt: record.attempt.number(),
            state: State::of(ended.map(|ended| ended.outcome), phase),
            closed,
            live: false,
            bars,
            total_secs,
            left_secs: units::between_ms(now_ms, record.deadline.as_millisecond()),
            reason: ended.map(|ended| ended.reason.clone()).unwrap_or_default(),
            exit_code: ended.and_then(|ended| ended.exit_code),
            last_lines: ended.map(|ended| ended.last_lines.clone()).unwrap_or_default(),
            nodes: stored_nodes(record, receipt),
            workers: (record.job.workers.count, record.job.workers.min),
            progress: None,
            cost: Cost {
                paid: receipt.is_some_and(|receipt| receipt.cost_micros > 0),
                micros: receipt.map_or(0, |receipt| receipt.cost_micros),
                hourly_micros: 0,
                cap_cents: record.job.limits.cost_cents,
            },
            notices: Vec::new(),
            engine_ui: false,
        }
    }
}

/// The node whose engine has pages to show.
pub(super) fn master_of(view: &v1::RunView) -> Option<&v1::NodeView> {
    let serves = |node: &&v1::NodeView| {
        node.role() == v1::Role::Master && !node.engine_ui.is_empty() && !node.gone && !node.lost
    };
    view.nodes.iter().find(serves)
}

/// The phases as parts of a line of time, and its length in seconds; without an end, the last one is a moment.
fn bars(marks: &[(PhaseName, u32, i64)], end_ms: Option<i64>) -> (Vec<Bar>, f64) {
    let Some(&(_, _, began)) = marks.first() else {
        return (Vec::new(), 0.0);
    };
    let attempts = marks.iter().map(|mark| mark.1).max().unwrap_or(1);
    let last = marks.last().map_or(began, |mark| mark.2);
    let end = end_ms.unwrap_or(last).max(last);
    let ends = marks.iter().skip(1).map(|mark| mark.2).chain([end]);
    let bars = marks.iter().zip(ends).map(|(&(phase, attempt, from), to)| {
        // The style sheet knows these words, too.
        let word = phase.word();
        let number = if attempts > 1 {
            format!(" #{attempt}")
        } else {
            String::new()
        };
        let took = units::secs(units::between_ms(from, to));
        Bar {
            kind: word,
            title: format!("{word}{number}: {took}"),
            label: format!("{word}{number} {took}"),
            from: units::between_ms(began, from),
            to: units::between_ms(began, to),
        }
    });
    let bars = bars.filter(|bar| bar.kind != "closed").collect();
    (bars, units::between_ms(began, end))
}

fn node_of_view(node: &v1::NodeView) -> NodeShown {
    let usage = node.usage.as_ref();
    NodeShown {
        id: node.node_id.clone(),
        master: node.role() == v1::Role::Master,
        phase: node_phase(node.phase()),
        status: staged::status(node),
        cores: node.cores,
        memory_bytes: node.memory_bytes,
        cpu: usage.map(|usage| usage.cpu_cores),
        memory_used: usage.map(|usage| usage.memory_bytes),
        gone: node.gone,
        lost: node.lost,
        cost_micros: 0,
        kind: String::new(),
    }
}

fn stored_nodes(record: &RunRecord, receipt: Option<&Receipt>) -> Vec<NodeShown> {
    let role = |id: &str| {
        let marked = record.nodes.iter().find(|mark| mark.node.as_str() == id);
        marked.map_or(id.starts_with("master"), |mark| mark.role == Role::Master)
    };
    let Some(receipt) = receipt else {
        let of_mark = |mark: &crate::record::NodeMark| NodeShown {
            id: mark.node.to_string(),
            master: mark.role == Role::Master,
            phase: if mark.gone.is_some() { "gone" } else { "" },
            status: String::new(),
            cores: mark.cores,
            memory_bytes: mark.memory_bytes,
            cpu: None,
            memory_used: None,
            gone: mark.gone.is_some(),
            lost: mark.lost,
            cost_micros: 0,
            kind: String::new(),
        };
        return record.nodes.iter().map(of_mark).collect();
    };
    let of_use = |node: &crate::record::NodeUse| NodeShown {
        id: node.node.to_string(),
        master: role(node.node.as_str()),
        phase: if node.lost { "lost" } else { "released" },
        status: String::new(),
        cores: node.cores,
        memory_bytes: node.memory_bytes,
        cpu: node
            .cpu_core_secs
            .zip(node.secs)
            .filter(|(_, secs)| *secs > 0.0)
            .map(|(used, secs)| used / secs),
        memory_used: node.peak_memory_bytes,
        gone: true,
        lost: node.lost,
        cost_micros: node.cost_micros,
        kind: node.kind.clone().unwrap_or_default(),
    };
    receipt.nodes.iter().map(of_use).collect()
}

fn phase_of(phase: v1::Phase) -> PhaseName {
    match phase {
        v1::Phase::Unspecified | v1::Phase::Accepted => PhaseName::Accepted,
        v1::Phase::Arming => PhaseName::Arming,
        v1::Phase::Forming => PhaseName::Forming,
        v1::Phase::Working => PhaseName::Working,
        v1::Phase::Collecting => PhaseName::Collecting,
        v1::Phase::Releasing => PhaseName::Releasing,
        v1::Phase::Closed => PhaseName::Closed,
    }
}

fn outcome_of(outcome: v1::Outcome) -> Option<Outcome> {
    match outcome {
        v1::Outcome::Unspecified => None,
        v1::Outcome::Succeeded => Some(Outcome::Succeeded),
        v1::Outcome::JobFailed => Some(Outcome::JobFailed),
        v1::Outcome::InfraFailed => Some(Outcome::InfraFailed),
        v1::Outcome::TimedOut => Some(Outcome::TimedOut),
        v1::Outcome::OverBudget => Some(Outcome::OverBudget),
        v1::Outcome::Cancelled => Some(Outcome::Cancelled),
    }
}

fn node_phase(phase: v1::NodePhase) -> &'static str {
    match phase {
        v1::NodePhase::Unspecified => "boots",
        v1::NodePhase::Preparing => "prepares",
        v1::NodePhase::Ready => "ready",
        v1::NodePhase::Working => "working",
        v1::NodePhase::Ended => "job ended",
        v1::NodePhase::Collecting => "collecting",
        v1::NodePhase::Collected => "collected",
        v1::NodePhase::Committed => "committed",
        v1::NodePhase::Failed => "failed",
        v1::NodePhase::Leaving => "leaving",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_fill_the_line_of_time() {
        let marks = [
            (PhaseName::Accepted, 1, 1_000),
            (PhaseName::Forming, 1, 2_000),
            (PhaseName::Forming, 2, 6_000),
            (PhaseName::Closed, 2, 9_000),
        ];
        let (bars, total) = bars(&marks, None);
        let places: Vec<_> = bars.iter().map(|bar| (bar.from, bar.to)).collect();
        assert_eq!(places, [(0.0, 1.0), (1.0, 5.0), (5.0, 8.0)]);
        assert!((total - 8.0).abs() < f64::EPSILON);
        assert_eq!(bars[2].label, "forming #2 3.0 s");
    }

    #[test]
    fn a_run_that_goes_on_grows() {
        let view = v1::RunView {
            phase: v1::Phase::Working.into(),
            phases: vec![v1::PhaseSpan {
                phase: v1::Phase::Working.into(),
                attempt: 1,
                began_ms: 1_000,
            }],
            ..v1::RunView::default()
        };
        let shown = Shown::live(&view, 5_000);
        assert!((shown.total_secs - 4.0).abs() < f64::EPSILON && shown.live);
        assert_eq!(
            shown.state,
            State {
                word: "working",
                tone: "busy"
            }
        );
    }

    #[test]
    fn every_class_has_a_filter() {
        for outcome in [
            Outcome::Succeeded,
            Outcome::JobFailed,
            Outcome::InfraFailed,
            Outcome::TimedOut,
            Outcome::OverBudget,
            Outcome::Cancelled,
        ] {
            let class = class(Some(outcome), true);
            assert!(FILTERS.iter().any(|(word, _)| *word == class), "{class}");
            assert_eq!(super::class(Some(outcome), false), "open");
        }
    }
}
