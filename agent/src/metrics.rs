//! What Prometheus sees of a node. Which run, node and role it is are labels of the target, not of each series.

use std::time::Duration;

use mayfly_kit::admin::Admin;
use mayfly_kit::scrape::{Family, value};
use mayfly_proto::v1::{NodePhase, Usage};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use sysinfo::Networks;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::attempt::Facts;
use crate::upload::Progress;

/// Network devices told at most: machines that run containers have no end of them.
const DEVICES_MAX: usize = 16;
/// Phases that a node can be in.
const PHASES: [NodePhase; 9] = [
    NodePhase::Preparing,
    NodePhase::Ready,
    NodePhase::Working,
    NodePhase::Ended,
    NodePhase::Collecting,
    NodePhase::Collected,
    NodePhase::Committed,
    NodePhase::Failed,
    NodePhase::Leaving,
];

/// What is counted as it happens. Clones share the values.
#[derive(Clone)]
pub struct Metrics {
    /// From report to answer.
    pub sync_seconds: Histogram,
    /// Reports without an answer.
    pub sync_failures: Counter,
    /// Questions to instance metadata about the machine's end that got no answer.
    pub notice_failures: Counter,
}

impl Metrics {
    /// Registers all of them.
    #[must_use]
    pub fn new(admin: &Admin) -> Self {
        let metrics = Self {
            sync_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 13)),
            sync_failures: Counter::default(),
            notice_failures: Counter::default(),
        };
        admin.register(|registry| {
            registry.register(
                "mayfly_sync_seconds",
                "From the node's report to the coordinator's answer",
                metrics.sync_seconds.clone(),
            );
            registry.register(
                "mayfly_sync_failures",
                "Reports that got no answer, or one that cannot be used",
                metrics.sync_failures.clone(),
            );
            registry.register(
                "mayfly_notice_failures",
                "Questions to instance metadata about the machine's end that got no answer, or one that cannot be used",
                metrics.notice_failures.clone(),
            );
        });
        metrics
    }
}

/// How far the node is, and how long it may live. Times are since boot.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Standing {
    /// Its phase.
    pub phase: NodePhase,
    /// Until when it lives without another answer.
    pub lease_until: Duration,
    /// When the run ends; `None` before the first answer.
    pub deadline_at: Option<Duration>,
}

/// What is read when Prometheus asks.
pub struct Board {
    /// Time zero of the node.
    pub boot: Instant,
    /// Cores that the node offers.
    pub cores: u32,
    /// Memory that the node offers.
    pub memory_bytes: u64,
    /// Phase, lease and deadline.
    pub standing: watch::Receiver<Standing>,
    /// CPU, memory and disk.
    pub usage: watch::Receiver<Usage>,
    /// Uploads.
    pub upload: watch::Receiver<Progress>,
    /// Engine and steps.
    pub facts: watch::Receiver<Facts>,
}

impl Board {
    /// All of it, as it is now.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let mut all = self.standing().to_vec();
        all.extend(self.usage());
        all.extend(network());
        all.extend(self.upload());
        all.extend(self.engine());
        all
    }

    fn standing(&self) -> [Family; 3] {
        let now = self.boot.elapsed();
        let standing = *self.standing.borrow();
        let left = |until: Duration| until.saturating_sub(now).as_secs_f64();
        let mut phase = Family::gauge(
            "mayfly_node_phase",
            "1 for the phase that the node is in, 0 for the others.",
        );
        for known in PHASES {
            let name = known.as_str_name().trim_start_matches("NODE_PHASE_");
            let is = u64::from(known == standing.phase);
            phase.add([("phase", &name.to_ascii_lowercase())], value(is));
        }
        let lease = Family::gauge(
            "mayfly_lease_remaining_seconds",
            "Until the node leaves by itself, if the coordinator stays silent.",
        );
        let mut deadline = Family::gauge(
            "mayfly_deadline_remaining_seconds",
            "Until the run ends, whatever happens.",
        );
        if let Some(at) = standing.deadline_at {
            deadline.add([], left(at));
        }
        [phase, lease.with([], left(standing.lease_until)), deadline]
    }

    fn usage(&self) -> [Family; 8] {
        let usage = *self.usage.borrow();
        let gauge = |name, help, count| Family::gauge(name, help).with([], value(count));
        [
            Family::counter("mayfly_cpu_seconds", "CPU time that the node's processes used.")
                .with([], usage.cpu_core_secs),
            gauge(
                "mayfly_cpu_cores",
                "Cores that the node offers.",
                self.cores.into(),
            ),
            gauge(
                "mayfly_memory_bytes",
                "Resident memory of the node's processes.",
                usage.memory_bytes,
            ),
            gauge(
                "mayfly_memory_peak_bytes",
                "Most of it that was sampled so far.",
                usage.peak_memory_bytes,
            ),
            gauge(
                "mayfly_memory_offered_bytes",
                "Memory that the node offers.",
                self.memory_bytes,
            ),
            gauge(
                "mayfly_disk_free_bytes",
                "Free space where the node's folder is.",
                usage.disk_free_bytes,
            ),
            Family::counter(
                "mayfly_disk_read_bytes",
                "Bytes that the node's processes read from disks.",
            )
            .with([], value(usage.disk_read_bytes)),
            Family::counter(
                "mayfly_disk_written_bytes",
                "Bytes that the node's processes wrote to disks.",
            )
            .with([], value(usage.disk_written_bytes)),
        ]
    }

    fn upload(&self) -> [Family; 3] {
        let ever = self.upload.borrow().ever;
        let counter = |name, help, count| Family::counter(name, help).with([], value(count));
        [
            counter(
                "mayfly_upload_files",
                "Files of the results that the node put into the store.",
                ever.files,
            ),
            counter("mayfly_upload_bytes", "Bytes of these files.", ever.bytes),
            counter(
                "mayfly_upload_retries",
                "Requests to the store that were repeated.",
                ever.retries,
            ),
        ]
    }

    fn engine(&self) -> [Family; 3] {
        let facts = self.facts.borrow();
        let running = Family::gauge(
            "mayfly_engine_running",
            "1 while the engine's process on this node runs, otherwise 0.",
        );
        let restarts = Family::counter(
            "mayfly_engine_restarts",
            "Starts of the engine's process after its first one, in this attempt.",
        );
        let mut steps = Family::gauge(
            "mayfly_step_seconds",
            "Time that each finished step of this attempt's preparation took.",
        );
        for (step, secs) in &facts.step_secs {
            steps.add([("step", step)], *secs);
        }
        [
            running.with([], value(facts.engine.running.into())),
            restarts.with([], value(facts.engine.restarts.into())),
            steps,
        ]
    }
}

/// Of the whole machine: what passes between processes cannot be told apart by node.
fn network() -> [Family; 2] {
    let mut received = Family::counter(
        "mayfly_machine_network_receive_bytes",
        "Bytes that the whole machine received, by network device.",
    );
    let mut sent = Family::counter(
        "mayfly_machine_network_transmit_bytes",
        "Bytes that the whole machine sent, by network device.",
    );
    let Ok(networks) = Networks::new_with_refreshed_list() else {
        return [received, sent];
    };
    let mut devices: Vec<_> = networks.iter().collect();
    devices.sort_by_key(|(name, _)| *name);
    for (name, data) in devices.into_iter().take(DEVICES_MAX) {
        let name = name.to_string_lossy();
        received.add([("device", &name)], value(data.total_received()));
        sent.add([("device", &name)], value(data.total_transmitted()));
    }
    [received, sent]
}

#[cfg(test)]
mod tests {
    use mayfly_kit::scrape::Labels;

    use super::*;

    fn board(standing: Standing) -> Board {
        Board {
            boot: Instant::now(),
            cores: 2,
            memory_bytes: 1 << 30,
            standing: watch::channel(standing).1,
            usage: watch::channel(Usage::default()).1,
            upload: watch::channel(Progress::default()).1,
            facts: watch::channel(Facts::default()).1,
        }
    }

    fn samples(families: &[Family], name: &str) -> Vec<(Labels, f64)> {
        let family = families.iter().find(|family| family.name == name);
        family.map(|family| family.samples.clone()).unwrap_or_default()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_known_is_not_told() {
        let fresh = board(Standing::default()).families();
        assert!(samples(&fresh, "mayfly_deadline_remaining_seconds").is_empty());
        assert!(samples(&fresh, "mayfly_step_seconds").is_empty());
        assert!(
            samples(&fresh, "mayfly_node_phase")
                .iter()
                .all(|(_, value)| *value == 0.0)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn times_left_are_those_of_the_moment_and_never_negative() {
        let board = board(Standing {
            phase: NodePhase::Working,
            lease_until: Duration::from_secs(8),
            deadline_at: Some(Duration::from_secs(60)),
        });
        tokio::time::advance(Duration::from_secs(10)).await;
        let families = board.families();
        let only = |name| samples(&families, name).first().map(|sample| sample.1);
        assert_eq!(only("mayfly_lease_remaining_seconds"), Some(0.0));
        assert_eq!(only("mayfly_deadline_remaining_seconds"), Some(50.0));
        let working = (vec![("phase", "working".to_owned())], 1.0);
        assert!(samples(&families, "mayfly_node_phase").contains(&working));
    }
}
