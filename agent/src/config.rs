//! What a node is told before it has spoken to anybody: a file locally, instance metadata on AWS.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use mayfly_proto::RunId;
use serde::{Deserialize, Serialize};

/// `node.json`, mode 0400, written by the local cloud into the node's folder.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The run this node belongs to.
    pub run: RunId,
    /// `master`, `worker` or `auto`.
    pub role: RoleName,
    /// The cloud's name of this machine.
    pub machine_id: String,
    /// `https://host:port` of the coordinator; `http://` on its own machine.
    pub coordinator: String,
    /// Authority that the coordinator's certificate must come from, with `https://`.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// Exchanged at `Enroll`; good for this run and role only.
    pub join_token: String,
    /// Address that the rest of the fleet reaches this node at.
    pub address: IpAddr,
    /// Cores this node offers.
    pub cores: u32,
    /// Memory this node offers, in bytes.
    pub memory_bytes: u64,
    /// This node's own folder: code, environment, engine work folder, logs not yet uploaded.
    pub folder: PathBuf,
    /// Path that is the same on every node of the run; each node that can mounts a folder of its own there.
    pub shared: PathBuf,
    /// The store of the run.
    pub store: StoreConfig,
    /// What is installed on this machine.
    pub toolchain: Toolchain,
    /// Where this node is registered, and workers may find their master; `None` without Consul.
    #[serde(default)]
    pub consul: Option<ConsulSettings>,
    /// Seconds that this node lives without a word from the coordinator, until the coordinator itself says how long.
    #[serde(default = "alone_secs")]
    pub alone_secs: u64,
    /// Seconds until the end of the run, until the coordinator itself says when; `None` where the coordinator is as old
    /// as the node.
    #[serde(default)]
    pub deadline_secs: Option<u64>,
    /// What the job gets its keys from where the node's are those of its machine; without it the job has none.
    #[serde(default)]
    pub job_role: Option<JobRole>,
    /// Whom the job runs as; `None` for the agent's own user.
    #[serde(default)]
    pub job_user: Option<JobUser>,
}

/// Where machines boot before their coordinator does.
fn alone_secs() -> u64 {
    120
}

/// Role of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    /// Drives the job.
    Master,
    /// Serves the master.
    Worker,
    /// One or the other, as each attempt decides.
    Auto,
}

pub use crate::jobuser::JobUser;
pub use crate::toolchain::Toolchain;
pub use mayfly_kit::consul::ConsulSettings;
pub use mayfly_kit::store::{Access, StoreConfig};
pub use mayfly_kit::sts::JobRole;

/// Why the configuration of a node cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a node's configuration.
    #[error("{path} is not a node's configuration")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        #[source]
        source: serde_json::Error,
    },
}

impl NodeConfig {
    /// Reads and checks `node.json`.
    ///
    /// # Errors
    /// The file cannot be read, or is not of this shape.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        serde_json::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.into(),
            source,
        })
    }
}
