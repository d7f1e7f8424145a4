//! Keeps this node's daemon running, where there is one.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use mayfly_proto::engine::Facts;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::super::orders::{decommissioned, told};
use super::super::{Context, Python, Role, Status, cause, facts};
use super::ready::Sign;
use super::{ask, environment, files};
use crate::run::ADMIN_PORT;
use crate::supervise::{Child, Exit, Line, Spec, Stream};

/// Before a daemon is started again: whatever held its port has let go by then.
const RESTART_PAUSE: Duration = Duration::from_millis(500);
/// Between two questions how many workers there are, while they come and later.
const COUNT_FORMING: Duration = Duration::from_millis(200);
const COUNT: Duration = Duration::from_secs(2);
/// For a worker to hand over what it holds; its machine is gone soon after.
const DRAIN_MAX: Duration = Duration::from_secs(100);
/// For the last lines of a daemon to be passed on.
const LAST_LINES_MAX: Duration = Duration::from_secs(1);
/// Lines on their way from a daemon.
const LINES: usize = 256;

pub(super) struct Daemon {
    context: Context,
    role: Role,
    status: Status,
    report: watch::Sender<Status>,
}

enum End {
    Died(Exit),
    Told(Duration),
}

impl Daemon {
    pub(super) fn new(context: &Context, role: &Role, report: watch::Sender<Status>) -> Self {
        let definition = &context.fleet.definition;
        let ui = definition.ui_port(*role == Role::Master);
        let ui = ui.map(|port| format!("http://{}", SocketAddr::new(context.address, port)));
        Self {
            context: context.clone(),
            role: role.clone(),
            status: Status {
                ui: ui.unwrap_or_default(),
                ..Status::default()
            },
            report,
        }
    }

    pub(super) async fn run(
        mut self,
        mut python: watch::Receiver<Option<Python>>,
        mut stop: watch::Receiver<Option<Duration>>,
        mut leaving: watch::Receiver<bool>,
    ) {
        let python = tokio::select! {
            python = there(&mut python) => python,
            _ = told(&mut stop) => return,
        };
        let spec = match self.spec(&python) {
            Ok(spec) => spec,
            Err(why) => return self.give_up(why),
        };
        let Some((spec, facts)) = spec else {
            // Nothing runs here but the job.
            self.up();
            told(&mut stop).await;
            return;
        };
        loop {
            let end = match self.live(&spec, &facts, &mut stop, &mut leaving).await {
                Ok(end) => end,
                Err(why) => return self.give_up(why),
            };
            // What a master knew is lost with it, and a job that relied on that has failed without knowing it yet.
            let over = self.status.ready && self.role == Role::Master;
            self.status.ready = false;
            self.status.alive_workers = 0;
            let End::Died(exit) = end else { return self.tell() };
            let how = cause::of_exit(exit);
            if over || self.status.restarts >= self.restarts() {
                let times = self.status.restarts + 1;
                let more = if times > 1 {
                    format!(", {times} times")
                } else {
                    String::new()
                };
                return self.give_up(format!("{} {how}{more}", spec.name));
            }
            self.status.restarts += 1;
            tracing::warn!(
                daemon = spec.name,
                how,
                restarts = self.status.restarts,
                "start daemon again"
            );
            self.tell();
            if timeout(RESTART_PAUSE, told(&mut stop)).await.is_ok() {
                return;
            }
        }
    }

    fn restarts(&self) -> u32 {
        let daemon = self.context.fleet.definition.daemon(self.role == Role::Master);
        daemon.map_or(0, |daemon| daemon.restarts)
    }

    /// What is started here; `None` where nothing is.
    fn spec(&self, python: &Python) -> Result<Option<(Spec, Facts)>, String> {
        let facts = facts::of_node(&self.context, &self.role, &python.program);
        files::for_daemon(&self.context, &facts)
            .map_err(|error| format!("write the engine's files: {error}"))?;
        let Some(daemon) = self.context.fleet.definition.daemon(self.role == Role::Master) else {
            return Ok(None);
        };
        let words = facts.command_line(&daemon.run)?;
        let Some((program, args)) = words.split_first() else {
            return Ok(None);
        };
        let kind = if self.role == Role::Master {
            "master"
        } else {
            "worker"
        };
        let spec = Spec {
            name: format!("{}-{kind}", self.context.fleet.definition.name),
            stream: Stream::Engine,
            program: program.into(),
            args: args.iter().map(Into::into).collect(),
            env: environment(&self.context, &facts, python)?,
            cwd: facts::folder(&self.context),
            keeper: self.context.keeper.clone(),
        };
        Ok(Some((spec, facts)))
    }

    /// One life of the daemon.
    async fn live(
        &mut self,
        spec: &Spec,
        facts: &Facts,
        stop: &mut watch::Receiver<Option<Duration>>,
        leaving: &mut watch::Receiver<bool>,
    ) -> Result<End, String> {
        let definition = &self.context.fleet.definition;
        let ready = definition
            .daemon(self.role == Role::Master)
            .and_then(|daemon| daemon.ready.as_ref());
        let sign = Sign::new(&self.context, ready, facts)?;
        let (lines, said, mut reading) = listen(self.context.lines.clone(), sign.line());
        let child = Child::spawn(spec.clone(), lines)
            .await
            .map_err(|error| format!("{} cannot be started: {error}", spec.name))?;
        let drain = drain_spec(&self.context, spec, facts)?;
        let end = tokio::select! {
            exit = child.wait() => End::Died(exit),
            never = self.attend(&sign, said, facts) => match never {},
            () = decommissioned(leaving) => {
                if let Some(drain) = drain {
                    run_drain(drain, self.context.lines.clone()).await;
                }
                // Whether it ends before it is told to is its own affair now.
                End::Told(told(stop).await)
            }
            grace = told(stop) => End::Told(grace),
        };
        if let End::Told(grace) = end {
            child.stop(grace).await;
        }
        // Its last lines say why it ended.
        let _late = timeout(LAST_LINES_MAX, reading.join_next()).await;
        Ok(end)
    }

    /// Never ends: what it sees goes into the report.
    async fn attend(&mut self, sign: &Sign, mut said: watch::Receiver<bool>, facts: &Facts) -> Infallible {
        sign.seen(&mut said).await;
        self.up();
        let joined = self
            .context
            .fleet
            .definition
            .joined
            .clone()
            .filter(|_| self.role == Role::Master);
        let url = joined.as_ref().and_then(|joined| joined.http.render(facts).ok());
        let (Some(joined), Some(url), Some(client)) = (joined, url, ask::client()) else {
            return std::future::pending().await;
        };
        loop {
            if let Some(count) = ask::count(&client, &url, &joined.count).await
                && count != self.status.alive_workers
            {
                self.status.alive_workers = count;
                self.tell();
            }
            let forming = self.status.alive_workers < self.context.fleet.workers;
            sleep(if forming { COUNT_FORMING } else { COUNT }).await;
        }
    }

    fn up(&mut self) {
        self.status.ready = true;
        if self.role == Role::Master {
            // An engine that listens nowhere says where the node is.
            let port = self.context.fleet.definition.port(true).unwrap_or(ADMIN_PORT);
            self.status.address = SocketAddr::new(self.context.address, port).to_string();
        }
        self.tell();
    }

    fn tell(&self) {
        self.report.send_replace(self.status.clone());
    }

    fn give_up(&mut self, why: String) {
        self.status.failed = Some(why);
        self.tell();
    }
}

/// Passes a daemon's lines on, and says when one of them holds the text.
fn listen(
    to: mpsc::Sender<Line>,
    text: Option<String>,
) -> (mpsc::Sender<Line>, watch::Receiver<bool>, JoinSet<()>) {
    let (lines, mut from) = mpsc::channel::<Line>(LINES);
    let (heard, said) = watch::channel(false);
    let mut reading = JoinSet::new();
    reading.spawn(async move {
        while let Some(line) = from.recv().await {
            if text.as_ref().is_some_and(|text| line.text.contains(text)) {
                heard.send_replace(true);
            }
            if to.send(line).await.is_err() {
                return;
            }
        }
        // Nobody takes the absence of a line for its presence.
        heard.closed().await;
    });
    (lines, said, reading)
}

/// What a worker runs when its machine is about to be taken away.
fn drain_spec(context: &Context, daemon: &Spec, facts: &Facts) -> Result<Option<Spec>, String> {
    let words = facts.command_line(&context.fleet.definition.drain)?;
    Ok(words.split_first().map(|(program, args)| Spec {
        name: "drain".into(),
        program: program.into(),
        args: args.iter().map(Into::into).collect(),
        ..daemon.clone()
    }))
}

async fn run_drain(spec: Spec, lines: mpsc::Sender<Line>) {
    match Child::spawn(spec, lines).await {
        Ok(child) => {
            if timeout(DRAIN_MAX, child.wait()).await.is_err() {
                child.kill().await;
            }
        }
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the worker cannot be drained"
        ),
    }
}

/// The node's Python, once it is there.
async fn there(python: &mut watch::Receiver<Option<Python>>) -> Python {
    let found = python.wait_for(Option::is_some).await;
    let found = found.ok().and_then(|python| python.clone());
    match found {
        Some(python) => python,
        None => std::future::pending().await,
    }
}
