//! `gc`: finds what should not exist any more, and removes it.

#[cfg(feature = "aws")]
mod aws;

use std::path::Path;

use serde_json::json;

#[cfg(feature = "aws")]
use super::aws::AwsArgs;
use super::failure::Failure;
use super::view::Paint;
use super::view::table::{self, Side};
use super::{out, plain, runs};
use crate::gc::{self, Leftover};
use crate::record::SCHEMA;

/// Flags of `gc`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator gc                                  what runs have left here
  coordinator gc --yes                            removes it

Without --yes it only looks.")]
pub(crate) struct Flags {
    /// Remove what is found
    #[arg(long)]
    yes: bool,
    /// Look in the account of AWS, by tags alone, not on this machine
    #[cfg(feature = "aws")]
    #[arg(long, value_enum, value_name = "CLOUD")]
    on: Option<Where>,
    /// With `--on aws`: in all regions of the account
    #[cfg(feature = "aws")]
    #[arg(long, requires = "on")]
    all_regions: bool,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    aws: AwsArgs,
    /// One JSON object: {schema, removed, leftovers: [{run, what, folder, evidence, …}]}
    #[arg(long)]
    json: bool,
}

/// Where to look, other than on this machine.
#[cfg(feature = "aws")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Where {
    /// The account of AWS.
    Aws,
}

/// Looks, and removes with `--yes`.
///
/// # Errors
/// The store cannot be read, or something cannot be removed.
pub(crate) async fn run(flags: &Flags, home: &Path, paint: Paint) -> Result<u8, Failure> {
    #[cfg(feature = "aws")]
    if flags.on == Some(Where::Aws) {
        return aws::run(flags).await;
    }
    let found = if runs::is_here(home)? {
        let open = runs::open_here(home).await?;
        let found = gc::scan(home, &open).await?;
        if flags.yes {
            gc::sweep(home, &open.store, &found).await?;
        }
        found
    } else {
        Vec::new()
    };
    if flags.json {
        out::json(&json!({ "schema": SCHEMA, "removed": flags.yes, "leftovers": found }))?;
        return Ok(0);
    }
    if !found.is_empty() {
        table(&found, paint).iter().try_for_each(|line| out::line(line))?;
    }
    match (found.len(), flags.yes) {
        (0, _) => out::line("nothing is left"),
        (n, true) => out::line(&format!("{n} closed")),
        (n, false) => out::line(&format!("{n} found; `coordinator gc --yes` ends and closes them")),
    }?;
    Ok(0)
}

fn table(found: &[Leftover], paint: Paint) -> Vec<String> {
    let row = |leftover: &Leftover| {
        let folder = leftover
            .folder
            .as_ref()
            .map_or_else(String::new, |f| f.display().to_string());
        [leftover.run.as_str(), &leftover.what, &leftover.evidence, &folder]
            .map(plain::line)
            .to_vec()
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    let head = ["run", "what is left", "evidence", "what the job wrote"];
    table::render(&head, &rows, std::iter::repeat(Side::Left), paint)
}
