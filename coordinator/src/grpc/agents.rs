//! What nodes say.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_proto::v1::agent_service_server::AgentService;
use mayfly_proto::{Attempt, NodeId, PROTOCOL_VERSION, RunId, v1};
use tokio::sync::oneshot;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::{bad_id, bearer, check_token, run_id, status};
use crate::driver::Message;
use crate::run::{Desired, Goal, Node, Report, Role};
use crate::server::{Entry, Server, Session};
use crate::tokens::same;

/// Lines of one batch, and cores and memory of one node, that are believed.
const LINES_MAX: usize = 100_000;
const CORES_MAX: u32 = 4_096;
const BOOT_ID_MAX: usize = 64;

/// A report within its limit; anything larger than this is not one.
const REPORT_MAX: usize = 256 * 1024;

pub(super) struct Agents {
    server: Arc<Server>,
}

impl Agents {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    async fn node(
        &self,
        metadata: &MetadataMap,
        run: &str,
        node: &str,
    ) -> Result<(Arc<Entry>, Arc<Session>, RunId, NodeId), Status> {
        let run = run_id(run)?;
        let node: NodeId = node.parse().map_err(bad_id)?;
        let entry = self.server.run(&run).await.map_err(status)?;
        let session = entry.session(&node).await;
        let session =
            session.ok_or_else(|| Status::unauthenticated(format!("{node} has not enrolled here")))?;
        check_token(
            metadata,
            &self
                .server
                .tokens()
                .session(&run, node.as_str(), &session.boot_id),
        )?;
        Ok((entry, session, run, node))
    }

    /// A node is taken in by the session token of the same process of its agent, if it had enrolled before (this
    /// coordinator may have been started anew since), else by its join token.
    fn admit(
        &self,
        shown: Option<&str>,
        run: &RunId,
        role: Role,
        request: &v1::EnrollRequest,
    ) -> Result<(), Status> {
        let tokens = self.server.tokens();
        let session = tokens.session(run, &request.machine_id, &request.boot_id);
        if shown.is_some_and(|shown| same(shown, &session)) {
            return Ok(());
        }
        let checked = tokens
            .joining(run)
            .check(&request.join_token, role, Timestamp::now());
        checked.map_err(|error| {
            tracing::warn!(%run, role = role.name(), %error, "a node was not taken in");
            Status::unauthenticated(error.to_string())
        })
    }
}

fn role(wire: i32) -> Result<Role, Status> {
    match v1::Role::try_from(wire) {
        Ok(v1::Role::Master) => Ok(Role::Master),
        Ok(v1::Role::Worker) => Ok(Role::Worker),
        Ok(v1::Role::Unspecified) | Err(_) => Err(Status::invalid_argument("role must be MASTER or WORKER")),
    }
}

/// The node's name is its machine's name where the cloud numbers machines itself.
fn node_id(machine_id: &str, role: Role) -> Result<NodeId, Status> {
    let id: NodeId = machine_id.parse().map_err(bad_id)?;
    let prefix = if role == Role::Master {
        "master-"
    } else {
        "worker-"
    };
    if id.as_str().starts_with(prefix) {
        Ok(id)
    } else {
        Err(Status::invalid_argument(format!(
            "machine {id} cannot enrol as {}",
            prefix.trim_end_matches('-')
        )))
    }
}

fn check_enrolment(request: &v1::EnrollRequest) -> Result<(), Status> {
    if request.protocol + 1 < PROTOCOL_VERSION || request.protocol == 0 {
        let text = format!(
            "protocol {} is too old: this coordinator speaks {PROTOCOL_VERSION}",
            request.protocol
        );
        return Err(Status::unimplemented(text));
    }
    if request.boot_id.is_empty() || request.boot_id.len() > BOOT_ID_MAX {
        return Err(Status::invalid_argument("boot_id must have 1 to 64 characters"));
    }
    if request.address.parse::<std::net::IpAddr>().is_err() {
        return Err(Status::invalid_argument("address must be an IP address"));
    }
    if request.cores == 0 || request.cores > CORES_MAX || request.memory_bytes == 0 {
        return Err(Status::invalid_argument(
            "cores must be 1 to 4096 and memory_bytes more than 0",
        ));
    }
    Ok(())
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn wire(desired: Desired) -> v1::Desired {
    let goal = match desired.goal {
        Goal::Form => v1::Goal::Form,
        Goal::Work => v1::Goal::Work,
        Goal::Collect => v1::Goal::Collect,
        Goal::Commit => v1::Goal::Commit,
        Goal::Leave => v1::Goal::Leave,
    };
    v1::Desired {
        attempt: desired.attempt.number(),
        goal: goal.into(),
        master_address: desired.master_address,
        commit_nodes: desired.commit_nodes.into_iter().map(String::from).collect(),
        grace_ms: millis(desired.grace),
        lease_ms: millis(desired.lease),
        deadline_ms: millis(desired.deadline),
        sync_interval_ms: millis(desired.sync),
        save_results: desired.save_results,
    }
}

#[tonic::async_trait]
impl AgentService for Agents {
    async fn enroll(&self, request: Request<v1::EnrollRequest>) -> Result<Response<v1::EnrollReply>, Status> {
        let shown = bearer(request.metadata()).map(str::to_owned);
        let request = request.into_inner();
        let run = run_id(&request.run_id)?;
        let role = role(request.role)?;
        let entry = self.server.run(&run).await.map_err(status)?;
        self.admit(shown.as_deref(), &run, role, &request)?;
        check_enrolment(&request)?;
        let id = node_id(&request.machine_id, role)?;
        if entry.open_session(&id, &request.boot_id, role).await.is_none() {
            tracing::warn!(%run, node = %id, "a second agent wants to be this node: refused");
            return Err(Status::already_exists(format!(
                "{id} is enrolled by another process"
            )));
        }
        let (reply, enrolled) = oneshot::channel();
        let node = Box::new(new_node(&request, id.clone(), role));
        let sent = entry.handle.messages.send(Message::Enrol(node, reply)).await;
        if sent.is_err() || enrolled.await.is_err() {
            return Err(Status::failed_precondition(format!("run {run} is closed")));
        }
        Ok(Response::new(v1::EnrollReply {
            session_token: self.server.tokens().session(&run, id.as_str(), &request.boot_id),
            node_id: id.into(),
            spec: Some(entry.spec.clone()),
            sync_interval_ms: millis(self.server.timing().sync_fast),
        }))
    }

    async fn sync(&self, request: Request<v1::SyncRequest>) -> Result<Response<v1::SyncReply>, Status> {
        if prost::Message::encoded_len(request.get_ref()) > REPORT_MAX {
            return Err(Status::resource_exhausted("a report may have 256 KiB"));
        }
        let (metadata, _, request) = request.into_parts();
        let (entry, session, run, node) = self.node(&metadata, &request.run_id, &request.node_id).await?;
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
        Ok(Response::new(v1::SyncReply {
            seq: request.seq,
            desired: Some(wire(desired)),
        }))
    }

    async fn push_logs(
        &self,
        request: Request<Streaming<v1::LogBatch>>,
    ) -> Result<Response<v1::PushLogsReply>, Status> {
        let (metadata, _, mut batches) = request.into_parts();
        while let Some(batch) = batches.message().await? {
            let (entry, _, _, _) = self.node(&metadata, &batch.run_id, &batch.node_id).await?;
            if batch.lines.len() > LINES_MAX {
                return Err(Status::resource_exhausted("a batch may have 100,000 lines"));
            }
            if batch.stream == "job" {
                entry.handle.output.push(batch);
            }
        }
        Ok(Response::new(v1::PushLogsReply {}))
    }
}
