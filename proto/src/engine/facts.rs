//! The facts that a template may name, and where.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::template::command_line;
use super::{Definition, Template};

/// Everywhere. `ports.NAME` and `files.NAME` are beside these.
pub const EVERYWHERE: [&str; 24] = [
    "node.name",
    "node.address",
    "node.cores",
    "node.memory_mib",
    "node.memory_bytes",
    "master.address",
    "workers.count",
    "workers.min",
    "workers.cores",
    "workers.memory_mib",
    "run",
    "attempt",
    "python",
    "code",
    "folder",
    "tmp",
    "short",
    "results",
    "events",
    "runner.connect",
    "runner.sql",
    "runner.notebook",
    "runner.remote",
    SECRET,
];
/// Only in a job's command line: what the job is.
pub const JOB: [&str; 4] = ["entry", "class", "args", "command"];
/// Only in a job's command line and in what is there for it: who the others are.
pub const PEERS: [&str; 3] = ["nodes.addresses", "workers.addresses", "workers.here"];
/// Only in a line for each node.
pub const EACH: [&str; 3] = ["each.name", "each.address", "each.cores"];
/// A folder whose path is so short that sockets may lie in it.
pub const SHORT: &str = "short";
/// Where such folders are: the path of a socket may have 107 bytes.
pub const SHORT_ROOT: &str = "/tmp";
/// Begins the names of the scripts that come with the agent.
pub const RUNNER: &str = "runner.";
/// Known to the nodes of the run alone; refused in command lines, which everybody on a machine can read.
pub const SECRET: &str = "secret";

/// Begins the names of the short folders of a run.
#[must_use]
pub fn short_prefix(run: &str) -> String {
    let own = run.rsplit('-').next().unwrap_or_default();
    format!("mayfly-{own}-")
}

/// What a fact is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A word.
    One(String),
    /// A list: as many words where it stands alone, joined by commas elsewhere.
    Many(Vec<String>),
}

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<String, Fact>);

/// A node of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub name: String,
    /// Where the fleet reaches it.
    pub address: String,
    /// Cores it offers.
    pub cores: u32,
}

impl Facts {
    /// A fact.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Fact> {
        self.0.get(name)
    }

    /// Sets a word.
    pub fn one(&mut self, name: impl Into<String>, value: impl ToString) {
        self.0.insert(name.into(), Fact::One(value.to_string()));
    }

    /// Sets a list.
    pub fn many<T: Into<String>>(&mut self, name: &str, values: impl IntoIterator<Item = T>) {
        let values = values.into_iter().map(Into::into).collect();
        self.0.insert(name.into(), Fact::Many(values));
    }

    /// A command line.
    ///
    /// # Errors
    /// A fact is not there.
    pub fn command_line(&self, templates: &[Template]) -> Result<Vec<String>, String> {
        command_line(templates, self)
    }

    /// Who the others are, the master first.
    pub fn peers(&mut self, master: &Peer, workers: &[Peer]) {
        let all = std::iter::once(master).chain(workers);
        self.many("nodes.addresses", all.map(|peer| peer.address.clone()));
        self.many(
            "workers.addresses",
            workers.iter().map(|peer| peer.address.clone()),
        );
        self.one("workers.here", workers.len());
    }

    /// The same with one node in view.
    #[must_use]
    pub fn of_each(&self, peer: &Peer) -> Self {
        let mut facts = self.clone();
        facts.one("each.name", &peer.name);
        facts.one("each.address", &peer.address);
        facts.one("each.cores", peer.cores);
        facts
    }

    /// A made-up fleet of a master and two workers, to show what a definition becomes.
    #[must_use]
    pub fn sample(definition: &Definition, node: &str) -> Self {
        let mut facts = Self::default();
        let address = |n: u8| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)).to_string();
        let own = match node {
            "master-1" => 1,
            "worker-1" => 2,
            _ => 3,
        };
        for (name, value) in [
            ("node.name", node),
            ("node.cores", "4"),
            ("node.memory_mib", "8192"),
            ("node.memory_bytes", "8589934592"),
            ("workers.count", "2"),
            ("workers.min", "2"),
            ("workers.cores", "4"),
            ("workers.memory_mib", "8192"),
            ("run", "sample-00000000"),
            ("attempt", "1"),
            ("python", "/var/lib/mayfly/python/bin/python3"),
            ("folder", "/var/lib/mayfly/engine"),
            ("tmp", "/var/lib/mayfly/shared/tmp"),
            ("results", "/var/lib/mayfly/shared/results"),
            ("events", "/var/lib/mayfly/events"),
            (SHORT, "/tmp/mayfly-00000000-master-1"),
            (SECRET, "(hidden)"),
            ("entry", "main.py"),
            ("class", "com.example.Main"),
            ("code", "/var/lib/mayfly/code"),
        ] {
            facts.one(name, value);
        }
        facts.one("node.address", address(own));
        facts.one("master.address", address(1));
        facts.many("args", ["--an", "argument"]);
        facts.many("command", ["a-program", "--an", "argument"]);
        for (name, port) in &definition.ports {
            facts.one(format!("ports.{name}"), port);
        }
        for name in definition.files.keys() {
            facts.one(format!("files.{name}"), format!("/var/lib/mayfly/engine/{name}"));
        }
        for name in EVERYWHERE.iter().filter_map(|name| name.strip_prefix(RUNNER)) {
            facts.one(
                format!("{RUNNER}{name}"),
                format!("/var/lib/mayfly/engine/{name}.py"),
            );
        }
        let [master, workers @ ..] = &Self::sample_peers();
        facts.peers(master, workers);
        facts
    }

    /// The nodes of that fleet.
    #[must_use]
    pub fn sample_peers() -> [Peer; 3] {
        let peer = |name: &str, n: u8| Peer {
            name: name.into(),
            address: format!("10.0.0.{n}"),
            cores: 4,
        };
        [peer("master-1", 1), peer("worker-1", 2), peer("worker-2", 3)]
    }
}
