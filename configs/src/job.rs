//! The checked job: what `run.json` holds and agents get. Nothing here can be wrong any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use mayfly_proto::engine::{Definition, SESSION};
use serde::{Deserialize, Serialize};

use crate::diag::Problem;
use crate::engine::{compiled_in_text, parse_engine};
use crate::git::Repo;
use crate::names::{GitRef, InstanceType, JobName, PythonName, RelPath};
use crate::s3::S3Prefix;
use crate::units::Secs;
use crate::warning::Warning;
use crate::webhook::Webhook;

/// One job: what to run, on how many machines, within which limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Name of the block in the file.
    pub name: JobName,
    /// What forms the cluster.
    pub engine: Engine,
    /// What runs.
    pub code: Code,
    /// Extra environment of the job's processes.
    pub env: Env,
    /// More of it, which no record and no log may hold: where each value comes from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
    /// Brought to every node before the job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// Where the store of this run is, unless it is the one in force.
    pub results: Option<S3Prefix>,
    /// Which files are results.
    #[serde(default, skip_serializing_if = "Collect::is_default")]
    pub collect: Collect,
    /// The node that drives the job; one of the workers' kind where all are alike.
    pub master: Machine,
    /// Whether all nodes are as the workers are, and one of them is elected to drive the job (`master.role: auto`).
    #[serde(default)]
    pub alike: bool,
    /// The other nodes.
    pub workers: Workers,
    /// Settings of Spark.
    pub spark: Spark,
    /// Limits; there is always one of each.
    pub limits: Limits,
    /// What happens to the fleet when the job fails.
    pub on_failure: OnFailure,
    /// Tags for what is made in the cloud, beside Mayfly's own.
    pub tags: BTreeMap<String, String>,
    /// Who is told of the run.
    #[serde(default)]
    pub notify: Vec<Webhook>,
}

/// What forms the cluster: a checked definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "EngineText", into = "EngineText")]
pub struct Engine(Arc<Definition>);

/// In records and requests the engine of old is its name alone, as it always was.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum EngineText {
    Name(String),
    Whole(Definition),
}

impl Engine {
    pub(crate) fn new(definition: Definition) -> Self {
        Self(Arc::new(definition))
    }

    /// What it is.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.0
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl TryFrom<EngineText> for Engine {
    type Error = String;

    fn try_from(text: EngineText) -> Result<Self, String> {
        match text {
            EngineText::Name(name) => {
                let text = compiled_in_text(&name).ok_or_else(|| format!("there is no engine `{name}`"))?;
                parse_engine(&name, &name, text)
                    .map(Self::new)
                    .map_err(|errors| errors.to_string())
            }
            EngineText::Whole(definition) => match definition.flaws().first() {
                None => Ok(Self::new(definition)),
                Some(flaw) => Err(format!("`{}` {}", flaw.at.join("."), flaw.wrong)),
            },
        }
    }
}

impl From<Engine> for EngineText {
    fn from(engine: Engine) -> Self {
        let old = engine.name() == "spark" && engine.0.hook.is_some();
        if old {
            Self::Name(engine.name().to_owned())
        } else {
            Self::Whole(Arc::unwrap_or_clone(engine.0))
        }
    }
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Code {
    /// Where the code is.
    pub repo: Repo,
    /// Branch, tag or commit.
    #[serde(rename = "ref")]
    pub git_ref: GitRef,
    /// Folder inside the repository that the job runs in.
    pub path: RelPath,
    /// The program, relative to `path`; `.` where a command line runs.
    pub entry: RelPath,
    /// Main class, for kinds that need one.
    pub class: Option<String>,
    /// Arguments of the program.
    pub args: Vec<String>,
    /// File of Python requirements, relative to `path`.
    pub requirements: Option<RelPath>,
    /// The Python that it runs with, where that is not the machine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<PythonName>,
    /// In place of an entry: a program and its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Run once on the master before the job: a program and its arguments. What it makes may be the entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build: Vec<String>,
    /// In place of an entry: one after the other, in the same fleet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// In place of them all: people elsewhere use the engine, until nobody has for so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Secs>,
}

/// One of several programs of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it is called; no two of a job are called the same.
    pub name: String,
    /// The program, as [`Code::entry`] has it; `.` where a command line runs.
    pub entry: RelPath,
    /// Main class, for kinds that need one.
    pub class: Option<String>,
    /// Arguments of the program.
    pub args: Vec<String>,
    /// In place of an entry: a program and its arguments.
    pub command: Vec<String>,
    /// Whether the next one runs though this one failed.
    pub go_on: bool,
}

impl Step {
    /// The entry, or nothing where a command line runs.
    #[must_use]
    pub fn entry(&self) -> &str {
        if self.command.is_empty() {
            self.entry.as_str()
        } else {
            ""
        }
    }
}

impl Code {
    /// Makes it a session, whatever it was.
    pub fn become_session(&mut self, idle: Secs) {
        self.session = Some(idle);
        self.class = None;
        self.args.clear();
        self.command.clear();
        self.steps.clear();
    }

    /// The entry, [`SESSION`] in place of one, or nothing where a command line runs.
    #[must_use]
    pub fn entry(&self) -> &str {
        if self.session.is_some() {
            return SESSION;
        }
        let whole = self.command.is_empty() && self.steps.is_empty();
        if whole { self.entry.as_str() } else { "" }
    }

    /// Every entry that is a file: that of the job, or those of its steps.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        let own = std::iter::once(self.entry());
        own.chain(self.steps.iter().map(Step::entry))
            .filter(|entry| !entry.is_empty() && *entry != SESSION)
    }

    /// Every command line: that of the job, or those of its steps.
    pub fn commands(&self) -> impl Iterator<Item = &[String]> {
        let own = std::iter::once(self.command.as_slice());
        own.chain(self.steps.iter().map(|step| step.command.as_slice()))
            .filter(|words| !words.is_empty())
    }

    /// What runs, for people.
    #[must_use]
    pub fn what(&self) -> String {
        if self.session.is_some() {
            return "a session".to_owned();
        }
        if !self.steps.is_empty() {
            let names: Vec<&str> = self.steps.iter().map(|step| step.name.as_str()).collect();
            return format!("{} steps ({})", names.len(), names.join(", "));
        }
        if self.command.is_empty() {
            self.entry.as_str().to_owned()
        } else {
            self.command.join(" ")
        }
    }
}

/// Extra environment of a job. Its `Debug` hides what came from the launcher's environment.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Env {
    /// Names and values.
    pub values: BTreeMap<String, String>,
    /// Names whose value took something from the launcher's environment (`${VAR}`): treat them as secrets in logs.
    pub interpolated: BTreeSet<String>,
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hide = |name| {
            if self.interpolated.contains(name) {
                "(hidden)"
            } else {
                ""
            }
        };
        f.debug_map()
            .entries(self.values.iter().map(|(name, value)| {
                let hidden = hide(name);
                (name, if hidden.is_empty() { value.as_str() } else { hidden })
            }))
            .finish()
    }
}

/// Something that every node has as files before the job starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Where it is.
    pub from: InputFrom,
    /// Its name below `MAYFLY_INPUTS`.
    pub to: RelPath,
}

/// Where an input is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputFrom {
    /// An object, or all below a prefix, of any bucket that the nodes may read.
    S3(S3Prefix),
    /// A key of the run's own store, or all below it, such as `data/flights`.
    Store(RelPath),
    /// A file or folder of the machine that launches, relative to the job file.
    Folder(String),
}

/// What is collected beside the results folder, and what of all that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collect {
    /// Folders of the job's own, relative to the one in which it runs, by their names in the results.
    pub folders: BTreeMap<RelPath, RelPath>,
    /// Patterns of what is kept; without one, everything ([`mayfly_proto::selection`]).
    pub keep: Vec<String>,
    /// Patterns of what is not.
    pub exclude: Vec<String>,
}

impl Collect {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Where the value of a secret comes from; the launching command looks it up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// A variable of the command's environment.
    Env(String),
    /// The one line of a file, relative to the job file.
    File(String),
    /// A key of Consul's KV, below the prefix.
    Consul(String),
    /// The name or ARN of a parameter of AWS Systems Manager's Parameter Store.
    Ssm(String),
    /// The name or ARN of a secret of AWS Secrets Manager; its current version is meant.
    #[serde(rename = "secretsmanager")]
    SecretsManager(String),
}

/// One kind of node. Cores and memory size the nodes on this machine, instance types those on AWS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Cores of a local node.
    pub cores: u32,
    /// Memory of a local node.
    pub memory_bytes: u64,
    /// Instance types on AWS, the first one preferred; never empty.
    pub instance: Vec<InstanceType>,
    /// Whether spot capacity is asked for on AWS.
    #[serde(default)]
    pub spot: bool,
    /// Size of the disk on AWS, in bytes.
    #[serde(default = "default_disk")]
    pub disk_bytes: u64,
}

/// Of jobs that were recorded before they had a disk.
fn default_disk() -> u64 {
    30 << 30
}

/// The nodes that work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workers {
    /// How many are asked for.
    pub count: u32,
    /// How many must be there before the job starts; at most `count`.
    pub min: u32,
    /// So many of them are on demand, also where the others are spot.
    #[serde(default)]
    pub on_demand: u32,
    /// What each of them is.
    #[serde(flatten)]
    pub machine: Machine,
}

/// Settings of Spark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spark {
    /// Release, such as `4.0.5`.
    pub version: String,
    /// Spark properties; none of those that Mayfly sets for safety.
    pub conf: BTreeMap<String, String>,
}

/// Limits of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest life of the whole run.
    #[serde(rename = "deadline_secs")]
    pub deadline: Secs,
    /// Longest time that the job may show no sign of life; none where it may for ever.
    #[serde(rename = "stall_secs", default)]
    pub stall: Option<Secs>,
    /// Longest time until `min` workers are ready; less than `deadline`.
    #[serde(rename = "form_secs")]
    pub form: Secs,
    /// Most that a run may cost, in US cents.
    pub cost_cents: u64,
    /// Further attempts after a failure of the infrastructure; a failing job is never repeated.
    pub retries: u32,
}

/// What happens to the fleet when the job fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It is released at once.
    Release,
    /// It stays for a look, this long and never past the deadline.
    Hold {
        /// How long.
        secs: Secs,
    },
}

/// The checked jobs of a file, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct JobFile {
    /// The jobs; never empty.
    pub jobs: Vec<Job>,
    /// What to know about them.
    pub warnings: Vec<Warning>,
}

/// One job out of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The job.
    pub job: Job,
    /// What to know about it.
    pub warnings: Vec<Warning>,
}

impl Job {
    /// Longest time that it may show no sign of life, if there is a limit. A session that nobody uses ends by one of its own.
    #[must_use]
    pub fn stall(&self) -> Option<Secs> {
        self.limits.stall.filter(|_| self.code.session.is_none())
    }
}

impl JobFile {
    /// The job of that name.
    pub fn get(&self, name: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.name.as_str() == name)
    }

    /// The job of that name, or the only one of the file when no name is given.
    ///
    /// # Errors
    /// Names the jobs that are there.
    pub fn select(&self, name: Option<&str>) -> Result<&Job, Problem> {
        let names: Vec<&str> = self.jobs.iter().map(|job| job.name.as_str()).collect();
        let chosen = crate::pick(&names, name)?;
        self.get(chosen)
            .ok_or_else(|| Problem::new("the file holds no job"))
    }
}
