//! `config push`: jobs of files into Consul, checked first, shown, asked.

use std::path::PathBuf;

use mayfly_kit::consul::{Put, parts};
use serde_json::json;

use super::changes::{self, Change};
use crate::cli::consul::ConsulArgs;
use crate::cli::failure::Failure;
use crate::cli::view::Paint;
use crate::cli::{ask, out};
use crate::record::SCHEMA;
use crate::shared::{SharedJobs, put};

/// Flags of `config push`.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Job files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Ask nothing
    #[arg(long, short)]
    yes: bool,
    /// One JSON object of what is written: {schema, changes: [{job, key, was, text}]}
    #[arg(long, requires = "yes")]
    json: bool,
    #[command(flatten)]
    consul: ConsulArgs,
}

/// Writes every job that Consul has not, or has otherwise.
///
/// # Errors
/// A file is wrong (nothing is written then), nobody says yes, somebody else was faster, or Consul cannot be asked.
pub(super) async fn run(flags: &Flags, paint: Paint) -> Result<u8, Failure> {
    let (jobs, changes) = changes::compare(|| super::open(&flags.consul), &flags.files).await?;
    let needed: Vec<&Change> = changes.iter().filter(|change| change.is_needed()).collect();
    if flags.json {
        write(&jobs, &needed, |_| Ok(())).await?;
        out::json(&json!({ "schema": SCHEMA, "changes": changes::json(&jobs, &needed) }))?;
        return Ok(0);
    }
    if needed.is_empty() {
        out::note("Consul has these jobs already");
        return Ok(0);
    }
    needed
        .iter()
        .try_for_each(|change| changes::show(&jobs, change, paint))?;
    if !flags.yes && !agreed(&jobs, needed.len()).await? {
        out::note("nothing is written");
        return Ok(0);
    }
    let told = |change: &Change| out::line(&format!("{} is written", change.job.name));
    write(&jobs, &needed, told).await?;
    Ok(0)
}

/// Asks; without a terminal there is nobody to ask.
async fn agreed(jobs: &SharedJobs, count: usize) -> Result<bool, Failure> {
    if !ask::somebody() {
        return Err(Failure::usage(
            "nothing is written: there is no terminal to ask, and no --yes",
        ));
    }
    let what = if count == 1 { "this job" } else { "these jobs" };
    Ok(ask::yes(&format!("write {what} to Consul at {}?", jobs.address())).await)
}

/// All at once where Consul takes that much, otherwise part by part, each of them whole or not at all.
async fn write(
    jobs: &SharedJobs,
    needed: &[&Change],
    tell: impl Fn(&Change) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let puts: Vec<Put> = needed
        .iter()
        .map(|change| put(&change.job.name, &change.job.text, change.was.as_ref()))
        .collect();
    let parts = parts(&puts);
    if parts.len() > 1 {
        out::note(&format!(
            "{} jobs are more than Consul writes at once: they go in {} parts, each of them whole or not at all",
            needed.len(),
            parts.len()
        ));
    }
    let mut left = needed;
    for part in parts {
        let written = jobs.put_all(part).await;
        if !matches!(written, Ok(true)) {
            rest(left);
        }
        let (now, after) = left.split_at(part.len());
        if !written? {
            return Err(overtaken(jobs, now).await);
        }
        for change in now {
            tell(change)?;
        }
        left = after;
    }
    Ok(())
}

/// Names the jobs that are not as they were compared.
async fn overtaken(jobs: &SharedJobs, part: &[&Change]) -> Failure {
    let mut keys = Vec::new();
    for change in part {
        // Where Consul does not answer any more, there is nothing to name.
        let is = jobs.get(&change.job.name).await.ok();
        if is.is_some_and(|is| is != change.was) {
            keys.push(jobs.key(change.job.name.as_str()));
        }
    }
    let what = if keys.is_empty() {
        "one of these jobs".to_owned()
    } else {
        keys.join(", ")
    };
    Failure::infra(format!(
        "somebody has changed {what} in Consul meanwhile: look at `coordinator config diff` and push again"
    ))
}

fn rest(changes: &[&Change]) {
    let names: Vec<&str> = changes.iter().map(|change| change.job.name.as_str()).collect();
    out::note(&format!("not written: {}", names.join(", ")));
}
