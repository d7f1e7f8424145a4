//! `why`: the cause of a run's end, the evidence, and what to change.

use std::path::Path;

use super::args::RunArg;
use super::failure::Failure;
use super::view::{Paint, why};
use super::{out, runs};
use crate::embedded::OpenStore;
use crate::record::{Ended, Outcome, Receipt, RunRecord, Why};
use crate::why::{Held, gather};

/// Flags of `why`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator why last
  coordinator why flights-fhnxibup --json

It reads the store alone: the job's output, that of Spark's daemons and of the agents, and Spark's event log. A cause is
named only where they leave no other.")]
pub(crate) struct Flags {
    #[command(flatten)]
    run: RunArg,
    /// The cause as JSON: see docs/json.md
    #[arg(long)]
    json: bool,
}

/// Names the cause.
///
/// # Errors
/// There is no such run, it has not ended, or the store cannot be read.
pub(crate) async fn run(flags: &Flags, home: &Path, paint: Paint) -> Result<u8, Failure> {
    let open = runs::open(home).await?;
    let id = runs::find(&open.store, &flags.run.run).await?;
    let record = runs::record(&open.store, &id).await?;
    let receipt = runs::receipt(&open.store, &id).await?;
    let Some(ended) = receipt
        .as_ref()
        .map(|receipt| &receipt.ended)
        .or(record.ended.as_ref())
    else {
        return Err(Failure::usage(format!(
            "{id} has not ended yet: `coordinator status {id}` says how far it is"
        )));
    };
    if ended.outcome == Outcome::Succeeded {
        return Err(Failure::usage(format!(
            "{id} succeeded: `coordinator receipt {id}` says what it took"
        )));
    }
    // Read again rather than out of the receipt: a newer version knows more causes than the one that wrote it.
    let why = look(&open, &record, ended, receipt.as_ref()).await?;
    if flags.json {
        out::json(&why)?;
    } else {
        let width = out::width(&console::Term::stdout());
        why::whole(&why, width, paint)
            .iter()
            .try_for_each(|line| out::line(line))?;
    }
    Ok(0)
}

async fn look(
    open: &OpenStore,
    record: &RunRecord,
    ended: &Ended,
    receipt: Option<&Receipt>,
) -> Result<Why, Failure> {
    let nodes = receipt
        .map(|receipt| receipt.nodes.as_slice())
        .unwrap_or_default();
    let held = nodes.iter().map(|node| Held {
        node: node.node.to_string(),
        memory_bytes: node.memory_bytes,
        peak_bytes: node.peak_memory_bytes,
    });
    let known = receipt.and_then(|receipt| receipt.account.as_ref()?.spark.clone());
    let spark = match known {
        Some(spark) => Some(spark),
        None => gather::spark(&open.store, record, record.attempt).await,
    };
    let why = gather::why(&open.store, record, ended, held.collect(), spark).await;
    let why = why.map_err(|error| Failure::chain("read the output", &error))?;
    why.ok_or_else(|| Failure::usage(format!("{} succeeded", record.run)))
}
