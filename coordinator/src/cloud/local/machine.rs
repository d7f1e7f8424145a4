//! One local machine: an agent process and its folder.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_proto::{NodeId, RunId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::processes::{NODE_VARIABLE, RUN_VARIABLE};
use super::{Site, address};
use crate::cloud::{Machine, Order};
use crate::home::write_private;
use crate::run::Role;

/// How long an agent lives that hears nothing of the coordinator, which was there when it started it.
const ALONE_SECS: u64 = 12;
/// What an agent inherits from the environment of the coordinator; nothing else gets to a node.
const INHERITED: [&str; 9] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "MAYFLY_LOG",
    "RUST_BACKTRACE",
];

pub(super) struct LocalMachine {
    machine: Machine,
    child: Child,
    pid: i32,
    asked: Option<Timestamp>,
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
        let child = spawn(&site.agent, &config, &folder, &order.run, node)?;
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
        };
        Ok(Self {
            machine,
            child,
            pid,
            asked: None,
        })
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    pub(super) fn has_ended(&mut self) -> bool {
        if self.machine.ended.is_none() && matches!(self.child.try_wait(), Ok(Some(_))) {
            self.machine.ended = Some(Timestamp::now());
        }
        self.machine.ended.is_some()
    }

    pub(super) fn observe(&mut self) -> Machine {
        self.has_ended();
        self.machine.clone()
    }

    pub(super) fn is_of(&self, node: &NodeId) -> bool {
        self.machine.node == *node
    }

    pub(super) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    pub(super) fn ask_to_leave(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Kills the agent when it was asked to leave longer than `grace` ago; its keepers then end what it had started.
    pub(super) fn kill_after(&mut self, grace: Duration, now: Timestamp) {
        let asked = *self.asked.get_or_insert(now);
        if now.duration_since(asked).unsigned_abs() >= grace {
            self.signal(Signal::SIGKILL);
        }
    }

    fn signal(&self, signal: Signal) {
        if self.machine.ended.is_none() {
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
    let machine = match role {
        Role::Master => &order.job.master,
        Role::Worker => &order.job.workers.machine,
    };
    json!({
        "run": order.run,
        "role": role.name(),
        "machine_id": node,
        "coordinator": order.coordinator,
        "fingerprint": order.fingerprint.map(|print| print.to_string()),
        "join_token": order.joining.token(role, Timestamp::now()),
        "address": address,
        "cores": machine.cores,
        "memory_bytes": machine.memory_bytes,
        "folder": folder,
        "shared": shared,
        "store": site.store,
        "toolchain": site.toolchain,
        "alone_secs": ALONE_SECS,
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
    for name in INHERITED {
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
