//! `validate`: checks job files without running anything.

use std::path::PathBuf;

use mayfly_configs::{Job, load};
use serde_json::json;

use super::failure::{Failure, USAGE};
use super::{out, plain};
use crate::record::SCHEMA;

/// Flags of `validate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  coordinator validate configs/jobs/*.yml")]
pub(crate) struct Flags {
    /// Job files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One JSON object: {schema, files: [{file, jobs, warnings, errors}]}
    #[arg(long)]
    json: bool,
}

/// Checks every file and tells everything that is wrong.
///
/// # Errors
/// A file is wrong.
pub(crate) fn run(flags: &Flags) -> Result<u8, Failure> {
    let (mut reports, mut wrong) = (Vec::new(), false);
    for file in &flags.files {
        let shown = file.display().to_string();
        let checked = load(file);
        wrong |= checked.is_err();
        match checked {
            Ok(found) if flags.json => {
                let (jobs, warnings) = (names(&found.jobs), &found.warnings);
                reports.push(json!({ "file": shown, "jobs": jobs, "warnings": warnings, "errors": [] }));
            }
            Err(errors) if flags.json => {
                reports.push(
                    json!({ "file": shown, "jobs": [], "warnings": [], "errors": errors.to_json(), "more": errors.more() }),
                );
            }
            Ok(found) => {
                for warning in &found.warnings {
                    out::note(&plain::line(&format!("warning: {warning}")));
                }
                found
                    .jobs
                    .iter()
                    .try_for_each(|job| out::line(&format!("{shown}: {}", summary(job))))?;
            }
            Err(errors) => out::note(&Failure::from(errors).text()),
        }
    }
    if flags.json {
        out::json(&json!({ "schema": SCHEMA, "files": reports }))?;
    }
    Ok(if wrong { USAGE } else { 0 })
}

fn names(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.name.as_str()).collect()
}

fn summary(job: &Job) -> String {
    let deadline = super::launch::plan::duration(job.limits.deadline.0);
    format!(
        "{} is right: {}, at most {deadline}",
        job.name,
        super::launch::plan::fleet(job)
    )
}
