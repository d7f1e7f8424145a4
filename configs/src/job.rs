//! The checked job: what `run.json` holds and agents get. Nothing here can be wrong any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::diag::Problem;
use crate::git::Repo;
use crate::names::{GitRef, InstanceType, JobName, RelPath};
use crate::s3::S3Prefix;
use crate::units::Secs;
use crate::warning::Warning;

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
    /// Where the store of this run is, unless it is the one in force.
    pub results: Option<S3Prefix>,
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
}

/// What forms the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Spark standalone.
    Spark,
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
    /// The program, relative to `path`: `.py` or `.jar`.
    pub entry: RelPath,
    /// Main class of a `.jar`; none for a `.py`.
    pub class: Option<String>,
    /// Arguments of the program.
    pub args: Vec<String>,
    /// File of Python requirements, relative to `path`.
    pub requirements: Option<RelPath>,
}

impl Code {
    /// True for a Python program, false for a `.jar`.
    pub fn is_python(&self) -> bool {
        self.entry.as_str().ends_with(".py")
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
