//! The cloud on this machine: every node is an agent process with its own loopback address, folder, cores and memory.
//!
//! A run is a group that this process keeps: a machine that ends is replaced as long as it is wanted. Its killer is
//! the lease of each agent (`Timing::lease`): when this process dies, its nodes end by themselves, unless another
//! process takes the run over before that.

pub(crate) mod address;
mod machine;
pub mod processes;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use mayfly_configs::Job;
use mayfly_kit::clock::Watch;
use mayfly_kit::consul::ConsulSettings;
use mayfly_kit::crash::{self, Point};
use mayfly_proto::engine::facts::{SHORT_ROOT, short_prefix};
use mayfly_proto::{NodeId, RunId};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Cloud, CloudError, Machine, Order, Pace, Plan, Sight};
use crate::home::Home;
use crate::plan::{Action, plan};
use crate::run::{Role, Wanted};
use machine::LocalMachine;

pub use super::timing::{Patience, local as timing};

/// How long agents get to leave by themselves before they are killed.
const LEAVE_GRACE: Duration = Duration::from_secs(5);

/// What every node on this machine is told. No `Debug`: it holds the store's keys.
#[derive(Clone)]
pub struct Site {
    /// The program `agent`.
    pub agent: PathBuf,
    /// `store` of `node.json`.
    pub store: Value,
    /// `toolchain` of `node.json`.
    pub toolchain: Value,
    /// `consul` of `node.json`.
    pub consul: Option<ConsulSettings>,
    /// How long an agent lives that has not been answered yet.
    pub alone: Duration,
}

struct Group {
    order: Order,
    machines: Vec<LocalMachine>,
    released: bool,
    /// Its times are told by this machine's clock.
    clock: Watch,
}

/// The machines of all runs that this process keeps. No run waits for another one's.
pub struct LocalCloud {
    home: Home,
    site: Site,
    groups: Mutex<HashMap<RunId, Arc<Mutex<Group>>>>,
}

impl LocalCloud {
    /// A cloud whose machines live in `home`.
    #[must_use]
    pub fn new(home: Home, site: Site) -> Self {
        Self {
            home,
            site,
            groups: Mutex::new(HashMap::new()),
        }
    }

    async fn group(&self, run: &RunId) -> Option<Arc<Mutex<Group>>> {
        self.groups.lock().await.get(run).cloned()
    }

    async fn start(&self, run: &RunId, group: &mut Group, role: Role, number: u32) -> Result<(), CloudError> {
        let node = match role {
            Role::Master => NodeId::master(number),
            Role::Worker => NodeId::worker(number),
            Role::Auto => NodeId::alike(number),
        };
        let index = u32::try_from(group.machines.len()).unwrap_or(u32::MAX);
        let folder = self.home.run(run);
        let machine = LocalMachine::start(&self.site, &folder, &node, role, index, &group.order)
            .await
            .map_err(|source| CloudError::Transient {
                what: format!("start {node}"),
                source,
            })?;
        tracing::debug!(%run, %node, pid = machine.pid(), "machine started");
        group.machines.push(machine);
        Ok(())
    }
}

#[async_trait]
impl Cloud for LocalCloud {
    async fn plan(&self, job: &Job) -> Result<Plan, CloudError> {
        let (here, wanted) = (&self.site.toolchain["spark_version"], job.spark.version.as_str());
        // What was installed when this coordinator started: a command's own is its job's.
        match here.as_str() {
            Some(here) if here != wanted && job.engine.definition().hook.is_some() => {
                Err(CloudError::Permanent(format!(
                    "the nodes of this coordinator have Spark {here}, the job wants {wanted}: set `spark.version` to {here}, or \
                     launch it without the coordinator"
                )))
            }
            Some(_) | None => Ok(Plan::as_ordered(job)),
        }
    }

    async fn arm(&self, order: &Order) -> Result<(), CloudError> {
        let folder = self.home.run(&order.run);
        tokio::fs::create_dir_all(&folder)
            .await
            .map_err(|source| CloudError::Transient {
                what: format!("make {}", folder.display()),
                source,
            })?;
        if self.group(&order.run).await.is_some() {
            return Ok(());
        }
        let run = order.run.clone();
        let found = tokio::task::spawn_blocking(move || machines_in(&run, &folder)).await;
        let found = found.map_err(|error| CloudError::Permanent(error.to_string()))?;
        let group = Group {
            order: order.clone(),
            machines: found.map_err(|source| CloudError::Transient {
                what: format!("look for machines of {}", order.run),
                source,
            })?,
            released: false,
            clock: Watch::default(),
        };
        let mut groups = self.groups.lock().await;
        let group = || Arc::new(Mutex::new(group));
        groups.entry(order.run.clone()).or_insert_with(group);
        Ok(())
    }

    /// Its nodes have leases of their own, so that nobody needs to know `until`.
    async fn keep(&self, run: &RunId, wanted: Wanted, _until: Timestamp) -> Result<(), CloudError> {
        let Some(group) = self.group(run).await else {
            return Ok(());
        };
        let mut group = group.lock().await;
        if group.released {
            return Ok(());
        }
        group.mind_clock();
        // By the look before what is wanted was read: a node that has left since then, as it was told, is not replaced.
        let machines: Vec<Machine> = group.machines.iter().map(LocalMachine::seen).collect();
        for action in plan(wanted, &machines) {
            match action {
                Action::Start { role, number } => self.start(run, &mut group, role, number).await?,
                Action::GiveUp { role } => {
                    let role = match role {
                        Role::Master => "masters",
                        Role::Worker => "workers",
                        Role::Auto => "nodes",
                    };
                    return Err(CloudError::Permanent(format!(
                        "{role} keep ending as soon as they are started; see agent.log in {}",
                        self.home.run(run).display()
                    )));
                }
            }
        }
        Ok(())
    }

    async fn end(&self, run: &RunId, node: &NodeId) -> Result<(), CloudError> {
        if let Some(group) = self.group(run).await {
            let mut group = group.lock().await;
            let machine = group.machines.iter_mut().find(|machine| machine.is_of(node));
            // What it had started is ended by its keepers, or else by the release.
            machine.into_iter().for_each(LocalMachine::kill);
        }
        Ok(())
    }

    async fn observe(&self, run: &RunId) -> Result<Sight, CloudError> {
        let machines = match self.group(run).await {
            Some(group) => group.lock().await.observe(),
            None => Vec::new(),
        };
        Ok(Sight {
            machines,
            ..Sight::default()
        })
    }

    async fn forget(&self, run: &RunId) {
        self.groups.lock().await.remove(run);
    }

    fn pace(&self) -> Pace {
        Pace {
            keeping: Duration::from_millis(500),
            releasing: Duration::from_millis(50),
        }
    }

    fn has_consul(&self) -> bool {
        self.site.consul.is_some()
    }

    async fn release(&self, run: &RunId) -> Result<(), CloudError> {
        let Some(group) = self.group(run).await else {
            return Ok(());
        };
        let mut group = group.lock().await;
        if !group.released {
            group.released = true;
            crash::before(Point::MachinesLeave);
            group.machines.iter_mut().for_each(LocalMachine::ask_to_leave);
            crash::after(Point::MachinesLeave);
        }
        group.mind_clock();
        let now = Instant::now();
        for machine in &mut group.machines {
            machine.kill_after(LEAVE_GRACE, now);
        }
        if group.machines.iter_mut().all(|machine| machine.has_ended()) {
            // What outlives its agent and its keeper carries the run in its environment.
            let run = run.clone();
            let swept = tokio::task::spawn_blocking(move || {
                processes::kill_all_of(&run);
                remove_short(&run);
            });
            let swept = crash::around(Point::ProcessesSweep, swept).await;
            swept.map_err(|error| CloudError::Permanent(error.to_string()))?;
        }
        Ok(())
    }
}

/// Folders outside of the run's own, where an agent that was killed could not remove them. Blocks.
fn remove_short(run: &RunId) {
    let prefix = short_prefix(run.as_str());
    for entry in std::fs::read_dir(SHORT_ROOT).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(&prefix);
        if ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // What is left holds nothing but sockets that nobody listens at.
            let _left = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Machines that a coordinator before this one started, in their order: each has a folder. Blocks.
fn machines_in(run: &RunId, folder: &Path) -> io::Result<Vec<LocalMachine>> {
    let mut machines = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str);
        let Some(node) = name.and_then(|name| name.parse::<NodeId>().ok()) else {
            continue;
        };
        // A folder without its `node.json` is one whose agent was never started.
        if path.join("node.json").is_file() {
            machines.push(LocalMachine::find(run, &node, &path)?);
        }
    }
    machines.sort_by_key(LocalMachine::started);
    Ok(machines)
}

impl Group {
    fn mind_clock(&mut self) {
        if let Some(by) = self.clock.set_by() {
            self.machines.iter_mut().for_each(|machine| machine.clock_set(by));
        }
    }

    fn observe(&mut self) -> Vec<Machine> {
        self.mind_clock();
        self.machines.iter_mut().map(LocalMachine::observe).collect()
    }
}
