//! Metrics of the coordinator, for Prometheus.

use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::admin::{Admin, Loop};
use mayfly_proto::v1;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::server::Server;

/// Between two looks at the runs.
const PERIOD: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: String,
}

/// What is counted.
#[derive(Clone, Default)]
pub struct Metrics {
    runs: Family<PhaseLabel, Gauge>,
    nodes: Family<StateLabel, Gauge>,
}

impl Metrics {
    /// Registers the metrics on the admin pages.
    #[must_use]
    pub fn register(admin: &Admin) -> Self {
        let metrics = Self::default();
        admin.register(|registry| {
            registry.register(
                "mayfly_runs",
                "Runs of this coordinator by phase",
                metrics.runs.clone(),
            );
            registry.register(
                "mayfly_nodes",
                "Nodes of open runs by state",
                metrics.nodes.clone(),
            );
        });
        metrics
    }

    fn set(&self, views: &[v1::RunView]) {
        self.runs.clear();
        self.nodes.clear();
        for view in views {
            self.runs
                .get_or_create(&PhaseLabel {
                    phase: name(view.phase().as_str_name(), "PHASE_"),
                })
                .inc();
            for node in view.nodes.iter().filter(|node| !node.gone) {
                let state = if node.lost {
                    "lost".into()
                } else {
                    name(node.phase().as_str_name(), "NODE_PHASE_")
                };
                self.nodes.get_or_create(&StateLabel { state }).inc();
            }
        }
    }
}

fn name(wire: &str, prefix: &str) -> String {
    wire.trim_start_matches(prefix).to_ascii_lowercase()
}

/// Keeps the metrics and the line on `/status` current for as long as it is polled.
pub async fn refresh(server: Arc<Server>, metrics: Metrics, pulse: Loop) {
    let mut tick = tokio::time::interval(PERIOD);
    loop {
        tick.tick().await;
        let views = server.views().await;
        let open = views
            .iter()
            .filter(|view| view.phase() != v1::Phase::Closed)
            .count();
        metrics.set(&views);
        pulse.status(format!("{open} open, {} closed", views.len() - open));
        pulse.alive();
    }
}
