//! What the jobs of files would change in Consul.

use std::path::{Path, PathBuf};

use mayfly_configs::{Shared, read_text, shared};
use serde_json::{Value, json};

use super::lines;
use crate::cli::failure::Failure;
use crate::cli::out;
use crate::cli::view::Paint;
use crate::shared::{Kept, SharedJobs};

/// One job of a file, and what Consul has under its name.
pub(super) struct Change {
    pub(super) job: Shared,
    pub(super) was: Option<Kept>,
}

impl Change {
    /// True when Consul has something else, or nothing.
    pub(super) fn is_needed(&self) -> bool {
        self.was
            .as_ref()
            .is_none_or(|kept| kept.bytes != self.job.text.as_bytes())
    }
}

/// The jobs of the files, all of them right.
///
/// # Errors
/// Everything that is wrong with any file; or two files have the same job.
fn read(files: &[PathBuf]) -> Result<Vec<Shared>, Failure> {
    let (mut jobs, mut wrong): (Vec<(&Path, Shared)>, Vec<String>) = (Vec::new(), Vec::new());
    for file in files {
        let found = read_text(file).and_then(|text| shared(&file.to_string_lossy(), &text));
        match found {
            Ok(found) => jobs.extend(found.into_iter().map(|job| (file.as_path(), job))),
            Err(errors) => wrong.push(errors.to_string()),
        }
    }
    for (at, (file, job)) in jobs.iter().enumerate() {
        let before = jobs.iter().take(at).find(|(_, other)| other.name == job.name);
        if let Some((other, _)) = before {
            let (other, file) = (other.display(), file.display());
            wrong.push(format!(
                "error: both {other} and {file} have a job {:?}: keep one\n",
                job.name.as_str()
            ));
        }
    }
    if wrong.is_empty() {
        return Ok(jobs.into_iter().map(|(_, job)| job).collect());
    }
    Err(Failure::usage(wrong.join("\n").trim_end()))
}

/// Compares every job of the files with what Consul has. No file with a mistake gets as far as Consul.
///
/// # Errors
/// A file is wrong, or Consul cannot be asked.
pub(super) async fn compare(
    jobs: impl FnOnce() -> Result<SharedJobs, Failure>,
    files: &[PathBuf],
) -> Result<(SharedJobs, Vec<Change>), Failure> {
    let wanted = read(files)?;
    let jobs = jobs()?;
    let mut changes = Vec::with_capacity(wanted.len());
    for job in wanted {
        let was = jobs.get(&job.name).await?;
        changes.push(Change { job, was });
    }
    Ok((jobs, changes))
}

/// What changes, for programs: both texts of each job, the one of Consul being null where it has none.
pub(super) fn json(jobs: &SharedJobs, needed: &[&Change]) -> Vec<Value> {
    let one = |change: &&Change| {
        let name = change.job.name.as_str();
        let was = change.was.as_ref();
        let was = was.map(|kept| String::from_utf8_lossy(&kept.bytes));
        json!({ "job": name, "key": jobs.key(name), "was": was, "text": change.job.text })
    };
    needed.iter().map(one).collect()
}

/// Prints what a change changes, line by line.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn show(jobs: &SharedJobs, change: &Change, paint: Paint) -> Result<(), Failure> {
    let name = change.job.name.as_str();
    let word = if change.was.is_some() { "changed" } else { "new" };
    out::line(&paint.bold(&format!("{name} ({word}): {}", jobs.key(name))))?;
    let was = change
        .was
        .as_ref()
        .map(|kept| String::from_utf8_lossy(&kept.bytes));
    for line in lines::diff(was.as_deref().unwrap_or_default(), &change.job.text) {
        out::line(&line.painted(paint))?;
    }
    Ok(())
}
