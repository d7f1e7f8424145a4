//! What an engine is, as data: the one shape that the job file, the run's record and the nodes share.
//!
//! [`Template`] is a text with `{facts}` in it, [`facts`] says which facts there are and where, and
//! [`Definition::flaws`] is everything that can be wrong with a definition whose shape is right: whoever takes one in asks
//! for that, the coordinator with the places in its file, a node once more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod check;
pub mod facts;
mod template;

pub use check::Flaw;
pub use facts::{Fact, Facts, Peer};
pub use template::Template;

/// Key of the job kind that is a command line and no file.
pub const COMMAND: &str = "command";

/// Key of the job kind that is no program of the job's: people elsewhere use the engine itself, as long as it runs.
pub const SESSION: &str = "session";

/// What of the agent's own code may run a cluster.
pub const HOOKS: [&str; 1] = ["spark"];

/// An engine: what forms the cluster and runs the job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Its name, that of its file.
    pub name: String,
    /// What it is, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Set where nobody has run it: what has not been tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproven: Option<String>,
    /// What of the agent's own code runs the cluster, where data is not enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// Whether there are nodes beside the master.
    #[serde(default = "yes")]
    pub workers: bool,
    /// Whether workers need the job's code.
    #[serde(default = "yes")]
    pub code_on_workers: bool,
    /// What a node must have.
    #[serde(default)]
    pub install: Install,
    /// Ports by name; every node has an address of its own.
    #[serde(default)]
    pub ports: BTreeMap<String, u16>,
    /// Environment of the daemons and the job.
    #[serde(default)]
    pub env: BTreeMap<String, Template>,
    /// Files that are written before a daemon starts, and before the job.
    #[serde(default)]
    pub files: BTreeMap<String, FileText>,
    /// What runs on the master beside the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<Daemon>,
    /// What runs on every worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Daemon>,
    /// How the master counts its workers; without it the nodes that are ready count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<Joined>,
    /// How a job is run, by the end of its entry's name (`.py`) or [`COMMAND`].
    #[serde(default)]
    pub jobs: BTreeMap<String, JobKind>,
    /// How far the job is, where the engine can be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What a worker runs when its machine is about to be taken away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drain: Vec<Template>,
}

fn yes() -> bool {
    true
}

/// What a node must have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {
    /// Packages of PyPI, each with its version (`dask==2025.1.0`): installed once on each machine.
    #[serde(default)]
    pub pip: Vec<String>,
    /// Programs that must be there, each with the Debian package that brings it: only looked for.
    #[serde(default)]
    pub programs: BTreeMap<String, String>,
}

/// The text of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileText {
    /// As it is.
    Text(Template),
    /// One line for each node of the fleet, the master first.
    EachNode(Template),
    /// One line for each worker.
    EachWorker(Template),
}

/// A program that runs as long as the cluster does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Daemon {
    /// Its command line; empty where a hook runs it.
    #[serde(default)]
    pub run: Vec<Template>,
    /// Name of the port at which the rest of the fleet finds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Name of the port of its web page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ui: Option<String>,
    /// When it is up; without it, as soon as it has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// How often it is started again when it ends.
    #[serde(default)]
    pub restarts: u32,
}

/// When a daemon is up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// This port takes connections.
    Port(String),
    /// This URL answers with a status of 200 to 299.
    Http(Template),
    /// It has printed a line with this in it.
    Line(String),
    /// This file is there.
    File(Template),
}

/// How the master counts its workers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    /// A URL that answers with JSON.
    pub http: Template,
    /// Where in it (a JSON pointer) a number is, or a list or an object to count.
    pub count: String,
}

/// How far the job is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// A URL of the master that answers with JSON.
    pub http: Template,
    /// Where in it (a JSON pointer) the tasks that are done are counted.
    pub done: String,
    /// Where all tasks are.
    pub total: String,
}

/// How a job of one kind is run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobKind {
    /// Its command line.
    pub run: Vec<Template>,
    /// Whether the entry needs a main class.
    #[serde(default)]
    pub class: bool,
    /// What a node must have for this kind, beside what all need.
    #[serde(default)]
    pub install: Install,
    /// Of a [`SESSION`]: name of the port of the master at which it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Of a [`SESSION`]: the address that a client is given, with `{port}`, that of a port of the client's own machine, and
    /// `{token}`, which the job has as `MAYFLY_SESSION_TOKEN`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
}

impl Definition {
    /// How an entry is run; `entry` is empty for a command, and [`SESSION`] for that.
    #[must_use]
    pub fn kind_of(&self, entry: &str) -> Option<&JobKind> {
        if entry.is_empty() {
            return self.jobs.get(COMMAND);
        }
        if entry == SESSION {
            return self.jobs.get(SESSION);
        }
        let name = entry.rsplit('/').next().unwrap_or(entry);
        let end = name.rfind('.').and_then(|at| name.get(at..))?;
        self.jobs.get(end)
    }

    /// What a node needs for a job with these entries.
    #[must_use]
    pub fn needed<'e>(&self, entries: impl IntoIterator<Item = &'e str>) -> Install {
        let mut all = self.install.clone();
        for kind in entries.into_iter().filter_map(|entry| self.kind_of(entry)) {
            all.pip.extend(kind.install.pip.iter().cloned());
            all.programs.extend(kind.install.programs.clone());
        }
        all.pip.sort();
        all.pip.dedup();
        all
    }

    /// The daemon of a role.
    #[must_use]
    pub fn daemon(&self, master: bool) -> Option<&Daemon> {
        if master {
            self.master.as_ref()
        } else {
            self.worker.as_ref()
        }
    }

    /// Port at which the daemon of a role is found, where it listens at all.
    #[must_use]
    pub fn port(&self, master: bool) -> Option<u16> {
        let named = self.daemon(master)?.port.as_ref()?;
        self.ports.get(named).copied()
    }

    /// Port of the web page of a role.
    #[must_use]
    pub fn ui_port(&self, master: bool) -> Option<u16> {
        let named = self.daemon(master)?.ui.as_ref()?;
        self.ports.get(named).copied()
    }

    /// Port of the master at which a session is used.
    #[must_use]
    pub fn session_port(&self) -> Option<u16> {
        let named = self.jobs.get(SESSION)?.port.as_ref()?;
        self.ports.get(named).copied()
    }

    /// Whether it must know where the workers are when a job starts.
    #[must_use]
    pub fn asks_for_peers(&self) -> bool {
        let by_line = |text: &FileText| matches!(text, FileText::EachNode(_) | FileText::EachWorker(_));
        let run = self.jobs.values().flat_map(|kind| &kind.run);
        let mut named = run.chain(self.env.values()).flat_map(Template::facts);
        self.files.values().any(by_line) || named.any(|fact| facts::PEERS.contains(&fact))
    }

    /// Every template of it.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let texts = self.files.values().map(|text| match text {
            FileText::Text(text) | FileText::EachNode(text) | FileText::EachWorker(text) => text,
        });
        let daemons = [&self.master, &self.worker].into_iter().flatten();
        let run = self.jobs.values().flat_map(|kind| &kind.run);
        texts
            .chain(daemons.flat_map(|daemon| &daemon.run))
            .chain(run)
            .chain(self.env.values())
            .chain(&self.drain)
    }

    /// Whether any of its templates names the fact.
    #[must_use]
    pub fn names(&self, fact: &str) -> bool {
        self.templates()
            .flat_map(Template::facts)
            .any(|named| named == fact)
    }

    /// Whether the nodes that are ready are counted, and not the engine's own.
    #[must_use]
    pub fn counts_nodes(&self) -> bool {
        self.hook.is_none() && self.joined.is_none()
    }
}
