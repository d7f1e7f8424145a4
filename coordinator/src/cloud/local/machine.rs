//! One local machine: an agent process and its folder.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mayfly_kit::clock;
use mayfly_kit::crash::{self, Point};
use mayfly_kit::ways::{TO_PACKAGES, TO_REPOSITORIES};
use mayfly_proto::{NodeId, RunId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::processes::{self, NODE_VARIABLE, RUN_VARIABLE};
use super::{Site, address};
use crate::cloud::{Machine, Order};
use crate::home::write_private;
use crate::run::Role;

/// What an agent inherits from the environment of the coordinator, beside how to reach the network; nothing else gets to a
/// node.
const INHERITED: [&str; 8] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "MAYFLY_LOG",
    "RUST_BACKTRACE",
];

/// The agent's process.
enum Agent {
    /// This process started it, and takes its exit in.
    Child(Child),
    /// Another coordinator did; it began so many ticks after boot.
    Found(u64),
    /// It had ended when the run was taken over.
    Ended,
}

pub(super) struct LocalMachine {
    machine: Machine,
    agent: Agent,
    pid: i32,
    asked: Option<Instant>,
}

/// What a machine's folder tells of it.
#[derive(Deserialize)]
struct Folder {
    role: Role,
    address: IpAddr,
}

impl LocalMachine {
    /// Makes the node's folder and its `node.json`, and starts its agent.
    pub(super) async fn start(
        site: &Site,
        run_folder: &Path,
        node: &NodeId,
        role: Role,
        index: u32,
        order: &Order,
    ) -> io::Result<Self> {
        let folder = run_folder.join(node.as_str());
        tokio::fs::create_dir_all(&folder).await?;
        let address = address::of(&order.run, index);
        let config = folder.join("node.json");
        let folders = (folder.as_path(), run_folder.join("shared"));
        write_private(
            &config,
            node_json(site, node, role, address, folders, order)
                .to_string()
                .as_bytes(),
        )?;
        crash::before(Point::MachineStart);
        let child = spawn(&site.agent, &config, &folder, &order.run, node)?;
        crash::after(Point::MachineStart);
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .ok_or_else(|| io::Error::other("no pid"))?;
        let machine = Machine {
            id: node.to_string(),
            node: node.clone(),
            role,
            address: Some(address),
            started: Timestamp::now(),
            ended: None,
            offer: None,
        };
        Ok(Self {
            machine,
            agent: Agent::Child(child),
            pid,
            asked: None,
        })
    }

    /// A machine that another coordinator started in `folder`, whether its agent still lives or not. Blocks.
    pub(super) fn find(run: &RunId, node: &NodeId, folder: &Path) -> io::Result<Self> {
        let config = folder.join("node.json");
        let started = config.metadata()?.modified()?;
        let Folder { role, address } = serde_json::from_slice(&std::fs::read(config)?)?;
        let agent = processes::agent_of(run, node);
        let machine = Machine {
            id: node.to_string(),
            node: node.clone(),
            role,
            address: Some(address),
            started: Timestamp::try_from(started).map_err(io::Error::other)?,
            ended: agent.is_none().then(Timestamp::now),
            offer: None,
        };
        Ok(Self {
            machine,
            pid: agent.map_or(0, |(pid, _)| pid),
            agent: agent.map_or(Agent::Ended, |(_, began)| Agent::Found(began)),
            asked: None,
        })
    }

    pub(super) fn started(&self) -> Timestamp {
        self.machine.started
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    pub(super) fn has_ended(&mut self) -> bool {
        let ended = match &mut self.agent {
            Agent::Child(child) => matches!(child.try_wait(), Ok(Some(_))),
            Agent::Found(began) => processes::began(self.pid) != Some(*began),
            Agent::Ended => true,
        };
        if self.machine.ended.is_none() && ended {
            self.machine.ended = Some(Timestamp::now());
        }
        self.machine.ended.is_some()
    }

    /// This machine's clock was set by so much.
    pub(super) fn clock_set(&mut self, by: SignedDuration) {
        self.machine.clock_set(by);
    }

    /// As it was when it was looked at last.
    pub(super) fn seen(&self) -> Machine {
        self.machine.clone()
    }

    pub(super) fn observe(&mut self) -> Machine {
        self.has_ended();
        self.machine.clone()
    }

    pub(super) fn is_of(&self, node: &NodeId) -> bool {
        self.machine.node == *node
    }

    pub(super) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
    }

    pub(super) fn ask_to_leave(&mut self) {
        self.signal(Signal::SIGTERM);
    }

    /// Kills the agent when it was asked to leave longer than `grace` ago; its keepers then end what it had started.
    pub(super) fn kill_after(&mut self, grace: Duration, now: Instant) {
        let asked = *self.asked.get_or_insert(now);
        if now.saturating_duration_since(asked) >= grace {
            self.signal(Signal::SIGKILL);
        }
    }

    fn signal(&mut self, signal: Signal) {
        // Looked at just before, so that a later process of the same number is not met.
        if !self.has_ended() {
            // It may have ended since: then there is nothing to signal.
            let _gone = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

fn node_json(
    site: &Site,
    node: &NodeId,
    role: Role,
    address: IpAddr,
    (folder, shared): (&Path, PathBuf),
    order: &Order,
) -> Value {
    let (cores, memory_bytes) = role.size(&order.job);
    json!({
        "run": order.run,
        "role": role.name(),
        "machine_id": node,
        "coordinator": order.meeting.address(),
        "fingerprint": order.fingerprint.map(|print| print.to_string()),
        "join_token": order.joining.token(role, clock::steady()),
        "address": address,
        "cores": cores,
        "memory_bytes": memory_bytes,
        "folder": folder,
        "shared": shared,
        "store": site.store,
        "toolchain": site.toolchain,
        "consul": site.consul,
        "alone_secs": site.alone.as_secs(),
    })
}

fn spawn(agent: &Path, config: &Path, folder: &Path, run: &RunId, node: &NodeId) -> io::Result<Child> {
    let log: PathBuf = folder.join("agent.log");
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    let mut command = Command::new(agent);
    command
        .arg("run")
        .arg("--config")
        .arg(config)
        .current_dir(folder)
        .env_clear();
    let inherited = [&INHERITED[..], &TO_REPOSITORIES, &TO_PACKAGES].concat();
    for name in inherited.iter().chain(crash::VARIABLES) {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env(RUN_VARIABLE, run.as_str())
        .env(NODE_VARIABLE, node.as_str());
    // A group of its own: Ctrl-C in the terminal is for the command, which then asks the nodes in order.
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    command.spawn()
}
