//! `status`: how far a run is, out of the store alone.

use std::path::Path;

use super::args::RunArg;
use super::failure::Failure;
use super::view::{Paint, units};
use super::{leftovers, list, out, plain, runs};
use crate::record::{PhaseName, RunRecord};

/// Flags of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator status last
  coordinator status flights-fhn                  the beginning of an id is enough
  coordinator status last --json | jq -r .commit")]
pub(crate) struct Flags {
    #[command(flatten)]
    run: RunArg,
    /// The record (run.json) as JSON
    #[arg(long)]
    json: bool,
}

/// Shows the record of a run.
///
/// # Errors
/// There is no such run, or the store cannot be read.
pub(crate) async fn run(flags: &Flags, home: &Path, paint: Paint) -> Result<u8, Failure> {
    let open = runs::open(home).await?;
    let id = runs::find(&open.store, &flags.run.run).await?;
    let record = runs::record(&open.store, &id).await?;
    leftovers::notes(home, &open)
        .await?
        .iter()
        .for_each(|line| out::note(line));
    if flags.json {
        out::json(&record)?;
    } else {
        lines(&record, paint)
            .iter()
            .try_for_each(|line| out::line(line))?;
    }
    Ok(0)
}

fn lines(record: &RunRecord, paint: Paint) -> Vec<String> {
    let commit: String = record.commit.chars().take(10).collect();
    let head = format!(
        "{}  {}  attempt {}",
        paint.bold(record.run.as_str()),
        list::state(record, paint),
        record.attempt
    );
    let mut lines = vec![
        head,
        format!("  commit    {commit}, launched by {}", plain::line(&record.owner)),
    ];
    let mut marks = record.phases.iter().peekable();
    while let Some(mark) = marks.next() {
        let until = marks.peek().map_or_else(jiff::Timestamp::now, |next| next.began);
        let took = units::secs(until.duration_since(mark.began).as_secs_f64());
        let took = if mark.phase == PhaseName::Closed {
            String::new()
        } else {
            took
        };
        lines.push(format!("  {:<9} {took}", mark.phase.word()).trim_end().to_owned());
    }
    lines.push(format!(
        "  deadline  {}",
        record.deadline.strftime("%Y-%m-%d %H:%M:%S UTC")
    ));
    if let Some(until) = record.held_until.filter(|_| !record.is_closed()) {
        lines.push(format!(
            "  held      for a look until {}; `coordinator cancel {}` releases it",
            until.strftime("%Y-%m-%d %H:%M:%S UTC"),
            record.run
        ));
    }
    if let Some(ended) = &record.ended {
        if !ended.reason.is_empty() {
            lines.push(format!("  reason    {}", plain::line(&ended.reason)));
        }
        lines.extend(
            ended
                .last_lines
                .iter()
                .map(|line| format!("  │ {}", plain::line(line))),
        );
    }
    if let Some(folder) = &record.folder {
        lines.push(format!("  folder    {}", folder.display()));
    }
    lines
}
