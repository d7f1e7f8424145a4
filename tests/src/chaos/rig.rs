//! What all cases share: the code that is launched, and a stand-in for Spark.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use mayfly_agent::toolchain::default_cache;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Job, Repo, programs};

/// Small files that the job writes.
pub(super) const SMALL: usize = 3;
/// Further attempts that a run has.
pub(super) const RETRIES: u64 = 3;

/// Made once for many cases.
#[derive(Debug)]
pub struct Rig {
    pub(super) repo: Repo,
    cache: TempDir,
}

impl Default for Rig {
    fn default() -> Self {
        Self::new()
    }
}

impl Rig {
    /// Installs what is missing; the first call on a machine may take minutes.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let toolchain = programs::toolchain();
        let cache = tempfile::Builder::new()
            .prefix("mayfly-light-")
            .tempdir()
            .unwrap();
        let version = toolchain["spark_version"].as_str().expect("a version of Spark");
        let note = format!("toolchain-{version}.json");
        let found = fs::read(default_cache().join(&note)).expect("the note of what is installed");
        let mut found: Value = serde_json::from_slice(&found).unwrap();
        let java = programs::repository().join("tests/light/bin/java");
        found["java_modified_secs"] = modified_secs(&java).into();
        found["toolchain"]["java"] = java.display().to_string().into();
        found["toolchain"]["cds_archive"] = Value::Null;
        fs::write(cache.path().join(&note), found.to_string()).unwrap();
        Self {
            repo: Repo::of_jobs(),
            cache,
        }
    }

    /// Where programs find the stand-in in place of Spark.
    pub(super) fn light(&self) -> PathBuf {
        self.cache.path().to_owned()
    }

    /// The job, which meets the test at this gate: it works for so long, writes a file of so many MB, and does what else it
    /// is told.
    pub(super) fn job(&self, gate: &Path, millis: u32, megabytes: u32, more: &[&str]) -> Job {
        let (millis, megabytes) = (millis.to_string(), megabytes.to_string());
        let args = [&[millis.as_str(), megabytes.as_str()], more].concat();
        Job::new("chaos", &self.repo.url(), "chaos.py")
            .set("env", serde_json::json!({ "GATE": gate }))
            .set("limits.retries", RETRIES)
            .args(&args)
    }
}

fn modified_secs(path: &Path) -> u64 {
    let modified = path.metadata().and_then(|found| found.modified()).unwrap();
    modified.duration_since(UNIX_EPOCH).unwrap().as_secs()
}
