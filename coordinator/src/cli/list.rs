//! `list`: the runs of the store, newest first.

use std::path::Path;

use serde_json::json;

use super::failure::Failure;
use super::view::table::{self, Side};
use super::view::{Paint, receipt, units};
use super::{leftovers, out, runs};
use crate::record::{PhaseName, RunRecord, SCHEMA};

/// Flags of `list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator list
  coordinator list -n 5
  coordinator list --json | jq -r '.runs[] | select(.ended == null) | .run'     those that are open")]
pub(crate) struct Flags {
    /// Show at most so many
    #[arg(long, short = 'n', default_value_t = 50, value_name = "N")]
    max: usize,
    /// One JSON object: {schema, runs: [run.json, …]}
    #[arg(long)]
    json: bool,
}

/// Lists the runs.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn run(flags: &Flags, home: &Path, paint: Paint) -> Result<u8, Failure> {
    let (mut records, broken) = if runs::is_there(home)? {
        let open = runs::open(home).await?;
        let (records, broken) = runs::records(&open.store).await?;
        leftovers::notes_beside(home, &open, &records)
            .await?
            .iter()
            .for_each(|line| out::note(line));
        (records, broken)
    } else {
        (Vec::new(), Vec::new())
    };
    broken
        .iter()
        .for_each(|line| out::note(&format!("not readable: {line}")));
    let all = records.len();
    records.truncate(flags.max);
    if flags.json {
        out::json(&json!({ "schema": SCHEMA, "runs": records }))?;
        return Ok(0);
    }
    if records.is_empty() {
        out::note("no runs yet");
        return Ok(0);
    }
    table(&records, paint)
        .iter()
        .try_for_each(|line| out::line(line))?;
    if all > records.len() {
        out::note(&format!("and {} older (--max)", all - records.len()));
    }
    Ok(0)
}

/// What a record says in one word: its outcome, else its phase.
#[must_use]
pub(crate) fn state(record: &RunRecord, paint: Paint) -> String {
    let phase = record
        .phases
        .last()
        .map_or(PhaseName::Accepted, |mark| mark.phase);
    match &record.ended {
        Some(ended) => {
            let word = receipt::outcome_word(ended.outcome);
            let word = if ended.outcome.exit_code() == 0 {
                paint.good(word)
            } else {
                paint.bad(word)
            };
            if phase == PhaseName::Closed {
                word
            } else {
                format!("{word} ({})", phase.word())
            }
        }
        None => paint.warn(phase.word()),
    }
}

/// From the record to its last phase, in seconds.
#[must_use]
pub(crate) fn age_secs(record: &RunRecord) -> f64 {
    let last = match record.phases.last() {
        Some(mark) if mark.phase == PhaseName::Closed => mark.began,
        _ => jiff::Timestamp::now(),
    };
    last.duration_since(record.created).as_secs_f64()
}

fn table(records: &[RunRecord], paint: Paint) -> Vec<String> {
    let head = ["run", "state", "created", "time", "commit", "owner"];
    let rows: Vec<Vec<String>> = records
        .iter()
        .map(|record| {
            vec![
                record.run.to_string(),
                state(record, paint),
                record.created.strftime("%Y-%m-%d %H:%M UTC").to_string(),
                units::secs(age_secs(record)),
                record.commit.chars().take(10).collect(),
                super::plain::line(&record.owner),
            ]
        })
        .collect();
    let sides = [
        Side::Left,
        Side::Left,
        Side::Left,
        Side::Right,
        Side::Left,
        Side::Left,
    ];
    table::render(&head, &rows, sides, paint)
}
