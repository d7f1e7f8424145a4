//! `receipt`: what a run took.

use std::path::Path;

use super::args::RunArg;
use super::failure::Failure;
use super::view::{Paint, receipt};
use super::{out, runs};
use crate::record::Receipt;

/// Flags of `receipt`.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    run: RunArg,
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
    let Some(receipt) = runs::receipt(&open.store, &id).await? else {
        return Err(Failure::usage(format!(
            "{id} has no receipt yet: `coordinator status {id}` says how far it is"
        )));
    };
    if flags.json {
        out::json(&receipt)?;
    } else {
        print(&receipt, paint)?;
    }
    Ok(0)
}

/// Prints a receipt as wide as the terminal.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print(receipt: &Receipt, paint: Paint) -> Result<(), Failure> {
    let width = console::Term::stdout()
        .size_checked()
        .map_or(100, |(_, columns)| usize::from(columns));
    receipt::render(receipt, width, paint)
        .iter()
        .try_for_each(|line| out::line(line))
}
