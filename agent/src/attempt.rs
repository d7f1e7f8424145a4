//! Runs what one attempt needs on this node: code, requirements, the engine, the job. One task owns it all, so that
//! ending the task's work is ending the attempt.

mod prepare;
mod steps;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::crash::{self, Point};
use mayfly_kit::store::Store;
use mayfly_proto::Attempt;
use mayfly_proto::engine::{Definition, Peer};
use mayfly_proto::v1::{EngineReport, NodeSpec, Progress};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::config::NodeConfig;
use crate::engine::{self, Engine, Python, cause};
use crate::identity::Session;
use crate::logs::{Order as LogOrder, Tail};
use crate::node::{Blame, Event, Failure, JobEnd, Role};
use crate::prepare::{Kind, PrepareError};
use crate::staged::Staged;
use crate::supervise::{Child, Exit, Keeper, Line, Stream};
use crate::visits::{Over, Visits};
use crate::{environment, python};
use prepare::Prepared;
use steps::Steps;

/// Last lines of the job that are reported with its end.
const LAST_LINES: usize = 20;
/// The engine of a node whose attempt ends gets at most this to end by itself; its work is done by then.
const ENGINE_GRACE_MAX: Duration = Duration::from_secs(2);
/// A session that is over gets this long to end by itself.
const SESSION_GRACE: Duration = Duration::from_secs(10);

/// What every attempt of this node has in common. No `Debug`: it holds secrets.
pub struct Common {
    /// The node's configuration.
    pub config: NodeConfig,
    /// What the coordinator said at enrolment.
    pub spec: NodeSpec,
    /// The engine that it names.
    pub definition: Arc<Definition>,
    /// Who we are.
    pub session: Session,
    /// The store.
    pub store: Store,
    /// What the job finds in its environment to open the store with.
    pub store_access: Vec<(&'static str, String)>,
    /// Who starts programs.
    pub keeper: Keeper,
    /// The results folder as the job sees it.
    pub results: PathBuf,
    /// Where lines go.
    pub lines: mpsc::Sender<Line>,
    /// Orders to the keeper of the logs.
    pub logs: mpsc::Sender<LogOrder>,
    /// The job's last lines.
    pub tail: Tail,
    /// What is reported beside the node's phase.
    pub facts: watch::Sender<Facts>,
    /// How far the inputs have come.
    pub staged: Arc<Staged>,
    /// Where events go.
    pub events: mpsc::Sender<Event>,
    /// The use of a job that is a session.
    pub visits: Arc<Visits>,
}

/// What the attempt knows that only people and the receipt need.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The engine's state.
    pub engine: EngineReport,
    /// The job's progress.
    pub progress: Progress,
    /// How long each step took, in seconds.
    pub step_secs: BTreeMap<String, f64>,
}

/// What the driver wants of the attempt.
#[derive(Debug)]
pub enum Order {
    /// Clone, install.
    Prepare,
    /// Start the engine as what this node is in the attempt; the address is the master's.
    Engine(Role, String),
    /// Run the job; these are the workers, where the engine wants to know them.
    Job(Vec<Peer>),
    /// Let the engine move what this node holds to others.
    Decommission,
    /// End everything; again with less grace when there is hurry.
    Stop(Duration),
}

/// Runs an attempt until it is told to stop; the last event is [`Event::Stopped`].
pub async fn run(common: Arc<Common>, attempt: Attempt, mut orders: mpsc::Receiver<Order>) {
    common.facts.send_replace(Facts::default());
    // Lines of this attempt are kept under its number from here on.
    let _ = common.logs.send(LogOrder::Begin(attempt)).await;
    let mut running = Running::new(common, attempt);
    let grace = loop {
        // What is chosen here is only waited for; it is dealt with outside, where nothing cuts it off.
        let next = tokio::select! {
            order = orders.recv() => Next::Order(order),
            happened = running.happens() => Next::Happened(happened),
        };
        match next {
            Next::Order(Some(Order::Prepare)) => running.prepare(),
            Next::Order(Some(Order::Engine(role, master))) => running.start_engine(role, master).await,
            Next::Order(Some(Order::Job(workers))) => running.start_job(workers).await,
            Next::Order(Some(Order::Decommission)) => running.engine.iter().for_each(Engine::decommission),
            Next::Order(Some(Order::Stop(grace))) => break grace,
            Next::Order(None) => break Duration::ZERO,
            Next::Happened(happened) => running.turn(happened).await,
        }
    };
    running.stop(grace, &mut orders).await;
}

enum Next {
    Order(Option<Order>),
    Happened(Happened),
}

/// What happens by itself.
enum Happened {
    Prepared(Result<Result<Prepared, PrepareError>, JoinError>),
    Engine(engine::Status),
    Progress(Progress),
    JobEnded(Exit),
    SessionOver(Over),
}

struct Running {
    common: Arc<Common>,
    attempt: Attempt,
    preparing: JoinSet<Result<Prepared, PrepareError>>,
    prepared: Option<Prepared>,
    /// For the engine, which may want it before it starts.
    python: watch::Sender<Option<Python>>,
    engine: Option<Engine>,
    status: Option<watch::Receiver<engine::Status>>,
    engine_began: Instant,
    engine_ready: bool,
    job: Option<Child>,
    steps: Steps,
    progress: JoinSet<()>,
    progress_seen: Option<watch::Receiver<Progress>>,
}

impl Running {
    fn new(common: Arc<Common>, attempt: Attempt) -> Self {
        Self {
            common,
            attempt,
            preparing: JoinSet::new(),
            prepared: None,
            python: watch::Sender::new(None),
            engine: None,
            status: None,
            engine_began: Instant::now(),
            engine_ready: false,
            job: None,
            steps: Steps::default(),
            progress: JoinSet::new(),
            progress_seen: None,
        }
    }

    async fn tell(&self, event: Event) {
        // Without a driver there is nobody to tell; its end drops this task.
        let _ = self.common.events.send(event).await;
    }

    async fn failed(&self, error: PrepareError) {
        let blame = match error.kind {
            Kind::Job => Blame::Job,
            Kind::Infra => Blame::Infra,
        };
        self.tell(Event::Failed(
            self.attempt,
            Failure {
                blame,
                message: error.message,
            },
        ))
        .await;
    }

    fn prepare(&mut self) {
        self.preparing
            .spawn(prepare::prepare(Arc::clone(&self.common), self.attempt));
    }

    async fn start_engine(&mut self, role: Role, master: String) {
        if let Some(old) = self.engine.take() {
            old.stop(ENGINE_GRACE_MAX).await;
        }
        self.engine_began = Instant::now();
        let role = match role {
            Role::Master => engine::Role::Master,
            Role::Worker | Role::Auto => engine::Role::Worker { master },
        };
        crash::before(Point::EngineStart);
        let started = Engine::start(self.context(), role, self.python.subscribe());
        crash::after(Point::EngineStart);
        match started {
            Ok(engine) => {
                self.status = Some(engine.status());
                self.engine = Some(engine);
            }
            Err(error) => {
                self.failed(PrepareError::infra(format!(
                    "the engine cannot be started: {error}"
                )))
                .await;
            }
        }
    }

    fn context(&self) -> engine::Context {
        let Common { config, spec, .. } = &*self.common;
        engine::Context {
            toolchain: config.toolchain.clone(),
            keeper: self.common.keeper.clone(),
            address: config.address,
            cores: config.cores,
            memory_bytes: config.memory_bytes,
            folder: config.folder.clone(),
            secret: spec.engine_secret.clone(),
            conf: spec.engine_conf.clone().into_iter().collect(),
            env: environment::of_job(&self.common, self.attempt),
            python_bin: python::bin_folder(&config.folder),
            temporary: config.shared.join("tmp"),
            lines: self.common.lines.clone(),
            fleet: engine::Fleet {
                definition: Arc::clone(&self.common.definition),
                node: self.common.session.node.to_string(),
                run: self.common.session.run.to_string(),
                attempt: self.attempt.number(),
                workers: spec.workers,
                min_workers: spec.min_workers,
                worker_cores: spec.worker_cores,
                worker_memory_bytes: spec.worker_memory_bytes,
                results: self.common.results.clone(),
                code: config.folder.join("code").join(path_of(spec)),
            },
        }
    }

    async fn start_job(&mut self, workers: Vec<Peer>) {
        let code = self.common.spec.code.clone().unwrap_or_default();
        self.steps = Steps::of(&code, workers);
        self.common.visits.begin();
        self.start_step().await;
    }

    async fn start_step(&mut self) {
        let Some(step) = self.steps.begin() else {
            return;
        };
        let (Some(engine), Some(prepared)) = (&self.engine, &self.prepared) else {
            return;
        };
        let Common { spec, .. } = &*self.common;
        let code = spec.code.clone().unwrap_or_default();
        let job = engine::Job {
            code: prepared.code.clone(),
            path: code.path,
            entry: step.entry,
            class: step.class,
            args: step.args,
            command: step.command,
            python: prepared.python.program.clone(),
            env: BTreeMap::new(),
            worker_cores: spec.worker_cores,
            worker_memory_bytes: spec.worker_memory_bytes,
            workers: self.steps.workers(),
        };
        match crash::around(Point::JobStart, engine.submit(&job)).await {
            Ok(child) => {
                let (report, seen) = watch::channel(Progress::default());
                if let Some(following) = engine.follow(report) {
                    self.progress.spawn(following);
                    self.progress_seen = Some(seen);
                }
                self.job = Some(child);
            }
            Err(error) => self.failed(error).await,
        }
    }

    /// Waits for the next thing that happens by itself. May be dropped at any time without loss.
    async fn happens(&mut self) -> Happened {
        tokio::select! {
            Some(prepared) = self.preparing.join_next() => Happened::Prepared(prepared),
            status = changed(&mut self.status) => Happened::Engine(status),
            progress = changed(&mut self.progress_seen) => Happened::Progress(progress),
            exit = ended(self.job.as_ref()) => Happened::JobEnded(exit),
            over = session_over(&self.common, self.job.is_some()) => Happened::SessionOver(over),
        }
    }

    async fn turn(&mut self, happened: Happened) {
        match happened {
            Happened::Prepared(Ok(Ok(prepared))) => {
                self.python.send_replace(Some(prepared.python.clone()));
                self.prepared = Some(prepared);
                self.tell(Event::Prepared(self.attempt)).await;
            }
            Happened::Prepared(Ok(Err(error))) => self.failed(error).await,
            Happened::Prepared(Err(error)) => {
                self.failed(PrepareError::infra(format!("the preparation broke off: {error}")))
                    .await;
            }
            Happened::Engine(status) => self.engine_changed(status).await,
            Happened::Progress(progress) => {
                self.common.facts.send_modify(|facts| facts.progress = progress);
            }
            Happened::JobEnded(exit) => {
                self.job = None;
                if self.steps.ended(exit) {
                    self.start_step().await;
                } else {
                    self.job_ended(exit).await;
                }
            }
            Happened::SessionOver(over) => self.end_session(over).await,
        }
    }

    /// Whatever its program makes of being ended: it has done what it was for.
    async fn end_session(&mut self, over: Over) {
        let Some(job) = self.job.take() else { return };
        let why = match over {
            Over::Told => "it was ended",
            Over::Idle => "nobody has used it for as long as it may be idle",
        };
        let word = Line {
            stream: Stream::Job,
            text: format!("the session is over: {why}"),
        };
        // Without a keeper of the logs there is no output either.
        let _ = self.common.lines.send(word).await;
        crash::around(Point::JobStop, job.stop(SESSION_GRACE)).await;
        let done = Exit {
            code: Some(0),
            ..Exit::default()
        };
        self.steps.ended(done);
        self.job_ended(done).await;
    }

    async fn engine_changed(&mut self, status: engine::Status) {
        let first = status.ready && !self.common.facts.borrow().step_secs.contains_key("engine");
        let took = self.engine_began.elapsed().as_secs_f64();
        self.common.facts.send_modify(|facts| {
            if first {
                facts.step_secs.insert("engine".into(), took);
            }
            facts.engine = EngineReport {
                running: status.ready,
                address: status.address.clone(),
                alive_workers: status.alive_workers,
                ui: status.ui.clone(),
                restarts: status.restarts,
            };
        });
        if let Some(message) = status.failed {
            self.failed(PrepareError::infra(message)).await;
        }
        if status.ready != self.engine_ready {
            self.engine_ready = status.ready;
            let event = if status.ready {
                Event::EngineReady
            } else {
                Event::EngineLost
            };
            self.tell(event(self.attempt)).await;
        }
    }

    /// The job's end is that of the first step that failed, else of the last one.
    async fn job_ended(&mut self, last: Exit) {
        let exit = self.steps.failed().unwrap_or(last);
        self.progress_seen = None;
        self.progress.abort_all();
        // Its last lines may still be on their way to the logs.
        let (done, settled) = oneshot::channel();
        if self.common.logs.send(LogOrder::Settle(done)).await.is_ok() {
            let _ = settled.await;
        }
        let (cause, last_lines) = if exit.success() {
            (String::new(), Vec::new())
        } else {
            let lines = self.common.tail.last(usize::MAX);
            (
                cause::of_job(exit, lines.iter().map(String::as_str)),
                self.common.tail.last(LAST_LINES),
            )
        };
        let end = JobEnd {
            exit_code: exit.code,
            signal: exit.signal,
            cause,
            last_lines,
            stopped: false,
            steps: self.steps.done(),
        };
        self.tell(Event::JobExited(self.attempt, end)).await;
    }

    /// Ends the job, then the engine. A second order to stop shortens the grace of the first.
    async fn stop(mut self, grace: Duration, orders: &mut mpsc::Receiver<Order>) {
        self.preparing.shutdown().await;
        if let Some(job) = self.job.take() {
            crash::before(Point::JobStop);
            let exit = {
                let stopping = job.stop(grace);
                tokio::pin!(stopping);
                loop {
                    tokio::select! {
                        exit = &mut stopping => break exit,
                        Some(order) = orders.recv() => if let Order::Stop(shorter) = order {
                            stopping.set(job.stop(shorter));
                        },
                    }
                }
            };
            crash::after(Point::JobStop);
            self.steps.ended(exit);
            self.job_ended(exit).await;
        }
        self.progress.shutdown().await;
        if let Some(engine) = self.engine.take() {
            engine.stop(grace.min(ENGINE_GRACE_MAX)).await;
            self.common
                .facts
                .send_modify(|facts| facts.engine.running = false);
        }
        // A clone that was given up would write into the folder that the next attempt makes empty.
        self.common.keeper.all_gone().await;
        // From here on an order to stop is answered by the driver itself.
        orders.close();
        self.tell(Event::Stopped(self.attempt)).await;
    }
}

/// The folder inside the clone that the job runs in.
pub(crate) fn path_of(spec: &NodeSpec) -> &str {
    spec.code.as_ref().map_or("", |code| match code.path.as_str() {
        "." => "",
        path => path,
    })
}

/// The next value of a channel; never, without one or after its sender has gone.
async fn changed<T: Clone>(channel: &mut Option<watch::Receiver<T>>) -> T {
    if let Some(receiver) = channel
        && receiver.changed().await.is_ok()
    {
        return receiver.borrow_and_update().clone();
    }
    std::future::pending().await
}

/// When the session that runs is over; never, where the job is none.
async fn session_over(common: &Common, runs: bool) -> Over {
    match common.spec.session_idle().filter(|_| runs) {
        Some(idle) => common.visits.over(idle).await,
        None => std::future::pending().await,
    }
}

/// The end of the job; never, without one.
async fn ended(job: Option<&Child>) -> Exit {
    match job {
        Some(job) => job.wait().await,
        None => std::future::pending().await,
    }
}
