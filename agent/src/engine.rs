//! What forms the cluster and runs the job. Spark is the one engine so far.
//!
//! Words: the *daemon* is the Master or Worker of this node; the *driver* is the job's process on the master node;
//! *executors* are started by Workers. [`Engine::start`] → [`Engine::status`] until ready → [`Engine::submit`] on the master
//! → [`Engine::stop`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use tokio::sync::mpsc;

use crate::config::Toolchain;
use crate::supervise::{Keeper, Line};

pub mod cause;
pub mod progress;
pub mod spark;

pub use spark::Engine;

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
    /// The node's own folder; see [`spark::paths`] for what is put there.
    pub folder: PathBuf,
    /// Shared secret of the run's engine.
    pub secret: String,
    /// The job's `spark.conf`.
    pub conf: BTreeMap<String, String>,
    /// The job's environment with `MAYFLY_*` and `AWS_*`: for the driver, and through the Worker for executors.
    pub env: BTreeMap<String, String>,
    /// Folder of the interpreter that [`crate::python`] makes, before it exists; see [`crate::python::bin_folder`].
    pub python_bin: PathBuf,
    /// Folder for temporary files, at the same path on every node: what a killed process leaves there goes with the node.
    pub temporary: PathBuf,
    /// Where the lines of the daemon and of the job go.
    pub lines: mpsc::Sender<Line>,
}

/// What this node does in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Knows all workers and runs the driver.
    Master,
    /// Runs executors.
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
    /// `host:port` where workers register; empty on workers.
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
#[derive(Clone)]
pub struct Job {
    /// The clone.
    pub code: PathBuf,
    /// Folder inside the clone in which it runs; empty for its root.
    pub path: String,
    /// `.py` or `.jar`, relative to `path`.
    pub entry: String,
    /// Main class of a `.jar`.
    pub class: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The interpreter on this node, from [`crate::python::prepare`].
    pub python: PathBuf,
    /// Added to the environment of driver and executors. Nothing secret: it appears on the engine's pages.
    pub env: BTreeMap<String, String>,
    /// Cores of one worker.
    pub worker_cores: u32,
    /// Memory of one worker, in bytes.
    pub worker_memory_bytes: u64,
}
