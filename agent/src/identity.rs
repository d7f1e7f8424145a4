//! Who this node is to the coordinator: enrolment, and the session that comes of it.

mod finder;
mod key;
mod patience;

use std::time::Duration;

use data_encoding::HEXLOWER;
use mayfly_kit::backoff::{Backoff, Policy, jitter};
use mayfly_kit::crash::{self, Point};
use mayfly_kit::tls::{DialError, Dialer, Fingerprint, FingerprintError, Identity, Trust};
use mayfly_proto::v1::agent_service_client::AgentServiceClient;
use mayfly_proto::v1::{EnrollReply, EnrollRequest, NodeSpec, Role};
use mayfly_proto::{CONNECTION_WINDOW, IdError, NodeId, ON_MASTER, PROTOCOL_VERSION, RunId, STREAM_WINDOW};
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::again::{Keep, Papers};
use crate::config::{NodeConfig, RoleName};
use finder::Finder;
use key::Key;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// A coordinator that vanished without a word is noticed in this time, plus the timeout.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Before a renewal that failed is tried again.
const RENEW_RETRY: Duration = Duration::from_secs(5);
const ENROL_BASE: Duration = Duration::from_millis(100);
const ENROL_CAP: Duration = Duration::from_secs(2);

/// Why a node is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The address is not one.
    #[error("the coordinator's address {url:?} cannot be used")]
    Address {
        /// What was configured.
        url: String,
        /// What is wrong with it.
        #[source]
        source: DialError,
    },
    /// The configured fingerprint is not one.
    #[error("the fingerprint of the coordinator's authority cannot be used")]
    Fingerprint(#[from] FingerprintError),
    /// No key can be drawn.
    #[error("draw this node's key")]
    Key(#[from] rcgen::Error),
    /// The coordinator said no, or nothing, for too long.
    #[error("enrol at {url}: {}", .status.message())]
    Refused {
        /// Where.
        url: String,
        /// The last answer. No source: as one it would say the same again, for programmers.
        status: Box<Status>,
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

/// How a coordinator is reached.
struct Way {
    url: String,
    dialer: Dialer,
    channel: Channel,
}

impl Way {
    fn to(url: &str, pin: Option<Fingerprint>) -> Result<Self, EnrolError> {
        let fail = |source| EnrolError::Address {
            url: url.to_owned(),
            source,
        };
        let dialer = Dialer::new(url, pin.map(Trust::Pinned)).map_err(fail)?;
        Ok(Self {
            channel: dialer.channel(None, tune).map_err(fail)?,
            url: url.to_owned(),
            dialer,
        })
    }

    fn with(&mut self, identity: &Identity) -> Result<(), EnrolError> {
        let channel = self.dialer.channel(Some(identity), tune);
        self.channel = channel.map_err(|source| EnrolError::Address {
            url: self.url.clone(),
            source,
        })?;
        Ok(())
    }
}

/// The door of one run's coordinator, and how this process introduces itself there.
pub struct Door {
    /// `None` until it is found.
    way: Option<Way>,
    /// Where it is looked for, when it lives on the fleet's own master and may change its address with it.
    finder: Option<Finder>,
    pin: Option<Fingerprint>,
    /// `None` in plaintext.
    key: Option<Key>,
    request: EnrollRequest,
    run: RunId,
    patience: Policy,
    /// What is shown since this process was taken in: its join token expires.
    known_as: Option<MetadataValue<Ascii>>,
    /// What it proves itself with since then.
    identity: Option<Identity>,
    /// Where that is kept for a process after this one.
    keep: Option<Keep>,
    /// When the certificate is to be renewed.
    renew_at: Option<Instant>,
}

impl Door {
    /// Makes no connection yet.
    ///
    /// # Errors
    /// The configured address is not one, or nobody there can be trusted.
    pub fn new(config: &NodeConfig, private_results: bool) -> Result<Self, EnrolError> {
        let pin = config.fingerprint.as_deref().map(str::parse).transpose()?;
        let on_master = config.coordinator == ON_MASTER;
        let finder = on_master.then(|| Finder::new(&config.store, &config.run));
        let way = match finder {
            Some(_) => None,
            None => Some(Way::to(&config.coordinator, pin)?),
        };
        let tls = way.as_ref().is_none_or(|way| way.dialer.is_tls());
        let key = tls.then(Key::draw).transpose()?;
        let role = match config.role {
            RoleName::Master => Role::Master,
            RoleName::Worker => Role::Worker,
            RoleName::Auto => Role::Auto,
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
            certificate_request: key.as_ref().map(Key::request).unwrap_or_default(),
        };
        Ok(Self {
            way,
            finder,
            pin,
            key,
            request,
            run: config.run.clone(),
            patience: Policy {
                base: ENROL_BASE,
                cap: ENROL_CAP,
                budget: Duration::from_secs(config.alone_secs),
            },
            known_as: None,
            identity: None,
            keep: None,
            renew_at: None,
        })
    }

    /// The same, of a process that another one may follow, or that follows one which had been taken in: then it is the same
    /// to the coordinator.
    ///
    /// # Errors
    /// What the earlier one has kept cannot be used.
    pub fn kept(mut self, keep: Keep) -> Result<Self, EnrolError> {
        if let Some(papers) = keep.papers() {
            self.known_as = Some(bearer(&papers.token)?);
            self.request.boot_id = papers.boot_id;
            if let Some(pkcs8) = papers.key {
                let key = Key::kept(&pkcs8)?;
                self.request.certificate_request = key.request();
                self.identity = Some(key.identity(papers.certificate));
                self.key = Some(key);
            }
            self.prove()?;
        }
        self.keep = Some(keep);
        Ok(self)
    }

    /// Shows what it has to whoever is at the end of the way.
    fn prove(&mut self) -> Result<(), EnrolError> {
        match (&mut self.way, &self.identity) {
            (Some(way), Some(identity)) => way.with(identity),
            (None, _) | (_, None) => Ok(()),
        }
    }

    /// Asks to be taken in, for at most [`NodeConfig::alone_secs`]; repeating it later gives the same node.
    ///
    /// # Errors
    /// The coordinator said no for good, could not be reached in that time, or answered nonsense.
    pub async fn enrol(&mut self) -> Result<Enrolled, EnrolError> {
        let mut waits = Backoff::new(self.patience, jitter);
        loop {
            let status = match crash::around(Point::AgentEnrol, self.ask()).await {
                Ok(reply) => return self.enrolled(reply),
                Err(status) => status,
            };
            let Some(wait) = patience::after(&status, &mut waits) else {
                return Err(self.refused(status));
            };
            tracing::debug!(%status, "not taken in yet, again in {wait:?}");
            tokio::time::sleep(wait).await;
            self.look_again().await;
        }
    }

    /// Looks where the coordinator is now, if it can be elsewhere; true when it is.
    pub async fn look_again(&mut self) -> bool {
        let Some(finder) = &self.finder else {
            return false;
        };
        let Some(url) = finder.find().await else {
            return false;
        };
        if self.way.as_ref().is_some_and(|way| way.url == url) {
            return false;
        }
        match Way::to(&url, self.pin) {
            Ok(way) => {
                tracing::info!(%url, "the coordinator is found");
                self.way = Some(way);
                // As a stranger it would need its join token, which expires.
                self.prove().is_ok()
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the coordinator's address is none"
                );
                false
            }
        }
    }

    /// Asks once for a new certificate when that of now has passed most of its life; `None` when it has not.
    pub async fn renew(&mut self) -> Option<Result<Enrolled, EnrolError>> {
        let now = Instant::now();
        self.renew_at.filter(|&due| due <= now)?;
        self.renew_at = Some(now + RENEW_RETRY);
        Some(match self.ask().await {
            Ok(reply) => self.enrolled(reply),
            Err(status) => Err(self.refused(status)),
        })
    }

    async fn ask(&self) -> Result<EnrollReply, Status> {
        let mut request = Request::new(self.request.clone());
        request.set_timeout(CALL_TIMEOUT);
        if let Some(known_as) = &self.known_as {
            request.metadata_mut().insert("authorization", known_as.clone());
        }
        let way = self.way.as_ref();
        let way = way.ok_or_else(|| Status::unavailable("the coordinator has not said where it is"))?;
        let mut client = AgentServiceClient::new(way.channel.clone());
        // The server keeps the timeout too; this one also holds when the server does not.
        let call = tokio::time::timeout(CALL_TIMEOUT, client.enroll(request));
        let reply = call.await.map_err(|_| Status::deadline_exceeded("no answer"))?;
        Ok(reply?.into_inner())
    }

    fn refused(&self, status: Status) -> EnrolError {
        EnrolError::Refused {
            url: self.way.as_ref().map_or(ON_MASTER, |way| &way.url).to_owned(),
            status: Box::new(status),
        }
    }

    /// What the coordinator's answer makes of this process.
    ///
    /// # Errors
    /// It makes no sense, or lacks what every node needs.
    pub fn enrolled(&mut self, reply: EnrollReply) -> Result<Enrolled, EnrolError> {
        let node: NodeId = reply.node_id.parse().map_err(EnrolError::Answer)?;
        let authorization = bearer(&reply.session_token)?;
        if let Some(keep) = &self.keep {
            keep.set_papers(&Papers {
                boot_id: self.request.boot_id.clone(),
                token: reply.session_token.clone(),
                key: self.key.as_ref().map(Key::pkcs8),
                certificate: reply.certificate.clone(),
            });
        }
        if let Some(key) = &self.key {
            if reply.certificate.is_empty() {
                return Err(EnrolError::Lacks("certificate"));
            }
            self.identity = Some(key.identity(reply.certificate));
            let lasts = Duration::from_millis(reply.certificate_ms);
            self.renew_at = Some(key::renew_at(Instant::now(), lasts));
            self.prove()?;
        }
        self.known_as = Some(authorization.clone());
        let way = self.way.as_ref().ok_or(EnrolError::Lacks("address"))?;
        Ok(Enrolled {
            session: Session {
                run: self.run.clone(),
                node,
                channel: way.channel.clone(),
                authorization,
            },
            token: reply.session_token,
            spec: reply.spec.ok_or(EnrolError::Lacks("spec"))?,
            sync_interval: Duration::from_millis(reply.sync_interval_ms),
        })
    }
}

/// What a node shows with each call.
fn bearer(token: &str) -> Result<MetadataValue<Ascii>, EnrolError> {
    let mut shown: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| EnrolError::Lacks("token that can be sent back"))?;
    shown.set_sensitive(true);
    Ok(shown)
}

fn tune(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
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
