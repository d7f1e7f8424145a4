//! `config diff`: what `config push` would change.

use std::path::PathBuf;

use serde_json::json;

use super::changes::{self, Change};
use crate::cli::consul::ConsulArgs;
use crate::cli::failure::Failure;
use crate::cli::out;
use crate::cli::view::Paint;
use crate::record::SCHEMA;

/// Consul has something else.
const DIFFERENT: u8 = 1;

/// Flags of `config diff`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 Consul has these jobs, 1 it has not, 2 usage or configuration, 3 Consul cannot be asked."
)]
pub(crate) struct Flags {
    /// Job files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One JSON object: {schema, changes: [{job, key, was, text}]}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    consul: ConsulArgs,
}

/// Shows every job that Consul has not, or has otherwise.
///
/// # Errors
/// A file is wrong, or Consul cannot be asked.
pub(super) async fn run(flags: &Flags, paint: Paint) -> Result<u8, Failure> {
    let (jobs, changes) = changes::compare(|| super::open(&flags.consul), &flags.files).await?;
    let needed: Vec<&Change> = changes.iter().filter(|change| change.is_needed()).collect();
    if flags.json {
        out::json(&json!({ "schema": SCHEMA, "changes": changes::json(&jobs, &needed) }))?;
    } else {
        needed
            .iter()
            .try_for_each(|change| changes::show(&jobs, change, paint))?;
    }
    Ok(if needed.is_empty() { 0 } else { DIFFERENT })
}
