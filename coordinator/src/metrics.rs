//! Metrics of the coordinator, and where Prometheus finds those of its nodes.
//!
//! A run has series of its own while it is open and for [`KEEP`] after; what is true of all runs ever is in totals, so
//! that the number of series does not grow with the number of runs.

pub mod discovery;
mod runs;
mod totals;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use mayfly_kit::admin::{Admin, Loop};
use mayfly_kit::scrape::Family;
use mayfly_proto::v1;
use prometheus_client::metrics::family::Family as Labelled;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::server::Server;
use totals::Totals;

/// Between two looks at the runs.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a closed run keeps series of its own: twice Prometheus' look-back of 5 minutes, so that a scraper at its
/// default interval of one minute sees the end of a run, also after it was away for some scrapes.
pub const KEEP: Duration = Duration::from_secs(600);
/// Closed runs that have series of their own at most, the latest ones.
const CLOSED_MAX: usize = 100;

type PhaseLabel = [(&'static str, &'static str); 1];

/// What is counted.
#[derive(Clone)]
pub struct Metrics {
    /// From a node's report to the answer, within the coordinator.
    sync_seconds: Histogram,
    /// Of phases that have ended.
    phase_seconds: Labelled<PhaseLabel, Histogram, fn() -> Histogram>,
    totals: Arc<Mutex<Totals>>,
    /// The runs, as of the last look.
    families: Arc<Mutex<Vec<Family>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            sync_seconds: Histogram::new(exponential_buckets(0.0001, 4.0, 9)),
            phase_seconds: Labelled::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.1, 4.0, 10))
            }),
            totals: Arc::default(),
            families: Arc::default(),
        }
    }
}

impl Metrics {
    /// Shows the metrics on the admin pages.
    pub fn register(&self, admin: &Admin) {
        admin.build_info("coordinator", env!("CARGO_PKG_VERSION"));
        admin.register(|registry| {
            registry.register(
                "mayfly_sync_handling_seconds",
                "From a node's report to the coordinator's answer, without the network",
                self.sync_seconds.clone(),
            );
            registry.register(
                "mayfly_phase_seconds",
                "Time in phases that have ended, over all runs and attempts",
                self.phase_seconds.clone(),
            );
        });
        let families = Arc::clone(&self.families);
        admin.collect(move || families.lock().unwrap_or_else(PoisonError::into_inner).clone());
    }

    /// A report was answered after so long.
    pub fn answered(&self, took: Duration) {
        self.sync_seconds.observe(took.as_secs_f64());
    }

    fn look(&self, views: &[v1::RunView], now_ms: i64) {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        for (phase, secs) in totals.learn(views, now_ms) {
            self.phase_seconds
                .get_or_create(&[("phase", phase)])
                .observe(secs);
        }
        let mut families = runs::overview(views).to_vec();
        families.extend(totals.families());
        families.extend(runs::each(&shown(views, now_ms), now_ms));
        *self.families.lock().unwrap_or_else(PoisonError::into_inner) = families;
    }
}

/// Runs that have series of their own: the open ones, and those that were closed a short while ago.
fn shown(views: &[v1::RunView], now_ms: i64) -> Vec<&v1::RunView> {
    let keep_ms = i64::try_from(KEEP.as_millis()).unwrap_or(i64::MAX);
    let (mut closed, mut shown): (Vec<_>, Vec<_>) = views.iter().partition(|view| runs::is_closed(view));
    closed.retain(|view| runs::closed_ms(view).is_some_and(|at| now_ms.saturating_sub(at) < keep_ms));
    closed.sort_by_key(|view| std::cmp::Reverse(runs::closed_ms(view)));
    shown.extend(closed.into_iter().take(CLOSED_MAX));
    shown
}

/// Keeps the metrics and the line on `/status` current for as long as it is polled.
pub async fn refresh(server: Arc<Server>, pulse: Loop) {
    let mut tick = tokio::time::interval(PERIOD);
    loop {
        tick.tick().await;
        let views = server.views().await;
        let open = views.iter().filter(|view| !runs::is_closed(view)).count();
        server.metrics().look(&views, Timestamp::now().as_millisecond());
        pulse.status(format!("{open} open, {} closed", views.len() - open));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(run: &str, phases: &[(v1::Phase, i64)]) -> v1::RunView {
        v1::RunView {
            run_id: run.into(),
            job: "iris".into(),
            phase: phases.last().unwrap().0.into(),
            phases: phases
                .iter()
                .map(|&(phase, began_ms)| v1::PhaseSpan {
                    phase: phase.into(),
                    attempt: 1,
                    began_ms,
                })
                .collect(),
            attempt: 1,
            outcome: v1::Outcome::Succeeded.into(),
            ..v1::RunView::default()
        }
    }

    fn closed(run: &str, at_ms: i64) -> v1::RunView {
        view(run, &[(v1::Phase::Accepted, 0), (v1::Phase::Closed, at_ms)])
    }

    fn runs_with_series(metrics: &Metrics) -> Vec<String> {
        let families = metrics.families.lock().unwrap();
        let info = families.iter().find(|family| family.name == "mayfly_run_info");
        let samples = info.map(|family| family.samples.clone()).unwrap_or_default();
        samples
            .into_iter()
            .map(|(labels, _)| labels[0].1.clone())
            .collect()
    }

    fn total(metrics: &Metrics, name: &str) -> f64 {
        let families = metrics.families.lock().unwrap();
        let family = families.iter().find(|family| family.name == name).unwrap();
        family.samples.iter().map(|sample| sample.1).sum()
    }

    #[test]
    fn a_closed_run_leaves_its_series_and_stays_in_the_totals() {
        let metrics = Metrics::default();
        metrics.look(&[], -1);
        let open = view("open", &[(v1::Phase::Accepted, 0), (v1::Phase::Forming, 10)]);
        let views = [closed("early", 1_000), closed("late", 500_000), open];
        metrics.look(&views, 500_000);
        assert_eq!(runs_with_series(&metrics), ["open", "late", "early"]);
        metrics.look(&views, 601_000);
        assert_eq!(runs_with_series(&metrics), ["open", "late"]);
        metrics.look(&views, 9_000_000);
        assert_eq!(runs_with_series(&metrics), ["open"]);
        assert_eq!(total(&metrics, "mayfly_runs_closed"), 2.0);
        assert_eq!(total(&metrics, "mayfly_runs_accepted"), 3.0);
        assert_eq!(total(&metrics, "mayfly_runs"), 1.0);
    }

    #[test]
    fn series_of_closed_runs_are_bounded() {
        let metrics = Metrics::default();
        let views: Vec<_> = (0..CLOSED_MAX + 50)
            .map(|n| closed(&format!("r{n}"), 1_000))
            .collect();
        metrics.look(&views, 2_000);
        assert_eq!(runs_with_series(&metrics).len(), CLOSED_MAX);
    }
}
