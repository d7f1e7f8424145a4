//! `status`: how far a run is, out of the store alone; and what its coordinator says of it, where one can be asked.

use std::path::Path;

use jiff::Timestamp;
use mayfly_proto::v1::RunView;
use serde_json::Value;

use super::args::RunArg;
use super::failure::Failure;
use super::view::{Paint, json, live, units};
use super::{leftovers, list, now, out, plain, runs};
use crate::record::{PhaseName, RunRecord};

/// A view that is older says so: it is written, or asked for, every few seconds.
const OLD_SECS: f64 = 15.0;

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
    /// The record (run.json) as JSON, with what its coordinator says of it
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
    let view = now::view(home, &open.store, &record).await;
    if flags.json {
        let mut shown = serde_json::to_value(&record).map_err(|e| Failure::chain("show the record", &e))?;
        if let Value::Object(shown) = &mut shown {
            shown.insert("view".to_owned(), view.as_ref().map_or(Value::Null, json::view));
        }
        out::json(&shown)?;
    } else {
        let width = out::width(&console::Term::stdout());
        let mut lines = match &view {
            Some(view) => seen(view, Timestamp::now(), width, paint),
            None => phases(&record, paint),
        };
        lines.extend(facts(&record));
        lines.iter().try_for_each(|line| out::line(line))?;
    }
    Ok(0)
}

/// What its coordinator says of it, and when it said so if that is a while ago.
fn seen(view: &RunView, now: Timestamp, width: usize, paint: Paint) -> Vec<String> {
    let mut lines = live::render(view, width, paint);
    let age = units::between_ms(view.now_ms, now.as_millisecond());
    if age > OLD_SECS {
        lines.push(paint.warn(&format!("its coordinator said so {} ago", units::secs(age))));
    }
    lines
}

/// What the record says of its phases.
fn phases(record: &RunRecord, paint: Paint) -> Vec<String> {
    let mut lines = vec![format!(
        "{}  {}  attempt {}",
        paint.bold(record.run.as_str()),
        list::state(record, paint),
        record.attempt
    )];
    let mut marks = record.phases.iter().peekable();
    while let Some(mark) = marks.next() {
        let until = marks.peek().map_or_else(Timestamp::now, |next| next.began);
        let took = units::secs(until.duration_since(mark.began).as_secs_f64());
        let took = if mark.phase == PhaseName::Closed {
            String::new()
        } else {
            took
        };
        lines.push(format!("  {:<9} {took}", mark.phase.word()).trim_end().to_owned());
    }
    lines
}

fn facts(record: &RunRecord) -> Vec<String> {
    let commit: String = record.commit.chars().take(10).collect();
    let mut lines = vec![
        format!("  commit    {commit}, launched by {}", plain::line(&record.owner)),
        format!(
            "  deadline  {}",
            record.deadline.strftime("%Y-%m-%d %H:%M:%S UTC")
        ),
    ];
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
