//! One fake agent: a connection of its own, Enroll, then Sync on the interval that it is told.

use std::time::Duration;

use anyhow::Context as _;
use mayfly_proto::v1::agent_service_client::AgentServiceClient;
use mayfly_proto::{PROTOCOL_VERSION, v1};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use crate::OrderFile;

/// Longest that one call is waited for.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Latencies of the calls that were due in the window that counts.
#[derive(Default)]
pub(crate) struct Seen {
    /// From the moment a report was due to its answer: a late start counts too.
    pub(crate) from_due: Vec<Duration>,
    /// From the call to its answer.
    pub(crate) call: Vec<Duration>,
    /// Calls that failed.
    pub(crate) errors: u64,
    /// Message of the last one.
    pub(crate) last_error: Option<String>,
}

/// An agent that has enrolled.
pub(crate) struct FakeNode {
    client: AgentServiceClient<Channel>,
    run: String,
    node: String,
    token: String,
    role: v1::Role,
    seq: u64,
    /// What it was told last.
    pub(crate) goal: v1::Goal,
}

impl FakeNode {
    /// Connects and enrols; the master is the node of number 0.
    pub(crate) async fn enrol(order: &OrderFile, number: u32) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(order.url.clone())?
            .tcp_nodelay(true)
            .timeout(CALL_LIMIT);
        let channel = endpoint.connect().await.context("connect")?;
        let mut client = AgentServiceClient::new(channel);
        let (role, machine_id, token) = match number {
            0 => (v1::Role::Master, "master-1".to_owned(), &order.master_token),
            n => (v1::Role::Worker, format!("worker-{n}"), &order.worker_token),
        };
        let reply = client
            .enroll(enrolment(order, role, machine_id, token.clone()))
            .await
            .context("enrol")?;
        let reply = reply.into_inner();
        Ok(Self {
            client,
            run: order.run.clone(),
            node: reply.node_id,
            token: format!("Bearer {}", reply.session_token),
            role,
            seq: 0,
            goal: v1::Goal::Form,
        })
    }

    /// Syncs each `interval` from `first` until `end`; what is due at or after `count_from` counts.
    pub(crate) async fn sync_until(
        &mut self,
        (first, end): (Instant, Instant),
        count_from: Instant,
        interval: Duration,
        workers: u32,
    ) -> Seen {
        let (mut due, mut seen) = (first, Seen::default());
        while due < end {
            sleep_until(due).await;
            let began = Instant::now();
            let result = timeout(CALL_LIMIT, self.sync(workers)).await;
            match result {
                Ok(Ok(())) if due >= count_from => {
                    seen.call.push(began.elapsed());
                    seen.from_due.push(due.elapsed());
                }
                Ok(Ok(())) => {}
                Ok(Err(error)) => seen.note(format!("{error:#}")),
                Err(elapsed) => seen.note(elapsed.to_string()),
            }
            due += interval;
        }
        seen
    }

    /// One report for one answer.
    pub(crate) async fn sync(&mut self, workers: u32) -> anyhow::Result<()> {
        self.seq += 1;
        let mut request = Request::new(v1::SyncRequest {
            run_id: self.run.clone(),
            node_id: self.node.clone(),
            attempt: 1,
            seq: self.seq,
            report: Some(self.report(workers)),
        });
        request
            .metadata_mut()
            .insert("authorization", self.token.parse()?);
        let reply = self.client.sync(request).await?.into_inner();
        self.goal = reply.desired.context("an answer without a desired state")?.goal();
        Ok(())
    }

    /// As much as a real agent says while its job runs.
    fn report(&self, workers: u32) -> v1::NodeReport {
        let is_master = self.role == v1::Role::Master;
        let works = is_master && self.goal >= v1::Goal::Work;
        v1::NodeReport {
            phase: if works {
                v1::NodePhase::Working
            } else {
                v1::NodePhase::Ready
            }
            .into(),
            status: if works { "the job runs" } else { "the engine runs" }.into(),
            engine: Some(v1::EngineReport {
                running: true,
                address: if is_master {
                    "127.0.0.1:7077".into()
                } else {
                    String::new()
                },
                alive_workers: if is_master { workers } else { 0 },
                ui: "http://127.0.0.1:8080".into(),
                restarts: 0,
            }),
            job: works.then(|| v1::JobReport {
                started: true,
                ..v1::JobReport::default()
            }),
            usage: Some(v1::Usage {
                cpu_cores: 0.73,
                memory_bytes: 1 << 30,
                cpu_core_secs: 0.37 * (self.seq as f64),
                peak_memory_bytes: 1 << 30,
                disk_free_bytes: 1 << 36,
                ..v1::Usage::default()
            }),
            step_secs: [("clone", 0.8), ("engine", 3.1)]
                .map(|(name, secs)| (name.to_owned(), secs))
                .into(),
            ..v1::NodeReport::default()
        }
    }
}

impl Seen {
    fn note(&mut self, error: String) {
        self.errors += 1;
        self.last_error = Some(error);
    }
}

fn enrolment(order: &OrderFile, role: v1::Role, machine_id: String, join_token: String) -> v1::EnrollRequest {
    v1::EnrollRequest {
        protocol: PROTOCOL_VERSION,
        run_id: order.run.clone(),
        join_token,
        role: role.into(),
        boot_id: format!("boot-{machine_id}"),
        machine_id,
        agent_version: "bench".into(),
        address: "127.0.0.1".into(),
        cores: 1,
        memory_bytes: 1 << 30,
        private_results: true,
        ..v1::EnrollRequest::default()
    }
}
