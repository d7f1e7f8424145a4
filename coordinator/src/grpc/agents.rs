//! What nodes say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mayfly_proto::v1::agent_service_server::AgentService;
use mayfly_proto::{Attempt, NodeId, v1};
use tokio::sync::oneshot;
use tonic::{Request, Response, Status, Streaming};

use super::callers::{Caller, Callers, Known, Shown};
use super::encode::{millis, wire};
use super::places::Places;
use super::{bad_id, decode, run_id, status};
use crate::authority::NodeName;
use crate::driver::Message;
use crate::run::{Node, Report, Role};
use crate::server::{Down, Server};
use crate::transport::Refusals;

/// Lines of one batch that are believed.
const LINES_MAX: usize = 100_000;

/// How long a stream of lines may take to its first.
const FIRST_BATCH: Duration = Duration::from_secs(10);

/// A report within its limit; anything larger than this is not one.
const REPORT_MAX: usize = 256 * 1024;

pub(super) struct Agents {
    server: Arc<Server>,
    callers: Callers,
    places: Places,
}

impl Agents {
    pub(super) fn new(server: Arc<Server>, refusals: Refusals) -> Self {
        Self {
            callers: Callers::new(Arc::clone(&server), refusals),
            places: Places::default(),
            server,
        }
    }
}

fn new_node(request: &v1::EnrollRequest, id: NodeId, role: Role) -> Node {
    Node {
        id,
        role,
        address: request.address.clone(),
        cores: request.cores,
        memory_bytes: request.memory_bytes,
        private_results: request.private_results,
        since: Duration::ZERO,
        heard: Duration::ZERO,
        gone_at: None,
        lost: false,
        attempt: Attempt::FIRST,
        report: Report::default(),
        results_files: 0,
        took_part: false,
    }
}

/// Whether the job runs on this node, as far as anybody knows.
fn is_master(known: &Known) -> bool {
    match known.session.role {
        Role::Master => true,
        Role::Worker => false,
        Role::Auto => {
            let view = known.entry.handle.view.borrow();
            let mut masters = view.nodes.iter().filter(|node| node.role() == v1::Role::Master);
            masters.any(|node| node.node_id == known.node.as_str())
        }
    }
}

#[tonic::async_trait]
impl AgentService for Agents {
    type CarryStream = Down;

    async fn enroll(&self, request: Request<v1::EnrollRequest>) -> Result<Response<v1::EnrollReply>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let run = run_id(&request.run_id)?;
        let role = decode::role(request.role)?;
        let entry = self.server.run(&run).await.map_err(status)?;
        let id = decode::node_id(&request.machine_id, role)?;
        let name = NodeName {
            run,
            node: id.clone(),
            role,
        };
        let shown = self.callers.admit(&caller, &name, &request)?;
        let full = |status| self.callers.full(&caller, status);
        let _place = self.places.take(&name.run).map_err(full)?;
        decode::enrolment(&request)?;
        decode::reads_engine(&request, &entry.spec)?;
        if shown == Shown::JoinToken {
            self.callers.is_member(&caller, &name, &entry).await?;
        }
        let certified = self
            .callers
            .certify(&caller, &name, &request.certificate_request)?;
        let key = certified.as_ref().map(|certified| certified.key);
        if entry
            .open_session(&id, &request.boot_id, role, key)
            .await
            .is_none()
        {
            return Err(self.callers.taken(&caller, &name));
        }
        let (reply, enrolled) = oneshot::channel();
        let node = Box::new(new_node(&request, id.clone(), role));
        let sent = entry.handle.messages.send(Message::Enrol(node, reply)).await;
        if sent.is_err() || enrolled.await.is_err() {
            return Err(Status::failed_precondition(format!("run {} is closed", name.run)));
        }
        let tokens = self.server.tokens();
        let (certificate, lasts) = certified.map_or_else(Default::default, |certified| {
            (certified.issued.der.to_vec(), certified.issued.lasts)
        });
        Ok(Response::new(v1::EnrollReply {
            session_token: tokens.session(&name.run, id.as_str(), &request.boot_id),
            node_id: id.into(),
            spec: Some(entry.spec.clone()),
            sync_interval_ms: millis(entry.sync_fast),
            certificate,
            certificate_ms: millis(lasts),
        }))
    }

    async fn sync(&self, request: Request<v1::SyncRequest>) -> Result<Response<v1::SyncReply>, Status> {
        let asked = Instant::now();
        if prost::Message::encoded_len(request.get_ref()) > REPORT_MAX {
            return Err(Status::resource_exhausted("a report may have 256 KiB"));
        }
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let known = self
            .callers
            .node(&caller, &request.run_id, &request.node_id)
            .await?;
        let Known {
            entry,
            session,
            run,
            node,
        } = known;
        let attempt = Attempt::try_from(request.attempt).map_err(bad_id)?;
        let report = request
            .report
            .ok_or_else(|| Status::invalid_argument("a Sync without a report"))?;
        let report = Report::try_from(report).map_err(|error| Status::invalid_argument(error.to_string()))?;
        if !session.is_new(request.seq) {
            return Err(Status::aborted(format!(
                "report {} of {node} is older than one that was taken",
                request.seq
            )));
        }
        let (reply, answer) = oneshot::channel();
        let message = Message::Sync(node, attempt, Box::new(report), reply);
        let closed = || Status::failed_precondition(format!("run {run} is closed"));
        entry.handle.messages.send(message).await.map_err(|_| closed())?;
        let desired = answer.await.map_err(|_| closed())?;
        let desired = desired.map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.server.metrics().answered(asked.elapsed());
        Ok(Response::new(v1::SyncReply {
            seq: request.seq,
            desired: Some(wire(desired)),
        }))
    }

    async fn push_logs(
        &self,
        request: Request<Streaming<v1::LogBatch>>,
    ) -> Result<Response<v1::PushLogsReply>, Status> {
        let caller = Caller::of(&request);
        self.callers.is_node(&caller)?;
        let mut batches = request.into_inner();
        let first = tokio::time::timeout(FIRST_BATCH, batches.message()).await;
        let mut next = first.map_err(|_| Status::deadline_exceeded("no line came in time"))??;
        while let Some(batch) = next {
            let known = self.callers.node(&caller, &batch.run_id, &batch.node_id).await?;
            if batch.lines.len() > LINES_MAX {
                return Err(Status::resource_exhausted("a batch may have 100,000 lines"));
            }
            if batch.stream == "job" {
                if !is_master(&known) {
                    return Err(self.callers.not_for_workers(&caller, &known));
                }
                known.entry.handle.output.push(batch);
            }
            next = batches.message().await?;
        }
        Ok(Response::new(v1::PushLogsReply {}))
    }

    async fn carry(
        &self,
        request: Request<Streaming<v1::CarryUp>>,
    ) -> Result<Response<Self::CarryStream>, Status> {
        let caller = Caller::of(&request);
        self.callers.is_node(&caller)?;
        let mut up = request.into_inner();
        let first = tokio::time::timeout(FIRST_BATCH, up.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no word came in time"))??;
        let Some(v1::carry_up::What::Hello(hello)) = first.and_then(|message| message.what) else {
            return Err(Status::invalid_argument("a stream begins with who speaks"));
        };
        let known = self.callers.node(&caller, &hello.run_id, &hello.node_id).await?;
        if !is_master(&known) {
            return Err(self.callers.not_for_workers(&caller, &known));
        }
        let down = known.entry.carriers.offer(up);
        let enough = || Status::resource_exhausted("enough streams of this run wait");
        down.map(Response::new).ok_or_else(enough)
    }
}
