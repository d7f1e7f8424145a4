//! What has happened in all, since this coordinator began: learned from one look at the runs after another. What had
//! happened to a run before it was taken over is in the totals of the coordinator before.

use std::collections::{BTreeMap, HashMap};

use mayfly_kit::scrape::{Family, value};
use mayfly_proto::v1;

use super::runs::{is_closed, outcome_name, phase_name, phase_secs};

const OUTCOMES: [v1::Outcome; 6] = [
    v1::Outcome::Succeeded,
    v1::Outcome::JobFailed,
    v1::Outcome::InfraFailed,
    v1::Outcome::TimedOut,
    v1::Outcome::OverBudget,
    v1::Outcome::Cancelled,
];

/// What is known already of a run.
#[derive(Debug, Default, Clone, Copy)]
struct Known {
    retries: u64,
    lost: u64,
    phases_ended: usize,
    closed: bool,
}

impl Known {
    fn of(view: &v1::RunView) -> Self {
        let lost = view.nodes.iter().filter(|node| node.lost).count();
        let closed = is_closed(view);
        Self {
            retries: u64::from(view.attempt.saturating_sub(1)),
            lost: u64::try_from(lost).unwrap_or(u64::MAX),
            // The last one still goes on; `closed` itself is none that ends.
            phases_ended: view.phases.len().saturating_sub(1),
            closed,
        }
    }
}

/// Sums over all runs.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Time of the first look.
    began_ms: Option<i64>,
    known: HashMap<String, Known>,
    accepted: u64,
    closed: BTreeMap<&'static str, u64>,
    retries: u64,
    lost: u64,
}

impl Totals {
    /// Takes in what is new, and returns the phases that have ended since the last look, with their seconds.
    pub(super) fn learn(&mut self, views: &[v1::RunView], now_ms: i64) -> Vec<(&'static str, f64)> {
        let began_ms = *self.began_ms.get_or_insert(now_ms);
        let mut ended = Vec::new();
        for view in views {
            let next = Known::of(view);
            let before = self.known.insert(view.run_id.clone(), next);
            let known = match before {
                Some(known) => known,
                None if view.phases.first().is_some_and(|first| first.began_ms < began_ms) => next,
                None => {
                    self.accepted += 1;
                    Known::default()
                }
            };
            self.retries += next.retries.saturating_sub(known.retries);
            self.lost += next.lost.saturating_sub(known.lost);
            let times = phase_secs(view, now_ms);
            let news = times.iter().take(next.phases_ended).skip(known.phases_ended);
            ended.extend(news.map(|&(_, phase, secs)| (phase_name(phase), secs)));
            if next.closed && !known.closed {
                let outcome = outcome_name(view.outcome()).unwrap_or("unknown");
                *self.closed.entry(outcome).or_default() += 1;
            }
        }
        ended
    }

    pub(super) fn families(&self) -> [Family; 4] {
        let one = |name, help, count| Family::counter(name, help).with([], value(count));
        let mut closed = Family::counter("mayfly_runs_closed", "Runs that were closed, by outcome.");
        for outcome in OUTCOMES.into_iter().filter_map(outcome_name) {
            let count = self.closed.get(outcome).copied().unwrap_or(0);
            closed.add([("outcome", outcome)], value(count));
        }
        [
            one(
                "mayfly_runs_accepted",
                "Runs that this coordinator accepted.",
                self.accepted,
            ),
            closed,
            one(
                "mayfly_run_retries",
                "Attempts that were begun after the first one of a run.",
                self.retries,
            ),
            one(
                "mayfly_nodes_lost",
                "Nodes that fell silent, failed or ended before their release.",
                self.lost,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_once_however_often_it_is_looked_at() {
        let span = |phase: v1::Phase, began_ms| v1::PhaseSpan {
            phase: phase.into(),
            attempt: 1,
            began_ms,
        };
        let mut view = v1::RunView {
            run_id: "iris-abcdefgh".into(),
            attempt: 1,
            phase: v1::Phase::Working.into(),
            phases: vec![span(v1::Phase::Forming, 0), span(v1::Phase::Working, 2_000)],
            ..v1::RunView::default()
        };
        let mut totals = Totals::default();
        assert_eq!(totals.learn(&[], -1), []);
        assert_eq!(totals.learn(&[view.clone()], 5_000), [("forming", 2.0)]);
        assert_eq!(totals.learn(&[view.clone()], 6_000), []);
        view.attempt = 3;
        view.nodes = vec![v1::NodeView {
            lost: true,
            ..v1::NodeView::default()
        }];
        view.phase = v1::Phase::Closed.into();
        view.phases.push(span(v1::Phase::Closed, 9_000));
        view.outcome = v1::Outcome::JobFailed.into();
        assert_eq!(totals.learn(&[view.clone()], 9_500), [("working", 7.0)]);
        assert_eq!(totals.learn(&[view], 99_000), []);
        assert_eq!((totals.accepted, totals.retries, totals.lost), (1, 2, 1));
        assert_eq!(totals.closed, BTreeMap::from([("job-failed", 1)]));
    }

    #[test]
    fn what_was_before_a_run_was_taken_over_is_not_counted_again() {
        let span = |phase: v1::Phase, began_ms| v1::PhaseSpan {
            phase: phase.into(),
            attempt: 1,
            began_ms,
        };
        let mut view = v1::RunView {
            run_id: "iris-abcdefgh".into(),
            attempt: 2,
            phases: vec![span(v1::Phase::Forming, 0), span(v1::Phase::Working, 2_000)],
            ..v1::RunView::default()
        };
        let mut totals = Totals::default();
        assert_eq!(totals.learn(&[view.clone()], 5_000), []);
        view.phase = v1::Phase::Closed.into();
        view.phases.push(span(v1::Phase::Closed, 9_000));
        assert_eq!(totals.learn(&[view], 9_500), [("working", 7.0)]);
        assert_eq!((totals.accepted, totals.retries), (0, 0));
    }
}
