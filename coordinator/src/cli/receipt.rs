//! `receipt`: what a run took.

use std::path::Path;

use mayfly_proto::RunId;
use serde_json::json;

use super::args::RunArg;
use super::failure::Failure;
use super::view::{Paint, compare, receipt};
use super::{out, runs};
use crate::embedded::OpenStore;
use crate::record::{Receipt, SCHEMA};

/// Flags of `receipt`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator receipt last
  coordinator receipt flights-fhnxibup --compare last     what changed between two runs")]
pub(crate) struct Flags {
    #[command(flatten)]
    run: RunArg,
    /// Beside that of another run
    #[arg(long, value_name = "RUN")]
    compare: Option<String>,
    /// The receipt (receipt.json) as JSON
    #[arg(long)]
    json: bool,
}

/// Shows the receipt of a run.
///
/// # Errors
/// There is no such run, it is not closed, or the store cannot be read.
pub(crate) async fn run(flags: &Flags, home: &Path, paint: Paint) -> Result<u8, Failure> {
    let open = runs::open(home).await?;
    let id = runs::find(&open.store, &flags.run.run).await?;
    let receipt = closed(&open, &id).await?;
    if let Some(other) = &flags.compare {
        let other = closed(&open, &runs::find(&open.store, other).await?).await?;
        if flags.json {
            out::json(&json!({ "schema": SCHEMA, "receipts": [receipt, other] }))?;
        } else {
            let lines = compare::lines(&receipt, &other, paint);
            lines.iter().try_for_each(|line| out::line(line))?;
        }
        return Ok(0);
    }
    if flags.json {
        out::json(&receipt)?;
    } else {
        print(&receipt, paint)?;
    }
    Ok(0)
}

async fn closed(open: &OpenStore, id: &RunId) -> Result<Receipt, Failure> {
    let receipt = runs::receipt(&open.store, id).await?;
    receipt.ok_or_else(|| {
        Failure::usage(format!(
            "{id} has no receipt yet: `coordinator status {id}` says how far it is"
        ))
    })
}

/// Prints a receipt as wide as the terminal.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print(receipt: &Receipt, paint: Paint) -> Result<(), Failure> {
    let width = out::width(&console::Term::stdout());
    receipt::render(&from_here(receipt), width, paint)
        .iter()
        .try_for_each(|line| out::line(line))
}

/// A folder of the store lies on the machine that made the receipt: elsewhere the store's own name of it is shown.
fn from_here(receipt: &Receipt) -> Receipt {
    let mut shown = receipt.clone();
    if let Some(folder) = shown.results_folder.as_mut().filter(|folder| !folder.is_dir()) {
        *folder = shown.results.clone().into();
    }
    shown
}
