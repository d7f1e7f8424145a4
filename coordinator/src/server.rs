//! The coordinator itself: the runs it drives, and what nodes and people may do with them. No transport in here.

mod adopt;
mod spec;

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use mayfly_configs::Job;
use mayfly_kit::layout;
use mayfly_kit::store::{Created, Store, StoreError};
use mayfly_kit::tls::Fingerprint;
use mayfly_proto::{Attempt, NodeId, RunId, v1};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, RwLock};
use tokio_util::task::TaskTracker;

use crate::authority::Authority;
use crate::cloud::{CloudError, Clouds, Offered, Order, Sizes};
use crate::driver::{Context, Driver, Handle, Message, Start, Stop, commit_of};
use crate::gc::unsaved_folder;
use crate::home::{Home, HomeError, RunLock};
use crate::incoming::{Incoming, IncomingError, Piece, Progress};
use crate::metrics::Metrics;
use crate::record::{PhaseMark, PhaseName, RunRecord, SCHEMA};
use crate::run::{Cancel, Event, Role, Run};
use crate::tokens::Tokens;
use spec::{node_spec, run_spec, without_secrets};

/// What a coordinator is made of.
pub struct Parts {
    /// Where machines come from.
    pub clouds: Clouds,
    /// The store.
    pub store: Store,
    /// Local folders.
    pub home: Home,
    /// Tokens of this process.
    pub tokens: Tokens,
    /// Where agents and people reach this process.
    pub url: String,
    /// What vouches for nodes and listener; `None` where it listens in plaintext, on loopback.
    pub security: Option<Security>,
    /// Runs that may be open at one time; those that are taken over do not count as new.
    pub runs_max: usize,
}

/// What vouches for the other end of a connection.
#[derive(Clone)]
pub struct Security {
    /// Issues the certificates of nodes.
    pub authority: Arc<Authority>,
    /// How long each of them lasts, in all.
    pub node_life: Duration,
    /// Authority of the listener's certificate, which nodes and people pin.
    pub fingerprint: Fingerprint,
}

/// Closed runs that are kept in memory.
const CLOSED_MAX: usize = 200;

/// A coordinator.
pub struct Server {
    parts: Parts,
    runs: RwLock<HashMap<RunId, Arc<Entry>>>,
    /// Held while a run is made, so that the same request twice at once is one run.
    launching: Mutex<()>,
    /// Runs that are closed and still shown, the oldest first.
    closed: Mutex<VecDeque<RunId>>,
    incoming: Incoming,
    drivers: TaskTracker,
    metrics: Metrics,
}

/// One run of this coordinator.
pub struct Entry {
    /// Its owner and projections.
    pub handle: Handle,
    /// What its nodes are told when they enrol.
    pub spec: v1::NodeSpec,
    /// First interval between the reports of its nodes.
    pub sync_fast: Duration,
    sessions: Mutex<HashMap<NodeId, Arc<Session>>>,
}

/// A node that enrolled.
#[derive(Debug)]
pub struct Session {
    /// The process of its agent.
    pub boot_id: String,
    /// What it is for.
    pub role: Role,
    /// Fingerprint of the key that it proves itself with; `None` in plaintext.
    pub key: Option<Fingerprint>,
    /// Number of its last report.
    pub last_seq: AtomicU64,
}

/// Why a run cannot be launched or found.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The job is not one.
    #[error("the job of this request cannot be read: {0}")]
    BadJob(String),
    /// No machines for this job can be had.
    #[error("{0}")]
    Impossible(String),
    /// There is no such cloud here.
    #[error("this coordinator has no cloud `{asked}`; it has {has}")]
    NoSuchCloud {
        /// What was asked for.
        asked: String,
        /// Those it has.
        has: String,
    },
    /// Nodes that are alike elect their master in Consul.
    #[error(
        "`{0}.master.role` is `auto`, and this coordinator has no Consul for its nodes to elect the master in: \
         give it one (--consul), or write `role: fixed`"
    )]
    NoConsul(String),
    /// There is no such run here.
    #[error("there is no run {0} here")]
    NoSuchRun(RunId),
    /// The run's owner has ended.
    #[error("run {0} is closed")]
    Closed(RunId),
    /// It drives as many runs as it may.
    #[error(
        "the coordinator drives {0} runs, as many as its settings allow (limits.runs): try again when one is closed"
    )]
    Full(usize),
    /// Another coordinator owns the run.
    #[error("run {0} is driven by another coordinator")]
    Foreign(RunId),
    /// Folders.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The store.
    #[error("cannot write the record of the run")]
    Store(#[from] StoreError),
    /// The cloud.
    #[error("the machines of a run that is taken over cannot be looked at")]
    Cloud(#[from] CloudError),
    /// Random bytes, files.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// A run that is about to be driven.
struct Ready {
    offered: Offered,
    sizes: Sizes,
    start: Start,
    order: Order,
    etag: String,
    lock: RunLock,
}

/// A request to launch, checked. No `Debug`: its job may hold secrets.
#[derive(Clone, Serialize, Deserialize)]
pub struct Launch {
    /// Chosen by the caller.
    pub request_id: String,
    /// The resolved job.
    pub job: Job,
    /// The job as it came, for the run's id.
    pub job_json: String,
    /// Full commit id.
    pub commit: String,
    /// Key of the bundle, or none for a URL.
    pub bundle_key: Option<String>,
    /// Who asks.
    pub owner: String,
    /// Which cloud; empty for the coordinator's first one.
    #[serde(default)]
    pub cloud: String,
}

impl Server {
    /// A coordinator with no run.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            runs: RwLock::default(),
            launching: Mutex::default(),
            closed: Mutex::default(),
            incoming: Incoming::default(),
            drivers: TaskTracker::new(),
            metrics: Metrics::default(),
        })
    }

    /// Tokens of this process.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.parts.tokens
    }

    /// What vouches for nodes; `None` in plaintext.
    #[must_use]
    pub fn security(&self) -> Option<&Security> {
        self.parts.security.as_ref()
    }

    /// Makes a run, or finds the one that the same request made. True when it was made now.
    ///
    /// # Errors
    /// The record cannot be made.
    pub async fn launch(self: &Arc<Self>, launch: Launch) -> Result<(RunId, bool), ServerError> {
        let name = launch.job.name.as_str();
        let run = RunId::derive(name, &launch.request_id, &launch.job_json, &launch.commit)
            .map_err(|error| ServerError::BadJob(error.to_string()))?;
        let offered = self.offered(&launch.cloud)?;
        if launch.job.alike && !offered.cloud.has_consul() {
            return Err(ServerError::NoConsul(name.to_owned()));
        }
        if self.runs.read().await.contains_key(&run) {
            return Ok((run, false));
        }
        let sizes = offered.cloud.check(&launch.job).await;
        let sizes = sizes.map_err(|error| ServerError::Impossible(error.to_string()))?;
        let _one_at_a_time = self.launching.lock().await;
        if self.runs.read().await.contains_key(&run) {
            return Ok((run, false));
        }
        let open = self.drivers.len();
        if open >= self.parts.runs_max {
            return Err(ServerError::Full(open));
        }
        let Some(lock) = self.parts.home.lock(&run)? else {
            return Err(ServerError::Foreign(run));
        };
        // What the record must not hold is kept where only this user reads it, before there is anything to adopt.
        self.keep_request(&run, &launch)?;
        let record = self.record(&run, &launch, offered.name);
        let text =
            serde_json::to_vec_pretty(&record).map_err(|error| ServerError::BadJob(error.to_string()))?;
        match self.parts.store.put_new(&layout::record(&run), text).await? {
            Created::Exists => Ok((run, false)),
            Created::Yes(etag) => {
                self.write_control(&run)?;
                let order = self.order(&run, &launch, record.deadline);
                let fresh = Run::new(run_spec(&order.job, offered.timing.clone()));
                let (state, effects) = fresh.step(Duration::ZERO, Event::Recorded);
                let start = Start {
                    run: state,
                    effects,
                    elapsed: Duration::ZERO,
                    record,
                };
                let ready = Ready {
                    offered,
                    sizes,
                    start,
                    order,
                    etag,
                    lock,
                };
                self.drive(&launch, ready).await;
                Ok((run, true))
            }
        }
    }

    fn offered(&self, name: &str) -> Result<Offered, ServerError> {
        let found = self.parts.clouds.get(name).cloned();
        found.ok_or_else(|| ServerError::NoSuchCloud {
            asked: name.to_owned(),
            has: self.parts.clouds.names().join(", "),
        })
    }

    fn record(&self, run: &RunId, launch: &Launch, cloud: &str) -> RunRecord {
        let created = Timestamp::now();
        let deadline = created
            .checked_add(launch.job.limits.deadline.as_duration())
            .unwrap_or(Timestamp::MAX);
        RunRecord {
            schema: SCHEMA,
            run: run.clone(),
            request_id: launch.request_id.clone(),
            job: without_secrets(launch.job.clone()),
            commit: launch.commit.clone(),
            bundle_key: launch.bundle_key.clone(),
            owner: launch.owner.clone(),
            cloud: cloud.into(),
            folder: Some(self.parts.home.run(run)),
            coordinator: self.parts.url.clone(),
            created,
            deadline,
            attempt: Attempt::FIRST,
            phases: vec![PhaseMark {
                phase: PhaseName::Accepted,
                attempt: Attempt::FIRST,
                began: created,
            }],
            nodes: Vec::new(),
            job_ended: None,
            ended: None,
        }
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        self.security().map(|security| security.fingerprint)
    }

    /// Lets another command on this machine find the coordinator of a run, and nobody else.
    fn write_control(&self, run: &RunId) -> Result<(), ServerError> {
        let control = Control {
            url: self.parts.url.clone(),
            token: self.parts.tokens.people().into(),
            fingerprint: self.fingerprint().map(|print| print.to_string()),
        };
        write_json(&self.parts.home.control(run), &control, "write coordinator.json")
    }

    fn keep_request(&self, run: &RunId, launch: &Launch) -> Result<(), ServerError> {
        write_json(&self.parts.home.request(run), launch, "write request.json")
    }

    fn order(&self, run: &RunId, launch: &Launch, deadline: Timestamp) -> Order {
        Order {
            run: run.clone(),
            coordinator: self.parts.url.clone(),
            fingerprint: self.fingerprint(),
            joining: self.parts.tokens.joining(run),
            store: self.parts.store.s3_url(""),
            owner: launch.owner.clone(),
            deadline,
            job: launch.job.clone(),
        }
    }

    async fn drive(self: &Arc<Self>, launch: &Launch, ready: Ready) {
        let Ready {
            offered,
            sizes,
            start,
            order,
            etag,
            lock,
        } = ready;
        let run = order.run.clone();
        let spec = node_spec(launch, self.parts.tokens.engine(&run), sizes);
        let cloud = Arc::clone(&offered.cloud);
        let context = Context {
            cloud: offered.cloud,
            store: self.parts.store.clone(),
            home: self.parts.home.clone(),
            order,
            etag,
        };
        let (driver, handle) = Driver::new(context, start);
        let entry = Entry {
            handle,
            spec,
            sync_fast: offered.timing.sync_fast,
            sessions: Mutex::default(),
        };
        self.runs.write().await.insert(run.clone(), Arc::new(entry));
        let server = Arc::clone(self);
        let forgotten = run.clone();
        self.drivers.spawn(async move {
            match driver.drive().await {
                Stop::Closed => {
                    clear_folder(&server.parts.store, &server.parts.home, &run).await;
                    server.forget_older(run).await;
                }
                // Its folder and its nodes are the other coordinator's.
                Stop::Superseded => {
                    server.runs.write().await.remove(&run);
                }
            }
            cloud.forget(&forgotten).await;
            drop(lock);
        });
    }

    /// A run that was closed is shown for a while; the store has it for ever.
    async fn forget_older(&self, closed: RunId) {
        let mut known = self.closed.lock().await;
        known.push_back(closed);
        if known.len() > CLOSED_MAX
            && let Some(oldest) = known.pop_front()
        {
            self.runs.write().await.remove(&oldest);
        }
    }

    /// Takes a piece of a bundle that somebody brings for a launch.
    ///
    /// # Errors
    /// It is too much, or the store does not answer.
    pub async fn put_code(&self, piece: Piece) -> Result<Progress, IncomingError> {
        self.incoming.take(&self.parts.store, piece).await
    }

    /// A run that this coordinator drives or drove.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn run(&self, run: &RunId) -> Result<Arc<Entry>, ServerError> {
        let runs = self.runs.read().await;
        runs.get(run)
            .cloned()
            .ok_or_else(|| ServerError::NoSuchRun(run.clone()))
    }

    /// All runs of this coordinator.
    pub async fn entries(&self) -> Vec<Arc<Entry>> {
        self.runs.read().await.values().cloned().collect()
    }

    /// Views of all runs of this coordinator.
    pub async fn views(&self) -> Vec<v1::RunView> {
        let entries = self.entries().await;
        entries
            .iter()
            .map(|entry| entry.handle.view.borrow().clone())
            .collect()
    }

    /// What is counted for Prometheus.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Asks the owner of a run to end it.
    ///
    /// # Errors
    /// There is no such run, or it is closed.
    pub async fn cancel(&self, run: &RunId, level: Cancel) -> Result<v1::RunView, ServerError> {
        let entry = self.run(run).await?;
        let sent = entry.handle.messages.send(Message::Cancel(level)).await;
        sent.map_err(|_closed| ServerError::Closed(run.clone()))?;
        Ok(entry.handle.view.borrow().clone())
    }

    /// Waits until every run is closed.
    pub async fn drained(&self) {
        self.drivers.close();
        self.drivers.wait().await;
    }
}

/// How the coordinator of a run is reached from this machine: `coordinator.json`. No `Debug`: it holds a token.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct Control {
    /// `http://host:port`.
    pub url: String,
    /// What people show.
    pub token: String,
    /// `sha256:…` of the authority that its certificate comes from, where it speaks TLS.
    #[serde(default)]
    pub fingerprint: Option<String>,
}

impl Entry {
    /// Remembers a node's session; the same process of its agent, with the same key, may enrol again, another one may
    /// not.
    pub async fn open_session(
        &self,
        node: &NodeId,
        boot_id: &str,
        role: Role,
        key: Option<Fingerprint>,
    ) -> Option<Arc<Session>> {
        let mut sessions = self.sessions.lock().await;
        let fresh = || {
            Arc::new(Session {
                boot_id: boot_id.into(),
                role,
                key,
                last_seq: AtomicU64::new(0),
            })
        };
        let session = sessions.entry(node.clone()).or_insert_with(fresh);
        let same = session.boot_id == boot_id && session.role == role && session.key == key;
        same.then(|| Arc::clone(session))
    }

    /// The session of a node.
    pub async fn session(&self, node: &NodeId) -> Option<Arc<Session>> {
        self.sessions.lock().await.get(node).cloned()
    }
}

impl Session {
    /// Whether this is the newest report so far; an older one that comes late is not taken.
    #[must_use]
    pub fn is_new(&self, seq: u64) -> bool {
        self.last_seq.fetch_max(seq, Ordering::AcqRel) < seq
    }
}

fn write_json(path: &Path, value: &impl Serialize, what: &'static str) -> Result<(), ServerError> {
    let bytes = serde_json::to_vec(value).map_err(std::io::Error::other);
    let written = bytes.and_then(|bytes| crate::home::write_private(path, &bytes));
    written.map_err(|source| ServerError::Io { what, source })
}

/// The folders of a closed run's nodes go, unless they hold the only copy of what the job wrote.
async fn clear_folder(store: &Store, home: &Home, run: &RunId) {
    // It may hold secrets of the launcher's environment, and nobody needs it any more.
    let _gone = tokio::fs::remove_file(home.request(run)).await;
    let committed = matches!(commit_of(store, run).await, Ok(Some(_)));
    if !committed && unsaved_folder(home, run).is_some() {
        return;
    }
    if let Err(error) = tokio::fs::remove_dir_all(home.run(run)).await {
        tracing::warn!(%run, %error, "the folders of the run's nodes cannot be removed");
    }
}
