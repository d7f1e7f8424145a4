//! The coordinator itself: the runs it drives, and what nodes and people may do with them. No transport in here.

mod adopt;
mod carriers;
mod control;
mod place;
mod session;
mod sizing;
mod spec;

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_configs::Job;
use mayfly_kit::admin::Admin;
use mayfly_kit::crash::{self, Point};
use mayfly_kit::layout;
use mayfly_kit::store::{Created, Store, StoreError};
use mayfly_kit::tls::Fingerprint;
use mayfly_proto::{Attempt, NodeId, RunId, v1};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, RwLock, oneshot};
use tokio_util::task::TaskTracker;

use crate::authority::Authority;
use crate::check::{self, Check, Checks};
use crate::cloud::{Cloud, CloudError, Clouds, Meeting, Offered, Order, Plan, Sizes};
use crate::driver::{Context, Driver, Handle, Message, Seat, Start, Stop, commit_of};
use crate::gc::unsaved_folder;
use crate::home::{Home, HomeError, RunLock, random_base32};
use crate::incoming::{Incoming, IncomingError, Piece, Progress};
use crate::metrics::Metrics;
use crate::notify::Notify;
use crate::placed::package::PackageError;
use crate::record::{PhaseMark, PhaseName, RunRecord, SCHEMA};
use crate::run::{Cancel, Event, Role, Run};
use crate::shelf::Shelf;
use crate::tokens::Tokens;
pub(crate) use carriers::Down;
pub use carriers::{Answered, Carriers, CarryError};
pub(crate) use carriers::{Opened, Socket};
pub use place::{Placement, Placing};
pub use session::Session;
use spec::{Secrets, node_spec, run_spec, without_secrets};

/// What a coordinator is made of.
pub struct Parts {
    /// Where machines come from.
    pub clouds: Clouds,
    /// The store.
    pub store: Store,
    /// How people read it; `None` where nobody but its runs does.
    pub shelf: Option<Shelf>,
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
    /// Where the coordinators of its runs live.
    pub placement: Placement,
    /// The token of nodes in a Consul that is this coordinator's own.
    pub nodes_in_consul: Option<String>,
    /// Who is told of its runs, beside those that their jobs name.
    pub notify: Notify,
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

/// Random bytes of a claim on a run.
const CLAIM_BYTES: usize = 10;
/// The hard cap of a job's own deadline.
const EXTEND_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The owner of a run turns ten times a second; one that has not for so long is stuck.
const DRIVER_TURN_MAX: Duration = Duration::from_secs(30);
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
    admin: Admin,
}

/// One run of this coordinator.
pub struct Entry {
    /// Its owner and projections.
    pub handle: Handle,
    /// What its nodes are told when they enrol.
    pub spec: v1::NodeSpec,
    /// Where its machines come from.
    pub cloud: Arc<dyn Cloud>,
    /// First interval between the reports of its nodes.
    pub sync_fast: Duration,
    /// Where its master waits for requests to the engine's pages.
    pub carriers: Carriers,
    sessions: Mutex<HashMap<NodeId, Arc<Session>>>,
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
    /// The end of a run is to be moved too far, or not at all.
    #[error("deadline_secs must be 1 s to 7 days from now")]
    TooLate,
    /// The run ends already.
    #[error("run {0} is ending already: its end is not moved")]
    Ending(RunId),
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
    /// Another coordinator owns the run, as its record says.
    #[error("run {run} is driven by another coordinator: {by}")]
    Elsewhere {
        /// The run.
        run: RunId,
        /// Who drives it.
        by: String,
    },
    /// What its coordinator begins with.
    #[error("the run cannot be handed to a coordinator on its own master")]
    Package(#[from] PackageError),
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
            admin: Admin::new(),
        })
    }

    /// How people read the store.
    #[must_use]
    pub fn shelf(&self) -> Option<&Shelf> {
        self.parts.shelf.as_ref()
    }

    /// Tokens of this process.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.parts.tokens
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.parts.store
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
        let offered = self.offered_for(&launch)?;
        if self.runs.read().await.contains_key(&run) {
            return Ok((run, false));
        }
        let plan = planned(&offered, &launch.job).await?;
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
        crash::before(Point::RequestKeep);
        if let Err(error) = self.keep_request(&run, &launch).await {
            self.parts.home.unlock(&run, lock);
            return Err(error);
        }
        crash::after(Point::RequestKeep);
        let record = self.record(&run, &launch, offered.name, &plan)?;
        let text =
            serde_json::to_vec_pretty(&record).map_err(|error| ServerError::BadJob(error.to_string()))?;
        let key = layout::record(&run);
        let put = self.parts.store.put_new(&key, text);
        match crash::around(Point::RecordCreate, put).await? {
            Created::Exists => {
                self.found(&run, lock).await?;
                Ok((run, false))
            }
            Created::Yes(etag) => {
                self.write_control(&run);
                let meeting = self.meeting(&run, &launch, record.deadline).await?;
                let order = self.order(&run, &launch, record.deadline, plan, meeting);
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

    /// What a launch would take and cost; nothing is made.
    ///
    /// # Errors
    /// The launch would be refused.
    pub async fn plan(&self, launch: &Launch) -> Result<v1::PlanReply, ServerError> {
        let offered = self.offered_for(launch)?;
        let plan = planned(&offered, &launch.job).await?;
        let quote = offered.cloud.quote(&launch.job, &plan).map_err(impossible)?;
        Ok(quote.wire(offered.name))
    }

    /// Looks at each thing that a launch needs here; nothing is made.
    ///
    /// # Errors
    /// There is no such cloud, or not for such a job.
    pub async fn examine(&self, launch: &Launch) -> Result<Vec<Check>, ServerError> {
        let offered = self.offered_for(launch)?;
        let mut checks = Checks::default();
        checks.0.push(check::store(&self.parts.store).await);
        let store = self.parts.store.s3_url("");
        offered.cloud.examine(&launch.job, &store, &mut checks).await;
        Ok(checks.0)
    }

    /// The cloud of a launch, if it can have such nodes.
    fn offered_for(&self, launch: &Launch) -> Result<Offered, ServerError> {
        let offered = self.offered(&launch.cloud)?;
        if launch.job.alike && !offered.cloud.has_consul() {
            return Err(ServerError::NoConsul(launch.job.name.as_str().to_owned()));
        }
        Ok(offered)
    }

    fn offered(&self, name: &str) -> Result<Offered, ServerError> {
        let found = self.parts.clouds.get(name).cloned();
        found.ok_or_else(|| ServerError::NoSuchCloud {
            asked: name.to_owned(),
            has: self.parts.clouds.names().join(", "),
        })
    }

    fn record(
        &self,
        run: &RunId,
        launch: &Launch,
        cloud: &str,
        plan: &Plan,
    ) -> Result<RunRecord, ServerError> {
        let created = Timestamp::now();
        let deadline = created
            .checked_add(launch.job.limits.deadline.as_duration())
            .unwrap_or(Timestamp::MAX);
        Ok(RunRecord {
            schema: SCHEMA,
            run: run.clone(),
            request_id: launch.request_id.clone(),
            job: without_secrets(launch.job.clone()),
            commit: launch.commit.clone(),
            bundle_key: launch.bundle_key.clone(),
            owner: launch.owner.clone(),
            cloud: cloud.into(),
            folder: Some(self.parts.home.run(run)),
            coordinator: self.own_url(),
            on_master: matches!(self.parts.placement, Placement::OnMaster(_)),
            control: self.control().map(str::to_owned),
            plan: Some(plan.clone()),
            claim: new_claim()?,
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
            held_until: None,
            ended: None,
        })
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        self.security().map(|security| security.fingerprint)
    }

    /// Lets another command on this machine find the coordinator of a run, and nobody else. The run's record is in the store
    /// by now: it goes on where there is no room for this.
    fn write_control(&self, run: &RunId) {
        let control = Control {
            url: self.parts.url.clone(),
            token: self.parts.tokens.people().into(),
            fingerprint: self.fingerprint().map(|print| print.to_string()),
        };
        crash::before(Point::ControlWrite);
        let written = write_json(&self.parts.home.control(run), &control);
        crash::after(Point::ControlWrite);
        if let Err(error) = written {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(%run, error, "other commands on this machine do not find the coordinator of the run");
        }
    }

    async fn keep_request(&self, run: &RunId, launch: &Launch) -> Result<(), ServerError> {
        write_json(&self.parts.home.request(run), launch)?;
        self.keep_request_in_store(run, launch).await
    }

    fn order(
        &self,
        run: &RunId,
        launch: &Launch,
        deadline: Timestamp,
        plan: Plan,
        meeting: Meeting,
    ) -> Order {
        Order {
            run: run.clone(),
            meeting,
            fingerprint: self.fingerprint_for_nodes(),
            joining: self.parts.tokens.joining(run),
            store: self.parts.store.s3_url(""),
            owner: launch.owner.clone(),
            deadline,
            plan,
            job: launch.job.clone(),
        }
    }

    async fn drive(self: &Arc<Self>, launch: &Launch, ready: Ready) {
        let (seat, handle) = Seat::new();
        let run = ready.order.run.clone();
        self.enter(&run, launch, &ready.offered, ready.order.plan.sizes, handle)
            .await;
        let server = Arc::clone(self);
        self.drivers.spawn(async move { server.own(ready, seat).await });
    }

    /// Nodes and people find the run from now on.
    async fn enter(&self, run: &RunId, launch: &Launch, offered: &Offered, sizes: Sizes, handle: Handle) {
        let entry = Entry {
            handle,
            spec: node_spec(launch, self.secrets(run), sizes),
            cloud: Arc::clone(&offered.cloud),
            sync_fast: offered.timing.sync_fast,
            carriers: Carriers::default(),
            sessions: Mutex::default(),
        };
        self.runs.write().await.insert(run.clone(), Arc::new(entry));
    }

    fn secrets(&self, run: &RunId) -> Secrets {
        Secrets {
            engine: self.parts.tokens.engine(run),
            consul: self.parts.nodes_in_consul.clone().unwrap_or_default(),
        }
    }

    /// Drives a run until it is closed or another's.
    async fn own(self: Arc<Self>, ready: Ready, seat: Seat) {
        let Ready {
            offered,
            start,
            order,
            etag,
            lock,
        } = ready;
        let run = order.run.clone();
        let context = Context {
            cloud: Arc::clone(&offered.cloud),
            store: self.parts.store.clone(),
            home: self.parts.home.clone(),
            order,
            etag,
            yields: matches!(self.parts.placement, Placement::OnMaster(_)),
            notify: self.parts.notify.clone(),
        };
        let pulse = self.admin.watch(run.as_str(), DRIVER_TURN_MAX);
        match Driver::new(context, start, seat).drive(pulse).await {
            Stop::Closed => {
                self.put_away(&run).await;
                clear_folder(&self.parts.store, &self.parts.home, &run).await;
                self.forget_older(run.clone()).await;
            }
            Stop::Superseded(seat) if matches!(self.parts.placement, Placement::OnMaster(_)) => {
                return self.follow_and_close(run, seat, lock).await;
            }
            // Its folder and its nodes are the other coordinator's.
            Stop::Superseded(_) => {
                self.runs.write().await.remove(&run);
            }
            Stop::Left => {}
        }
        offered.cloud.forget(&run).await;
        drop(lock);
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

    /// What its admin pages show: each open run has a line there.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        &self.admin
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

    /// Moves the end of a run to so long from now.
    ///
    /// # Errors
    /// There is no such run, it ends already, or that is no time.
    pub async fn extend(&self, run: &RunId, from_now: Duration) -> Result<v1::RunView, ServerError> {
        if from_now.is_zero() || from_now > EXTEND_MAX {
            return Err(ServerError::TooLate);
        }
        let entry = self.run(run).await?;
        let closed = || ServerError::Closed(run.clone());
        let (reply, moved) = oneshot::channel();
        let sent = entry.handle.messages.send(Message::Extend(from_now, reply)).await;
        sent.map_err(|_closed| closed())?;
        if !moved.await.map_err(|_closed| closed())? {
            return Err(ServerError::Ending(run.clone()));
        }
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
        let fresh = || Arc::new(Session::new(boot_id, role, key));
        let session = sessions.entry(node.clone()).or_insert_with(fresh);
        session.is_of(boot_id, role, key).then(|| Arc::clone(session))
    }

    /// The session of a node.
    pub async fn session(&self, node: &NodeId) -> Option<Arc<Session>> {
        self.sessions.lock().await.get(node).cloned()
    }
}

fn impossible(error: CloudError) -> ServerError {
    ServerError::Impossible(error.to_string())
}

/// The machines of a job, which can hold what it asks of them.
async fn planned(offered: &Offered, job: &Job) -> Result<Plan, ServerError> {
    let plan = offered.cloud.plan(job).await.map_err(impossible)?;
    sizing::check(job, plan.sizes).map_err(ServerError::Impossible)?;
    Ok(plan)
}

/// What no other coordinator writes into the record.
fn new_claim() -> Result<String, ServerError> {
    random_base32(CLAIM_BYTES).map_err(|source| ServerError::Io {
        what: "draw the claim of a run",
        source,
    })
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ServerError> {
    let bytes = serde_json::to_vec(value).map_err(|error| ServerError::BadJob(error.to_string()))?;
    Ok(Home::write(path, &bytes)?)
}

/// The folders of a closed run's nodes go, unless they hold the only copy of what the job wrote.
async fn clear_folder(store: &Store, home: &Home, run: &RunId) {
    // It may hold secrets of the launcher's environment, and nobody needs it any more.
    let _gone = tokio::fs::remove_file(home.request(run)).await;
    let committed = matches!(commit_of(store, run).await, Ok(Some(_)));
    if !committed && unsaved_folder(home, run).is_some() {
        return;
    }
    let removed = tokio::fs::remove_dir_all(home.run(run));
    if let Err(error) = crash::around(Point::FolderRemove, removed).await {
        tracing::warn!(%run, %error, "the folders of the run's nodes cannot be removed");
    }
}
