//! Processes of a run, by the environment that each of them carries. This is not how the programs themselves know what
//! they have started, so that they can be held to it.

use std::fs;
use std::time::Duration;

use mayfly_proto::RunId;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

/// What a process of a cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `agent run`.
    Agent,
    /// Spark's Master.
    Master,
    /// Spark's Worker.
    Worker,
    /// An executor.
    Executor,
    /// The JVM of the job.
    Driver,
    /// Keepers, Python, whatever else.
    Other,
}

/// A process of a run.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// The run.
    pub run: String,
    /// The node.
    pub node: String,
    /// Its command line, cut.
    pub command: String,
    /// What it is.
    pub kind: Kind,
}

impl Process {
    /// Sends a signal; it may be gone by now.
    pub fn signal(&self, signal: Signal) {
        let _gone = kill(Pid::from_raw(self.pid), signal);
    }

    /// Kills it.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Whether it is there and no zombie.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        is_alive(self.pid)
    }
}

/// Whether there is a process of this number, and no zombie.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn variable(environment: &[u8], name: &str) -> Option<String> {
    let prefix = format!("{name}=");
    let value = environment
        .split(|&byte| byte == 0)
        .find_map(|entry| entry.strip_prefix(prefix.as_bytes()))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn kind(arguments: &[&str]) -> Kind {
    let java = arguments.first().is_some_and(|program| program.ends_with("java"));
    let has = |class: &str| java && arguments.contains(&class);
    let program = arguments
        .first()
        .map_or("", |program| program.rsplit('/').next().unwrap_or(program));
    match arguments.get(1) {
        Some(&"run") if program == "agent" => Kind::Agent,
        _ if has("org.apache.spark.deploy.master.Master") => Kind::Master,
        _ if has("org.apache.spark.deploy.worker.Worker") => Kind::Worker,
        _ if has("org.apache.spark.executor.CoarseGrainedExecutorBackend") => Kind::Executor,
        _ if has("org.apache.spark.deploy.SparkSubmit") => Kind::Driver,
        _ => Kind::Other,
    }
}

fn read(pid: i32) -> Option<Process> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let run = variable(&environment, "MAYFLY_RUN")?;
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).into_owned();
    let arguments: Vec<&str> = command.split('\0').collect();
    let kind = kind(&arguments);
    let shown: String = arguments.join(" ").chars().take(200).collect();
    let node = variable(&environment, "MAYFLY_NODE").unwrap_or_default();
    is_alive(pid).then_some(Process {
        pid,
        run,
        node,
        command: shown,
        kind,
    })
}

/// Every living process of a run.
#[must_use]
pub fn of(run: &RunId) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(read)
        .filter(|process| process.run == run.as_str())
        .collect()
}

/// One process of a run, of this kind, on this node if one is named; waits for it.
pub fn find(run: &RunId, kind: Kind, node: Option<&str>, limit: Duration) -> Process {
    let wanted = |process: &Process| process.kind == kind && node.is_none_or(|node| node == process.node);
    let what = format!("a process {kind:?} of {run} on {node:?}");
    wait::until(&what, limit, || of(run).into_iter().find(&wanted))
}

/// Waits until no process of the run is left.
///
/// # Panics
/// One is left after `limit`, on a quiet machine.
pub fn wait_gone(run: &RunId, limit: Duration) {
    let mut left = Vec::new();
    let gone = wait::within(wait::patient(limit), || {
        left = of(run);
        left.is_empty().then_some(())
    });
    assert!(gone.is_some(), "after {limit:?} {run} still has {left:#?}");
}

/// Kills every process of a run, again for those that were just being started.
pub fn kill_all(run: &RunId) {
    const LIMIT: Duration = Duration::from_secs(20);
    wait::until(&format!("{run} to be killed"), LIMIT, || {
        let left = of(run);
        left.iter().for_each(Process::kill);
        left.is_empty().then_some(())
    });
}
