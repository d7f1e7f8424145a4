//! `config list`: the jobs that are in Consul.

use mayfly_configs::{Errors, Job, JobName, shared_alone, text_of};
use serde_json::{Value, json};

use crate::cli::consul::ConsulArgs;
use crate::cli::failure::Failure;
use crate::cli::launch::plan;
use crate::cli::view::Paint;
use crate::cli::{out, plain};
use crate::record::SCHEMA;
use crate::shared::{Kept, SharedJobs};

/// Flags of `config list`.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// One JSON object: {schema, jobs: [{name, key, index, job, errors}]}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    consul: ConsulArgs,
}

/// One key.
struct Row {
    name: String,
    key: String,
    index: u64,
    /// Or what is wrong with it.
    job: Result<Job, String>,
}

/// Lists them, also those that are wrong.
///
/// # Errors
/// Consul cannot be asked.
pub(super) async fn run(flags: &Flags, paint: Paint) -> Result<u8, Failure> {
    let all = super::open(&flags.consul)?;
    let mut rows = Vec::new();
    for name in all.names().await? {
        rows.extend(row(&all, name).await?);
    }
    if flags.json {
        let jobs: Vec<Value> = rows.iter().map(json_of).collect();
        out::json(&json!({ "schema": SCHEMA, "jobs": jobs }))?;
        return Ok(0);
    }
    if rows.is_empty() {
        out::note(&format!("no jobs in Consul at {}", all.address()));
    }
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    for row in &rows {
        let name = plain::line(&format!("{:width$}", row.name));
        out::line(&match &row.job {
            Ok(job) => format!(
                "{name}  {} at {}, {}",
                job.code.entry,
                job.code.git_ref,
                plan::fleet(job)
            ),
            Err(why) => format!(
                "{name}  {}",
                paint.bad(&plain::line(&format!("cannot be used: {why}")))
            ),
        })?;
    }
    Ok(0)
}

/// None when it was deleted meanwhile.
async fn row(all: &SharedJobs, name: String) -> Result<Option<Row>, Failure> {
    let key = all.key(&name);
    let checked = match JobName::new(name.as_str()) {
        Ok(checked) => checked,
        Err(problem) => {
            let job = Err(problem.message);
            return Ok(Some(Row {
                name,
                key,
                index: 0,
                job,
            }));
        }
    };
    let Some(kept) = all.get(&checked).await? else {
        return Ok(None);
    };
    let index = kept.index;
    let job = job_of(&key, &name, kept).map_err(|errors| first(&errors));
    Ok(Some(Row {
        name,
        key,
        index,
        job,
    }))
}

fn job_of(key: &str, name: &str, kept: Kept) -> Result<Job, Errors> {
    let text = text_of(key, kept.bytes)?;
    Ok(shared_alone(key, name, &text)?.job)
}

fn first(errors: &Errors) -> String {
    let one = errors.list().first();
    one.map(|one| one.message.clone()).unwrap_or_default()
}

fn json_of(row: &Row) -> Value {
    let (name, key, index) = (&row.name, &row.key, row.index);
    match &row.job {
        Ok(job) => json!({ "name": name, "key": key, "index": index, "job": shown(job), "errors": [] }),
        Err(why) => json!({ "name": name, "key": key, "index": index, "job": null, "errors": [why] }),
    }
}

/// What a person would want to know before launching it.
fn shown(job: &Job) -> Value {
    json!({
        "engine": job.engine.name(), "repo": job.code.repo, "ref": job.code.git_ref, "entry": job.code.entry,
        "workers": job.workers.count, "deadline_secs": job.limits.deadline,
    })
}
