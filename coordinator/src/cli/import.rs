//! `import`: a file of the older system becomes a job file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use mayfly_configs::read_text;
use serde_json::json;

use super::failure::Failure;
use super::{out, plain};
use crate::record::SCHEMA;

/// Flags of `import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator import spark.yml                    prints the job file
  coordinator import spark.yml -o jobs.yml        writes it
  coordinator launch spark.yml log-reg-iris       the old file can be launched as it is, too")]
pub(crate) struct Flags {
    /// A file of the older system
    file: PathBuf,
    /// Write to this file, which must not exist yet
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One JSON object: {schema, text, output, warnings}
    #[arg(long)]
    json: bool,
}

/// Prints or writes the job file.
///
/// # Errors
/// The file is wrong or no file of the older system; the output exists.
pub(crate) fn run(flags: &Flags) -> Result<u8, Failure> {
    let text = read_text(&flags.file)?;
    let imported = mayfly_configs::import(&flags.file.to_string_lossy(), &text)?;
    if let Some(path) = &flags.output {
        write(path, &imported.text)?;
    }
    if flags.json {
        let warnings: Vec<String> = imported.warnings.iter().map(ToString::to_string).collect();
        out::json(&json!({
            "schema": SCHEMA, "text": imported.text, "output": flags.output, "warnings": warnings,
        }))?;
        return Ok(0);
    }
    if flags.output.is_none() {
        out::line(imported.text.trim_end())?;
    }
    for warning in &imported.warnings {
        out::note(&plain::line(&format!("warning: {warning}")));
    }
    Ok(0)
}

/// Writes a new file; one that is there is never replaced.
///
/// # Errors
/// It is there already, or cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let shown = path.display();
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    let written = made.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::usage(format!(
            "{shown} is there already: remove it or choose another name"
        )),
        _ => Failure::usage(format!("{shown} cannot be written: {error}")),
    })
}
