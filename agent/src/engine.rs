//! What forms the cluster and runs the job: [`plain`] does what an engine's definition says and nothing else; [`hook`] has
//! the engines that need code of their own.
//!
//! Words: the *daemon* is what runs on a node as long as the cluster does; the *driver* is the job's process on the master.
//! [`Engine::start`] → [`Engine::status`] until ready → [`Engine::submit`] on the master → [`Engine::stop`].

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use mayfly_proto::engine::{Definition, Peer};
use mayfly_proto::v1::{NodeSpec, Progress};
use tokio::sync::{mpsc, watch};

use crate::config::Toolchain;
use crate::prepare::PrepareError;
use crate::supervise::{Child, Keeper, Line};

pub mod cause;
mod entry;
mod env;
mod facts;
#[cfg(test)]
mod generic;
pub mod hook;
mod orders;
pub mod plain;
mod private;
mod runners;
pub mod spark;

/// What the engine of a node is told. No `Debug`: it holds secrets.
#[derive(Clone)]
pub struct Context {
    /// What is installed here.
    pub toolchain: Toolchain,
    /// Who starts programs.
    pub keeper: Keeper,
    /// Address that the fleet reaches this node at; everything binds to it and to nothing else.
    pub address: IpAddr,
    /// Cores this node offers.
    pub cores: u32,
    /// Memory this node offers, in bytes.
    pub memory_bytes: u64,
    /// The node's own folder; an engine has folders of its own in it.
    pub folder: PathBuf,
    /// Shared secret of the run's engine.
    pub secret: String,
    /// The job's settings for the engine, where it has a hook.
    pub conf: BTreeMap<String, String>,
    /// The job's environment with `MAYFLY_*` and `AWS_*`: for daemons, and through them for what they start, and the job.
    pub env: BTreeMap<String, String>,
    /// Folder of the interpreter that [`crate::python`] makes, before it exists; see [`crate::python::bin_folder`].
    pub python_bin: PathBuf,
    /// Folder for temporary files, at the same path on every node: what a killed process leaves there goes with the node.
    pub temporary: PathBuf,
    /// Where the lines of the daemon and of the job go.
    pub lines: mpsc::Sender<Line>,
    /// The run and its fleet.
    pub fleet: Fleet,
}

/// What an engine may know of the run.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// What the engine is.
    pub definition: Arc<Definition>,
    /// This node.
    pub node: String,
    /// The run.
    pub run: String,
    /// The attempt.
    pub attempt: u32,
    /// Workers asked for.
    pub workers: u32,
    /// Workers that suffice.
    pub min_workers: u32,
    /// Cores of each.
    pub worker_cores: u32,
    /// Memory of each, in bytes.
    pub worker_memory_bytes: u64,
    /// Where the job puts its results.
    pub results: PathBuf,
    /// The folder that the job runs in, on a node that has its code.
    pub code: PathBuf,
}

/// The Python of a node: the interpreter, and what is put before the `PATH`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Python {
    /// The interpreter.
    pub program: PathBuf,
    /// Folders of programs, the first one first.
    pub path: Vec<PathBuf>,
}

/// What this node does in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Knows all workers and runs the driver.
    Master,
    /// Serves the master.
    Worker {
        /// `host:port` of the master.
        master: String,
    },
}

/// What is known of this node's daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The daemon answers (master) or is registered with its master (worker).
    pub ready: bool,
    /// `host:port` where workers find the master; empty on workers.
    pub address: String,
    /// Workers that the master counts as alive; 0 on workers.
    pub alive_workers: u32,
    /// Its web page.
    pub ui: String,
    /// How often it died and was started again.
    pub restarts: u32,
    /// Set when it is given up: what to tell people, in one sentence.
    pub failed: Option<String>,
}

/// The job, as [`Engine::submit`] wants it. No `Debug`: its environment may hold secrets.
#[derive(Clone, Default)]
pub struct Job {
    /// The clone.
    pub code: PathBuf,
    /// Folder inside the clone in which it runs; empty for its root.
    pub path: String,
    /// The program, relative to `path`; empty where a command line runs, and
    /// [`SESSION`](mayfly_proto::engine::SESSION) where the engine itself is used.
    pub entry: String,
    /// Main class of an entry that needs one.
    pub class: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// In place of an entry: a program and its arguments.
    pub command: Vec<String>,
    /// The interpreter on this node, from [`crate::python::prepare`].
    pub python: PathBuf,
    /// Added to the environment of driver and executors. Nothing secret: it appears on the engine's pages.
    pub env: BTreeMap<String, String>,
    /// Cores of one worker.
    pub worker_cores: u32,
    /// Memory of one worker, in bytes.
    pub worker_memory_bytes: u64,
    /// The workers that are ready.
    pub workers: Vec<Peer>,
}

/// A node's part of a cluster. Dropping it kills the daemon (not a job that was submitted: that is its own value).
pub enum Engine {
    /// What its definition says.
    Plain(plain::Engine),
    /// With code of its own.
    Hooked(hook::Engine),
}

impl Engine {
    /// Starts this node's daemon, once `python` is there where it needs that. It comes up in the background: see
    /// [`Engine::status`].
    ///
    /// # Errors
    /// The node's folder cannot be written, or there is no such hook here.
    pub fn start(context: Context, role: Role, python: watch::Receiver<Option<Python>>) -> io::Result<Self> {
        match context.fleet.definition.hook.clone() {
            Some(hook) => hook::Engine::start(&hook, context, role).map(Self::Hooked),
            None => plain::Engine::start(context, role, python).map(Self::Plain),
        }
    }

    /// What is known of the daemon, now and later.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        match self {
            Self::Plain(engine) => engine.status(),
            Self::Hooked(engine) => engine.status(),
        }
    }

    /// Has a worker hand over what it holds and take nothing new.
    pub fn decommission(&self) {
        match self {
            Self::Plain(engine) => engine.drain(),
            Self::Hooked(engine) => engine.decommission(),
        }
    }

    /// Ends the daemon and all it started: TERM, `grace`, KILL.
    pub async fn stop(self, grace: Duration) {
        match self {
            Self::Plain(engine) => engine.stop(grace).await,
            Self::Hooked(engine) => engine.stop(grace).await,
        }
    }

    /// Checks the entry and starts the driver.
    ///
    /// # Errors
    /// The entry cannot be run (the job's doing), or the driver cannot be started (ours).
    pub async fn submit(&self, job: &Job) -> Result<Child, PrepareError> {
        match self {
            Self::Plain(engine) => engine.submit(job).await,
            Self::Hooked(engine) => engine.submit(job).await,
        }
    }

    /// Tells how far the job is until it is dropped; `None` where nobody can be asked.
    #[must_use]
    pub fn follow(&self, report: watch::Sender<Progress>) -> Option<BoxFuture<'static, ()>> {
        match self {
            Self::Plain(engine) => engine.follow(report),
            Self::Hooked(engine) => Some(engine.follow(report)),
        }
    }
}

/// Folder of what an engine leaves for later looks: collected whatever becomes of the job.
#[must_use]
pub fn events(folder: &Path) -> PathBuf {
    folder.join("events")
}

/// What the engine of a run is. Whatever the coordinator checked is checked again: it becomes command lines here.
///
/// # Errors
/// It cannot be read, or there is something wrong with it.
pub fn definition(spec: &NodeSpec) -> Result<Definition, String> {
    if spec.engine_definition.is_empty() {
        return hook::of_old();
    }
    let definition: Definition = serde_json::from_str(&spec.engine_definition)
        .map_err(|error| format!("the engine `{}` cannot be read: {error}", spec.engine))?;
    match definition.flaws().first() {
        None => Ok(definition),
        Some(flaw) => Err(format!(
            "the engine `{}`: `{}` {}",
            spec.engine,
            flaw.at.join("."),
            flaw.wrong
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_checked_again() {
        let spec = |text: &str| NodeSpec {
            engine: "mine".into(),
            engine_definition: text.into(),
            ..NodeSpec::default()
        };
        let good = r#"{"name":"mine","jobs":{".py":{"run":["{python}","{entry}"]}},"newer":1}"#;
        assert_eq!(definition(&spec(good)).unwrap().name, "mine");
        for bad in [
            "{}",
            r#"{"name":"mine","jobs":{".py":{"run":["{python"]}}}"#,
            r#"{"name":"mine","jobs":{".py":{"run":["{secret}"]}}}"#,
            r#"{"name":"mine","hook":"other","jobs":{".py":{"run":["x"]}}}"#,
        ] {
            assert!(definition(&spec(bad)).is_err(), "{bad}");
        }
        assert!(definition(&NodeSpec::default()).unwrap().hook.is_some());
    }
}
