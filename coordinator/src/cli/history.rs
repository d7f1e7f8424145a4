//! `history`: a run of the past in Spark's own History Server, out of the store alone.

use std::path::Path;

use mayfly_kit::shutdown;
use mayfly_proto::Attempt;
use serde_json::json;

use super::args::RunArg;
use super::failure::Failure;
use super::{browser, out, runs, signals};
use crate::history::{History, Wanted};
use crate::home::Home;
use crate::record::SCHEMA;

/// Flags of `history`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator history last --open
  coordinator history flights-abc --attempt 1

It shows the event log that Spark left: jobs, stages, tasks, SQL plans. Ctrl-C ends it, and nothing is left of it.")]
pub(crate) struct Flags {
    #[command(flatten)]
    run: RunArg,
    /// Which attempt [default: the last one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// Show it in a browser
    #[arg(long)]
    open: bool,
    /// One JSON object: {schema, run, url}
    #[arg(long)]
    json: bool,
}

/// Serves the history of a run until it is told to stop.
///
/// # Errors
/// There is no such run, it left no event log, or the server does not start.
pub(crate) async fn run(flags: &Flags, home: &Path) -> Result<u8, Failure> {
    let mut signals = signals::counting()?;
    let open = runs::open(home).await?;
    let id = runs::find(&open.store, &flags.run.run).await?;
    let record = runs::record(&open.store, &id).await?;
    let attempt = flags.attempt.map_or(Ok(record.attempt), Attempt::try_from);
    let wanted = Wanted {
        store: &open.store,
        run: &id,
        attempt: attempt.map_err(Failure::usage)?,
        spark: &record.job.spark.version,
        base: "",
    };
    let own = Home::open(home)?;
    let starting = History::start(&own, &wanted, |step| {
        out::note(&format!("{} {}", step.name, step.detail));
    });
    let history = tokio::select! {
        started = starting => started?,
        () = shutdown::reached(&mut signals.level, 1) => return Err(Failure::silent(130)),
    };
    let url = format!("{}{}", history.url, history.path());
    if flags.json {
        out::json(&json!({ "schema": SCHEMA, "run": id, "url": url }))?;
    } else {
        out::line(&url)?;
        out::note("Ctrl-C ends it");
    }
    out::flush();
    if flags.open {
        browser::show(home, &url);
    }
    shutdown::reached(&mut signals.level, 1).await;
    history.stop().await;
    open.close().await;
    Ok(0)
}
