//! Who this node is to the coordinator: enrolment, and the session that comes of it.

use std::time::Duration;

use data_encoding::HEXLOWER;
use mayfly_kit::backoff::{Backoff, Policy, jitter};
use mayfly_proto::v1::agent_service_client::AgentServiceClient;
use mayfly_proto::v1::{EnrollReply, EnrollRequest, NodeSpec, Role};
use mayfly_proto::{IdError, NodeId, PROTOCOL_VERSION, RunId};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::config::{NodeConfig, RoleName};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// A coordinator that vanished without a word is noticed in this time, plus the timeout.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
const ENROL_BASE: Duration = Duration::from_millis(100);
const ENROL_CAP: Duration = Duration::from_secs(2);

/// Why a node is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The address is not one.
    #[error("{url:?} is not a coordinator's address: it has the form http://host:port")]
    Address {
        /// What was configured.
        url: String,
        /// What is wrong with it.
        #[source]
        source: tonic::transport::Error,
    },
    /// The coordinator said no, or nothing, for too long.
    #[error("enrol at {url}")]
    Refused {
        /// Where.
        url: String,
        /// The last answer.
        #[source]
        source: Box<Status>,
    },
    /// The coordinator's answer makes no sense.
    #[error("the coordinator's answer cannot be used")]
    Answer(#[source] IdError),
    /// The answer lacks what every node needs.
    #[error("the coordinator's answer has no {0}")]
    Lacks(&'static str),
}

/// A node that is known to the coordinator. No `Debug`: it holds a token.
#[derive(Clone)]
pub struct Session {
    /// The run.
    pub run: RunId,
    /// This node.
    pub node: NodeId,
    channel: Channel,
    authorization: MetadataValue<Ascii>,
}

impl Session {
    /// A client on the shared connection.
    #[must_use]
    pub fn client(&self) -> AgentServiceClient<Channel> {
        AgentServiceClient::new(self.channel.clone())
    }

    /// A request that says who sends it.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", self.authorization.clone());
        request
    }
}

/// What a node gets when it is taken in.
pub struct Enrolled {
    /// For every later call.
    pub session: Session,
    /// For redaction only.
    pub token: String,
    /// What does not change while the node lives.
    pub spec: NodeSpec,
    /// First interval between reports.
    pub sync_interval: Duration,
}

/// The door of one coordinator, and how this process introduces itself there.
pub struct Door {
    url: String,
    channel: Channel,
    request: EnrollRequest,
    run: RunId,
    patience: Policy,
    /// What was shown since this process was taken in: join tokens expire.
    known_as: Option<MetadataValue<Ascii>>,
}

impl Door {
    /// Makes no connection yet.
    ///
    /// # Errors
    /// The configured address is not one.
    pub fn new(config: &NodeConfig, private_results: bool) -> Result<Self, EnrolError> {
        let url = config.coordinator.clone();
        let endpoint = Endpoint::from_shared(url.clone()).map_err(|source| EnrolError::Address {
            url: url.clone(),
            source,
        })?;
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .connect_lazy();
        let role = match config.role {
            RoleName::Master => Role::Master,
            RoleName::Worker => Role::Worker,
        };
        let request = EnrollRequest {
            protocol: PROTOCOL_VERSION,
            run_id: config.run.to_string(),
            join_token: config.join_token.clone(),
            role: role.into(),
            machine_id: config.machine_id.clone(),
            boot_id: boot_id(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            address: config.address.to_string(),
            cores: config.cores,
            memory_bytes: config.memory_bytes,
            private_results,
        };
        Ok(Self {
            url,
            channel,
            request,
            run: config.run.clone(),
            patience: Policy {
                base: ENROL_BASE,
                cap: ENROL_CAP,
                budget: Duration::from_secs(config.alone_secs),
            },
            known_as: None,
        })
    }

    /// Asks to be taken in, for at most [`NodeConfig::alone_secs`]; repeating it later gives the same node.
    ///
    /// # Errors
    /// The coordinator said no for good, could not be reached in that time, or answered nonsense.
    pub async fn enrol(&mut self) -> Result<Enrolled, EnrolError> {
        let mut waits = Backoff::new(self.patience, jitter);
        loop {
            let mut request = Request::new(self.request.clone());
            request.set_timeout(CALL_TIMEOUT);
            if let Some(known_as) = &self.known_as {
                request.metadata_mut().insert("authorization", known_as.clone());
            }
            let mut client = AgentServiceClient::new(self.channel.clone());
            let status = match client.enroll(request).await {
                Ok(reply) => return self.enrolled(reply.into_inner()),
                Err(status) => status,
            };
            let wait = if is_permanent(&status) { None } else { waits.next() };
            let Some(wait) = wait else {
                return Err(EnrolError::Refused {
                    url: self.url.clone(),
                    source: Box::new(status),
                });
            };
            tracing::debug!(%status, "not taken in yet, again in {wait:?}");
            tokio::time::sleep(wait).await;
        }
    }

    fn enrolled(&mut self, reply: EnrollReply) -> Result<Enrolled, EnrolError> {
        let node: NodeId = reply.node_id.parse().map_err(EnrolError::Answer)?;
        let mut authorization: MetadataValue<Ascii> = format!("Bearer {}", reply.session_token)
            .parse()
            .map_err(|_| EnrolError::Lacks("token that can be sent back"))?;
        authorization.set_sensitive(true);
        self.known_as = Some(authorization.clone());
        Ok(Enrolled {
            session: Session {
                run: self.run.clone(),
                node,
                channel: self.channel.clone(),
                authorization,
            },
            token: reply.session_token,
            spec: reply.spec.ok_or(EnrolError::Lacks("spec"))?,
            sync_interval: Duration::from_millis(reply.sync_interval_ms),
        })
    }
}

/// True when asking again cannot help.
#[must_use]
pub fn is_permanent(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::NotFound
            | Code::Unimplemented
    )
}

/// Drawn anew by each process. Without system randomness the time and pid of the jitter's hash keys do.
fn boot_id() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        bytes[..8].copy_from_slice(&jitter().to_be_bytes());
        bytes[8..].copy_from_slice(&jitter().to_be_bytes());
    }
    HEXLOWER.encode(&bytes)
}
