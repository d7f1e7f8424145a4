//! What all cases share: the code that is launched.

use std::path::Path;

use crate::{Job, Repo, light};

/// Small files that the job writes.
pub(super) const SMALL: usize = 3;
/// Further attempts that a run has.
pub(super) const RETRIES: u64 = 3;

/// Made once for many cases.
#[derive(Debug)]
pub struct Rig {
    pub(super) repo: Repo,
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
        light::cache();
        Self {
            repo: Repo::of_jobs(),
        }
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
