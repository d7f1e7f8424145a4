//! `estimate`: what a run of a job will take and cost, out of what earlier ones took.

use std::path::Path;

use serde_json::json;

use super::failure::Failure;
use super::jobs;
use super::view::{Paint, estimate};
use super::{home, out, runs};
use crate::account::history;
use crate::record::{Outcome, SCHEMA};

/// Flags of `estimate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator estimate flights
  coordinator estimate jobs.yml daily --set workers.count=8

It launches nothing and asks no cloud: `launch --on aws` shows the prices of now before it asks.")]
pub(crate) struct Flags {
    /// A job file, a job, or both
    #[arg(num_args = 1..=2, value_names = ["FILE", "JOB"], required = true)]
    named: Vec<String>,
    /// Lay a value over the job, such as workers.count=8; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = super::launch::key_value)]
    sets: Vec<(String, String)>,
    /// The estimate as JSON: see docs/json.md
    #[arg(long)]
    json: bool,
}

/// Estimates.
///
/// # Errors
/// There is no such job, or the store cannot be read.
pub(crate) async fn run(flags: &Flags, home: &Path, paint: Paint) -> Result<u8, Failure> {
    let cwd = home::current()?;
    // A job whose file is not here any more may have runs all the same.
    let found = jobs::of_file(&flags.named, &flags.sets, &cwd);
    let (name, wanted) = match (&found, flags.named.as_slice()) {
        (Ok(found), _) => (found.job.name.to_string(), Some(found.job.workers.count)),
        (Err(_), [name]) if flags.sets.is_empty() && !name.contains(['.', '/']) => (name.clone(), None),
        (Err(_), _) => return found.map(|_| 0),
    };
    let receipts = if runs::is_there(home)? {
        let open = runs::open(home).await?;
        history::of_job(&open.store, &name, history::MANY).await?
    } else {
        Vec::new()
    };
    let good: Vec<_> = receipts
        .into_iter()
        .filter(|r| r.ended.outcome == Outcome::Succeeded)
        .collect();
    let Some(estimate) = history::estimate(&name, &good, wanted) else {
        return Err(Failure::usage(format!(
            "no run of {name} has succeeded yet, so that nothing can be said of the next one"
        )));
    };
    if flags.json {
        out::json(&json!({ "schema": SCHEMA, "estimate": estimate }))?;
    } else {
        let width = out::width(&console::Term::stdout());
        estimate::lines(&estimate, width, paint)
            .iter()
            .try_for_each(|line| out::line(line))?;
    }
    Ok(0)
}
