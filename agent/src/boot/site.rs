//! What the image says of itself: a file that is baked in.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::{ConsulSettings, Toolchain};

/// Where it is.
const PLACE: &str = "/etc/mayfly/site.json";
/// Names another place.
const VARIABLE: &str = "MAYFLY_SITE";

/// The image. No `Debug`: Consul's token is a secret.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Site {
    /// As `agent toolchain --json` prints it.
    pub(super) toolchain: Toolchain,
    /// The node's own folder.
    pub(super) folder: PathBuf,
    /// The folder that has the same path on every node; `results` is made in it.
    pub(super) shared: PathBuf,
    /// Whom jobs run as; the agent's own user, if none is named.
    #[serde(default)]
    pub(super) job_user: Option<String>,
    /// Consul, where the image has a client agent; user data may name another.
    #[serde(default)]
    pub(super) consul: Option<ConsulSettings>,
    /// Consul itself, which runs on the machine of a team's server.
    #[serde(default = "consul_program")]
    pub(super) consul_program: PathBuf,
}

fn consul_program() -> PathBuf {
    PathBuf::from("/opt/mayfly/bin/consul")
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// It cannot be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not of its shape.
    #[error("{path} does not describe an image")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// A folder is not named from the root.
    #[error("{path}: `{key}` is {value:?}, and must begin with /")]
    Relative {
        /// The file.
        path: PathBuf,
        /// Its key.
        key: &'static str,
        /// What it says.
        value: PathBuf,
    },
}

/// Where the file is.
pub(super) fn path() -> PathBuf {
    let named = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
    named.map_or_else(|| PLACE.into(), PathBuf::from)
}

impl Site {
    pub(super) fn load(path: &Path) -> Result<Self, SiteError> {
        let text = std::fs::read_to_string(path).map_err(|source| SiteError::Read {
            path: path.into(),
            source,
        })?;
        let site: Self = serde_json::from_str(&text).map_err(|source| SiteError::Parse {
            path: path.into(),
            source,
        })?;
        for (key, value) in [("folder", &site.folder), ("shared", &site.shared)] {
            if !value.is_absolute() {
                return Err(SiteError::Relative {
                    path: path.into(),
                    key,
                    value: value.clone(),
                });
            }
        }
        Ok(site)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::chain;

    #[test]
    fn what_is_wrong_with_the_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.json");
        let good = serde_json::json!({
            "toolchain": {
                "spark_home": "/opt/spark", "spark_version": "4.0.5", "scala_version": "2.13", "java": "/usr/bin/java",
                "python": "/opt/python/bin/python3", "cds_archive": null,
            },
            "folder": "/var/lib/mayfly/node", "shared": "/var/lib/mayfly/shared",
        });
        let load = |change: fn(&mut serde_json::Value)| {
            let mut site = good.clone();
            change(&mut site);
            std::fs::write(&file, site.to_string()).unwrap();
            Site::load(&file).map_err(|error| chain(&error)).err()
        };
        assert_eq!(load(|_| ()), None);
        for (error, says) in [
            (load(|site| site["folder"] = "node".into()), "must begin with /"),
            (load(|site| site["color"] = "red".into()), "unknown field `color`"),
            (load(|site| site["toolchain"] = 1.into()), "line 1"),
            (
                Site::load(Path::new("/nowhere"))
                    .map_err(|error| chain(&error))
                    .err(),
                "/nowhere",
            ),
        ] {
            let error = error.unwrap();
            assert!(error.contains(says), "{error}");
        }
    }
}
