//! A node that lies.

use std::net::SocketAddr;

use mayfly_proto::RunId;
use mayfly_proto::v1::agent_service_client::AgentServiceClient;
use mayfly_proto::v1::{self, EnrollRequest, JobReport, NodePhase, NodeReport, Role, SyncRequest};
use prost::Message as _;
use tonic::transport::Channel;
use tonic::{Code, Request};

use super::{bearer, bytes, refused};

/// Join tokens of the run.
pub(super) struct Tokens {
    pub(super) master: String,
    pub(super) worker: String,
}

/// A worker that nobody started, with the join token of a real one.
pub(super) struct Liar {
    client: AgentServiceClient<Channel>,
    run: RunId,
    closed: RunId,
    tokens: Tokens,
    session: String,
}

impl Liar {
    pub(super) fn new(
        client: AgentServiceClient<Channel>,
        run: RunId,
        closed: RunId,
        tokens: Tokens,
    ) -> Self {
        Self {
            client,
            run,
            closed,
            tokens,
            session: String::new(),
        }
    }

    /// What would be taken.
    fn worker(&self) -> EnrollRequest {
        EnrollRequest {
            protocol: mayfly_proto::PROTOCOL_VERSION,
            run_id: self.run.to_string(),
            join_token: self.tokens.worker.clone(),
            role: Role::Worker.into(),
            machine_id: "worker-7".into(),
            boot_id: "seven".into(),
            agent_version: "0.1.0".into(),
            address: "127.9.9.9".into(),
            cores: 1,
            memory_bytes: 1 << 30,
            private_results: true,
            ..EnrollRequest::default()
        }
    }

    async fn not_as(&mut self, what: &str, code: Code, change: impl FnOnce(&mut EnrollRequest)) {
        let mut request = self.worker();
        change(&mut request);
        refused(what, code, self.client.enroll(request).await);
    }

    #[rustfmt::skip] // One line for each case.
    pub(super) async fn enrols(&mut self) {
        use Code::{AlreadyExists, InvalidArgument, NotFound, Unauthenticated, Unimplemented};
        let (master, worker) = (self.tokens.master.clone(), self.tokens.worker.clone());
        let closed = self.closed.to_string();
        self.not_as("nobody", InvalidArgument, |r| *r = EnrollRequest::default()).await;
        self.not_as("a run id that is a path", InvalidArgument, |r| r.run_id = "../../x".into()).await;
        self.not_as("a run id of 10 KB", InvalidArgument, |r| r.run_id = "x".repeat(10_240)).await;
        self.not_as("a run that nobody knows", NotFound, |r| r.run_id = "live-aaaaaaaa".into()).await;
        self.not_as("no token", Unauthenticated, |r| r.join_token.clear()).await;
        self.not_as("a wrong token", Unauthenticated, |r| r.join_token = "x".repeat(64)).await;
        self.not_as("the master's token", Unauthenticated, |r| r.join_token = master).await;
        self.not_as("a token of another run", Unauthenticated, |r| r.run_id = closed).await;
        let as_master = |r: &mut EnrollRequest| {
            (r.role, r.machine_id, r.join_token) = (Role::Master.into(), "master-9".into(), worker);
        };
        self.not_as("a master with a worker's token", Unauthenticated, as_master).await;
        let alike = |r: &mut EnrollRequest| (r.role, r.machine_id) = (Role::Auto.into(), "node-1".into());
        self.not_as("one that might become the master", Unauthenticated, alike).await;
        self.not_as("no role", InvalidArgument, |r| r.role = 0).await;
        self.not_as("a role of the future", InvalidArgument, |r| r.role = 99).await;
        self.not_as("a protocol that is none", Unimplemented, |r| r.protocol = 0).await;
        self.not_as("a machine that is a path", InvalidArgument, |r| r.machine_id = "../x".into()).await;
        self.not_as("a machine of two lines", InvalidArgument, |r| r.machine_id = "worker-7\n".into()).await;
        self.not_as("a machine of the other role", InvalidArgument, |r| r.machine_id = "master-1".into()).await;
        self.not_as("another's machine", AlreadyExists, |r| r.machine_id = "worker-1".into()).await;
        self.not_as("no boot id", InvalidArgument, |r| r.boot_id.clear()).await;
        self.not_as("a boot id of 10 KB", InvalidArgument, |r| r.boot_id = "x".repeat(10_240)).await;
        self.not_as("an address that is none", InvalidArgument, |r| r.address = "here; ls".into()).await;
        self.not_as("no cores", InvalidArgument, |r| r.cores = 0).await;
        self.not_as("all cores there are", InvalidArgument, |r| r.cores = u32::MAX).await;
        self.not_as("no memory", InvalidArgument, |r| r.memory_bytes = 0).await;
    }

    /// What would be taken, with this number.
    fn report(&self, seq: u64) -> SyncRequest {
        let report = NodeReport {
            phase: NodePhase::Preparing.into(),
            ..NodeReport::default()
        };
        let (run_id, node_id) = (self.run.to_string(), "worker-7".into());
        SyncRequest {
            run_id,
            node_id,
            attempt: 1,
            seq,
            report: Some(report),
        }
    }

    async fn not_that(&mut self, what: &str, code: Code, change: impl FnOnce(&mut SyncRequest)) {
        let mut message = self.report(100);
        change(&mut message);
        refused(what, code, self.client.sync(bearer(&self.session, message)).await);
    }

    async fn not_in_phase(&mut self, what: &str, phase: i32) {
        let change = |m: &mut SyncRequest| {
            m.report = Some(NodeReport {
                phase,
                ..NodeReport::default()
            });
        };
        self.not_that(what, Code::InvalidArgument, change).await;
    }

    /// Enrols as it should, twice, and then reports as it should not.
    #[rustfmt::skip] // One line for each case.
    pub(super) async fn reports(&mut self) {
        use Code::{Aborted, InvalidArgument, NotFound, ResourceExhausted, Unauthenticated};
        let first = self
            .client
            .enroll(self.worker())
            .await
            .expect("a true worker")
            .into_inner();
        let again = self
            .client
            .enroll(self.worker())
            .await
            .expect("the same process")
            .into_inner();
        assert_eq!(
            (&first.node_id, &first.session_token),
            (&again.node_id, &again.session_token)
        );
        self.session = first.session_token;
        let true_report = bearer(&self.session, self.report(10));
        self.client.sync(true_report).await.expect("a true report");

        let unsigned = Request::new(self.report(11));
        refused(
            "a report without a token",
            Unauthenticated,
            self.client.sync(unsigned).await,
        );
        let joining = bearer(&self.tokens.worker, self.report(11));
        refused(
            "a report with a join token",
            Unauthenticated,
            self.client.sync(joining).await,
        );
        let closed = self.closed.to_string();
        self.not_that("the same again", Aborted, |m| m.seq = 10).await;
        self.not_that("an older one", Aborted, |m| m.seq = 3).await;
        self.not_that("in another's name", Unauthenticated, |m| m.node_id = "master-1".into()).await;
        self.not_that("in nobody's name", Unauthenticated, |m| m.node_id = "worker-99".into()).await;
        self.not_that("a name that is none", InvalidArgument, |m| m.node_id = "../x".into()).await;
        self.not_that("on a run that nobody knows", NotFound, |m| m.run_id = "live-aaaaaaaa".into()).await;
        self.not_that("on another run", Unauthenticated, |m| m.run_id = closed).await;
        self.not_that("on attempt 0", InvalidArgument, |m| m.attempt = 0).await;
        self.not_that("nothing", InvalidArgument, |m| m.report = None).await;
        let large = NodeReport {
            phase: 1,
            status: "x".repeat(1 << 20),
            ..NodeReport::default()
        };
        self.not_that("1 MB", ResourceExhausted, |m| m.report = Some(large)).await;
        self.not_in_phase("no phase", 0).await;
        self.not_in_phase("a phase of the future", 99).await;
        self.not_in_phase("a negative phase", -1).await;
        self.not_in_phase("failed for no reason", NodePhase::Failed.into()).await;
        self.not_in_phase("committed without a job", NodePhase::Committed.into()).await;
        self.not_that("on an attempt to come", InvalidArgument, |m| m.attempt = 1_001).await;
    }

    /// What is taken, and has no effect: a worker cannot end the job, and numbers are only for people.
    pub(super) async fn lies(&mut self) {
        let job = JobReport {
            started: true,
            ended: true,
            exit_code: Some(0),
            ..JobReport::default()
        };
        for (seq, phase) in [(200, NodePhase::Ended), (201, NodePhase::Committed)] {
            let mut message = self.report(seq);
            let (phase, job) = (phase.into(), Some(job.clone()));
            message.report = Some(NodeReport {
                phase,
                job,
                ..NodeReport::default()
            });
            self.client
                .sync(bearer(&self.session, message))
                .await
                .expect("a worker may say so");
        }
        let mut message = self.report(300);
        let (cpu_cores, memory_bytes) = (f64::NAN, u64::MAX);
        message.report = Some(NodeReport {
            phase: NodePhase::Ready.into(),
            status: "\u{1b}[2J\u{202e}\u{0}".into(),
            usage: Some(v1::Usage {
                cpu_cores,
                memory_bytes,
                cpu_core_secs: -1e300,
                ..v1::Usage::default()
            }),
            step_secs: (0..5_000).map(|n| (format!("step {n}"), f64::INFINITY)).collect(),
            results_files: u64::MAX,
            success_markers: u64::MAX,
            admin_port: u32::MAX,
            claims_attempt: u32::MAX,
            collected: Some(v1::Collected {
                files: u64::MAX,
                bytes: u64::MAX,
                files_total: 0,
                bytes_total: 1,
            }),
            job: Some(JobReport {
                exit_code: Some(i32::MIN),
                signal: Some(i32::MAX),
                ..JobReport::default()
            }),
            ..NodeReport::default()
        });
        let reply = self.client.sync(bearer(&self.session, message)).await;
        let reply = reply.expect("odd numbers are taken").into_inner();
        let desired = reply.desired.expect("a desired state");
        assert_eq!((reply.seq, desired.attempt), (300, 1));
        assert!(
            desired.lease_ms > 0 && desired.sync_interval_ms > 0,
            "{desired:?}"
        );
    }

    /// A report that comes as two, one behind the other in one message, so that each step is there twice: the later one
    /// counts, as protobuf has it.
    pub(super) async fn says_twice(&mut self, addr: SocketAddr) {
        let half = |secs: f64| {
            let mut message = self.report(400);
            let report = message.report.as_mut().unwrap();
            report.step_secs = [("clone".to_owned(), secs)].into();
            message.encode_to_vec()
        };
        let both = [half(1.0), half(2.0)].concat();
        let shown = format!("Bearer {}", self.session);
        let headers = [("authorization", shown.as_str())];
        let answer = bytes::call(
            addr,
            "/mayfly.v1.AgentService/Sync",
            &headers,
            bytes::frame(0, &both),
        )
        .await;
        assert_eq!(
            answer.unwrap().grpc,
            Some(0),
            "a report whose parts are there twice"
        );
        // It has its number.
        let again = self.client.sync(bearer(&self.session, self.report(400))).await;
        refused("the same number", Code::Aborted, again);
    }

    /// Lines of output, in another's name and too many.
    pub(super) async fn pushes(&mut self) {
        let batch = |node: &str, lines: usize| {
            let batch = v1::LogBatch {
                run_id: self.run.to_string(),
                node_id: node.into(),
                attempt: 1,
                stream: "job".into(),
                lines: vec![String::new(); lines],
                ..v1::LogBatch::default()
            };
            bearer(&self.session, futures::stream::iter([batch]))
        };
        let (others, million) = (batch("master-1", 1), batch("worker-7", 1_000_000));
        refused(
            "lines in another's name",
            Code::Unauthenticated,
            self.client.push_logs(others).await,
        );
        refused(
            "a million lines at once",
            Code::ResourceExhausted,
            self.client.push_logs(million).await,
        );
    }
}
