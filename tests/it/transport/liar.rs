//! A node that lies, over TLS: its certificate is true, what it says with it is not.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use mayfly_coordinator::authority::NodeName;
use mayfly_coordinator::home::Home;
use mayfly_coordinator::run::Role as NodeRole;
use mayfly_coordinator::tokens::Tokens;
use mayfly_kit::tls::{Dialer, Identity, Trust};
use mayfly_proto::v1::agent_service_client::AgentServiceClient;
use mayfly_proto::v1::{self, EnrollReply, EnrollRequest, NodePhase, NodeReport, Role, SyncRequest};
use mayfly_proto::{NodeId, RunId};
use tonic::transport::Channel;
use tonic::{Code, Request};

use super::certificates::Forger;
use crate::server::{Serve, bearer};
use crate::wire::refused;

/// A worker that nobody started, with the join token of a real one, and a key of its own.
pub(super) struct Liar<'s> {
    serve: &'s Serve,
    run: RunId,
    join_token: String,
    forger: Forger,
    reply: EnrollReply,
}

impl<'s> Liar<'s> {
    pub(super) fn new(serve: &'s Serve, run: &RunId, join_token: &str) -> Self {
        Self {
            serve,
            run: run.clone(),
            join_token: join_token.to_owned(),
            forger: Forger::new(&serve.home.path()),
            reply: EnrollReply::default(),
        }
    }

    /// A client that shows this certificate, or none.
    fn client(&self, certificate: Option<Vec<u8>>) -> AgentServiceClient<Channel> {
        let pin = self.serve.fingerprint.as_ref().unwrap().parse().unwrap();
        let dialer = Dialer::new(&self.serve.url, Some(Trust::Pinned(pin))).unwrap();
        let identity = certificate.map(|der| Identity::new(vec![der], self.forger.key()));
        AgentServiceClient::new(dialer.channel(identity.as_ref(), |endpoint| endpoint).unwrap())
    }

    fn as_itself(&self) -> AgentServiceClient<Channel> {
        self.client(Some(self.reply.certificate.clone()))
    }

    /// What would be taken. The coordinator does not wait for its results.
    fn enrolment(&self) -> EnrollRequest {
        EnrollRequest {
            protocol: mayfly_proto::PROTOCOL_VERSION,
            run_id: self.run.to_string(),
            join_token: self.join_token.clone(),
            role: Role::Worker.into(),
            machine_id: "worker-7".into(),
            boot_id: "seven".into(),
            agent_version: "0.1.0".into(),
            address: "127.9.9.9".into(),
            cores: 1,
            memory_bytes: 1 << 30,
            private_results: false,
            certificate_request: self.forger.request(),
        }
    }

    fn join_token_of(&self, ago: SignedDuration) -> String {
        let home = Home::open(&self.serve.home.path()).unwrap();
        let joining = Tokens::kept(&home).unwrap().joining(&self.run);
        joining.token(NodeRole::Worker, Timestamp::now() - ago)
    }

    #[rustfmt::skip] // One line for each case.
    pub(super) async fn joins(&mut self) {
        use Code::{AlreadyExists, InvalidArgument, Unauthenticated};
        let enrol = async |change: &dyn Fn(&mut EnrollRequest)| {
            let mut request = self.enrolment();
            change(&mut request);
            self.client(None).enroll(request).await
        };
        let expired = self.join_token_of(SignedDuration::from_hours(1));
        let (other, another) = (Forger::new(&self.serve.home.path()).request(), Forger::new(&self.serve.home.path()).request());
        refused("no request for a certificate", InvalidArgument, enrol(&|r| r.certificate_request.clear()).await);
        refused("a request that is none", InvalidArgument, enrol(&|r| r.certificate_request = vec![0x30; 9_000]).await);
        refused("an expired token", Unauthenticated, enrol(&|r| r.join_token.clone_from(&expired)).await);
        refused("no token", Unauthenticated, enrol(&|r| r.join_token.clear()).await);
        let as_master = |r: &mut EnrollRequest| (r.role, r.machine_id) = (Role::Master.into(), "master-9".into());
        refused("a master with a worker's token", Unauthenticated, enrol(&as_master).await);
        refused("another's machine", AlreadyExists, enrol(&|r| r.machine_id = "worker-1".into()).await);
        let reply = enrol(&|_| {}).await.expect("a true worker").into_inner();
        assert!(reply.certificate_ms > 3_000_000 && reply.certificate_ms <= 3_600_000, "{}", reply.certificate_ms);
        // Replayed: by another process, or with another key.
        refused("another process", AlreadyExists, enrol(&|r| r.boot_id = "eight".into()).await);
        refused("another key", AlreadyExists, enrol(&|r| r.certificate_request.clone_from(&other)).await);
        refused("yet another key", AlreadyExists, enrol(&|r| r.certificate_request.clone_from(&another)).await);
        let again = enrol(&|_| {}).await.expect("the same process and key").into_inner();
        assert_eq!((&reply.node_id, &reply.session_token), (&again.node_id, &again.session_token));
        self.reply = reply;
    }

    fn report(&self, node: &str, seq: u64) -> Request<SyncRequest> {
        let report = NodeReport {
            phase: NodePhase::Preparing.into(),
            ..NodeReport::default()
        };
        let message = SyncRequest {
            run_id: self.run.to_string(),
            node_id: node.into(),
            attempt: 1,
            seq,
            report: Some(report),
        };
        bearer(&self.reply.session_token, message)
    }

    fn certificate(&self, node: &str, role: NodeRole, run: &RunId) -> Vec<u8> {
        let node: NodeId = node.parse().unwrap();
        let run = run.clone();
        self.forger
            .issued(&NodeName { run, node, role }, SignedDuration::ZERO)
    }

    /// The token alone is not enough, nor is the certificate alone, nor another's.
    #[rustfmt::skip] // One line for each case.
    pub(super) async fn reports(&self) {
        use Code::{PermissionDenied, Unauthenticated};
        let true_report = self.as_itself().sync(self.report("worker-7", 1)).await;
        assert!(true_report.is_ok(), "{true_report:?}");
        refused("no certificate", Unauthenticated, self.client(None).sync(self.report("worker-7", 2)).await);
        refused("in the master's name", PermissionDenied, self.as_itself().sync(self.report("master-1", 2)).await);
        let mut unsigned = self.report("worker-7", 2);
        unsigned.metadata_mut().remove("authorization");
        refused("no token", Unauthenticated, self.as_itself().sync(unsigned).await);
        let other_run: RunId = "live-aaaaaaaa".parse().unwrap();
        let of_other_run = self.certificate("worker-7", NodeRole::Worker, &other_run);
        refused("another run's certificate", PermissionDenied, self.client(Some(of_other_run)).sync(self.report("worker-7", 2)).await);
        let as_master = self.certificate("worker-7", NodeRole::Master, &self.run);
        refused("the other role's certificate", PermissionDenied, self.client(Some(as_master)).sync(self.report("worker-7", 2)).await);
        let same_name = self.certificate("worker-1", NodeRole::Worker, &self.run);
        refused("its name with another key", PermissionDenied, self.client(Some(same_name)).sync(self.report("worker-1", 2)).await);
    }

    /// Reports as a node does, on one connection, for this time; returns the longest wait for an answer.
    pub(super) async fn beats(&self, time: Duration) -> Duration {
        let mut client = self.as_itself();
        let (began, mut longest) = (Instant::now(), Duration::ZERO);
        for seq in 1_000.. {
            let asked = Instant::now();
            let reply = client.sync(self.report("worker-7", seq)).await;
            reply.expect("an answer in the crowd");
            longest = longest.max(asked.elapsed());
            if began.elapsed() > time {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        longest
    }

    /// The job's output is the master's.
    pub(super) async fn pushes(&self) {
        let batch = |node: &str| {
            let batch = v1::LogBatch {
                run_id: self.run.to_string(),
                node_id: node.into(),
                attempt: 1,
                stream: "job".into(),
                lines: vec!["not what the job said".into()],
                ..v1::LogBatch::default()
            };
            bearer(&self.reply.session_token, futures::stream::iter([batch]))
        };
        let nobody = self.client(None).push_logs(batch("worker-7")).await;
        refused("lines of a stranger", Code::Unauthenticated, nobody);
        let worker = self.as_itself().push_logs(batch("worker-7")).await;
        refused("a worker's lines as the job's", Code::PermissionDenied, worker);
        let master = self.as_itself().push_logs(batch("master-1")).await;
        refused("lines in the master's name", Code::PermissionDenied, master);
    }

    /// A node that is known is taken in again when its join token has expired; not as something else, and not without
    /// its certificate.
    pub(super) async fn comes_back(&self) {
        let known = |change: &dyn Fn(&mut EnrollRequest)| {
            let mut request = self.enrolment();
            request.join_token.clear();
            change(&mut request);
            bearer(&self.reply.session_token, request)
        };
        let again = self.as_itself().enroll(known(&|_| {})).await;
        let again = again.expect("a node that is known").into_inner();
        assert_ne!(
            again.certificate, self.reply.certificate,
            "the same certificate again"
        );
        let bare = self.client(None).enroll(known(&|_| {})).await;
        refused("a token without its certificate", Code::Unauthenticated, bare);
        let master = |r: &mut EnrollRequest| {
            (r.role, r.machine_id) = (Role::Master.into(), "master-1".into());
        };
        let master = self.as_itself().enroll(known(&master)).await;
        refused("a worker as master", Code::PermissionDenied, master);
    }
}
