//! `config pull`: jobs in Consul as one job file.

use std::path::PathBuf;

use mayfly_configs::{JobName, shared_alone, text_of};
use serde_json::json;

use crate::cli::consul::ConsulArgs;
use crate::cli::failure::Failure;
use crate::cli::{import, jobs, out};
use crate::record::SCHEMA;
use crate::shared::SharedJobs;

/// Flags of `config pull`.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Which jobs [default: all]
    #[arg(value_name = "JOB")]
    jobs: Vec<String>,
    /// Write to this file, which must not exist yet
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One JSON object: {schema, jobs: [name], text, output}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    consul: ConsulArgs,
}

/// Prints or writes them; nothing when one of them is wrong.
///
/// # Errors
/// A job is not there or wrong, the file exists, or Consul cannot be asked.
pub(super) async fn run(flags: &Flags) -> Result<u8, Failure> {
    let all = super::open(&flags.consul)?;
    let mut names = flags.jobs.clone();
    if names.is_empty() {
        names = all.names().await?;
    }
    names.dedup();
    if names.is_empty() {
        return Err(Failure::usage(format!(
            "there is no job in Consul at {}: `coordinator config push` puts some there",
            all.address()
        )));
    }
    let mut texts = Vec::with_capacity(names.len());
    for name in &names {
        texts.push(one(&all, name).await?);
    }
    let text = texts.join("\n");
    if let Some(path) = &flags.output {
        import::write(path, &text)?;
    }
    if flags.json {
        out::json(&json!({ "schema": SCHEMA, "jobs": names, "text": text, "output": flags.output }))?;
    } else if flags.output.is_none() {
        out::line(text.trim_end())?;
    }
    Ok(0)
}

/// The text of one job, in the form that `push` would give it.
async fn one(all: &SharedJobs, name: &str) -> Result<String, Failure> {
    let name = JobName::new(name).map_err(|problem| jobs::not_a_job(&all.key(name), &problem))?;
    let kept = jobs::kept(all, &name).await?;
    let place = all.key(name.as_str());
    let text = text_of(&place, kept.bytes)?;
    Ok(shared_alone(&place, name.as_str(), &text)?.text)
}
