//! What Prometheus sees of a node.

use std::sync::atomic::AtomicU64;

use mayfly_kit::admin::Admin;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

type Float = Gauge<f64, AtomicU64>;

/// Clones share the values.
#[derive(Clone)]
pub struct Metrics {
    /// Number of the node's phase, as in the protocol.
    pub phase: Gauge,
    /// Time from report to answer.
    pub sync_secs: Histogram,
    /// Reports without an answer.
    pub sync_failures: Counter,
    /// Files of the results in the store.
    pub upload_files: Gauge,
    /// Their bytes.
    pub upload_bytes: Gauge,
    /// Uploads tried again.
    pub upload_retries: Gauge,
    /// Cores in use by this node's processes.
    pub cpu_cores: Float,
    /// Memory in use by this node's processes.
    pub memory_bytes: Gauge,
    /// Time left until the node leaves by itself.
    pub lease_secs: Float,
}

impl Metrics {
    /// Registers all of them.
    #[must_use]
    pub fn new(admin: &Admin) -> Self {
        let metrics = Self {
            phase: Gauge::default(),
            sync_secs: Histogram::new(exponential_buckets(0.001, 2.0, 13)),
            sync_failures: Counter::default(),
            upload_files: Gauge::default(),
            upload_bytes: Gauge::default(),
            upload_retries: Gauge::default(),
            cpu_cores: Float::default(),
            memory_bytes: Gauge::default(),
            lease_secs: Float::default(),
        };
        admin.register(|r| {
            let m = metrics.clone();
            r.register(
                "mayfly_node_phase",
                "Phase of the node, as numbered in the protocol",
                m.phase,
            );
            r.register("mayfly_sync_seconds", "From report to answer", m.sync_secs);
            r.register(
                "mayfly_sync_failures",
                "Reports without an answer",
                m.sync_failures,
            );
            r.register(
                "mayfly_upload_files",
                "Files of the results in the store",
                m.upload_files,
            );
            r.register(
                "mayfly_upload_bytes",
                "Bytes of the results in the store",
                m.upload_bytes,
            );
            r.register(
                "mayfly_upload_retries",
                "Uploads that were tried again",
                m.upload_retries,
            );
            r.register(
                "mayfly_cpu_cores",
                "Cores in use by the node's processes",
                m.cpu_cores,
            );
            r.register(
                "mayfly_memory_bytes",
                "Memory in use by the node's processes",
                m.memory_bytes,
            );
            r.register(
                "mayfly_lease_seconds",
                "Until the node leaves by itself",
                m.lease_secs,
            );
        });
        metrics
    }
}
