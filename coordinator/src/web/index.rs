//! The runs of the store, for the list: the records of closed runs are read once.

use std::collections::HashMap;

use futures::StreamExt as _;
use mayfly_kit::store::Store;
use mayfly_proto::RunId;
use tokio::sync::Mutex;

use super::shown::{self, State};
use crate::cli::failure::Failure;
use crate::cli::runs;
use crate::record::{PhaseName, RunRecord};

/// Records read at the same time.
const READS: usize = 32;
/// Runs on a page.
pub(super) const PAGE: usize = 50;
/// Runs that are remembered; the store has no more than so many that anybody lists.
const KNOWN_MAX: usize = 10_000;

/// A run in the list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) run: String,
    pub(super) job: String,
    pub(super) owner: String,
    pub(super) commit: String,
    pub(super) state: State,
    pub(super) class: &'static str,
    pub(super) created_ms: i64,
    pub(super) secs: f64,
    pub(super) closed: bool,
    pub(super) cost_micros: u64,
}

/// What is asked of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Part of the run, the job, the owner or the commit.
    pub(super) text: String,
    /// A word of [`shown::FILTERS`].
    pub(super) class: String,
    /// From 0.
    pub(super) page: usize,
}

/// A page of the list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    pub(super) found: usize,
    pub(super) all: usize,
    pub(super) page: usize,
    pub(super) pages: usize,
    /// Records that cannot be read, and why.
    pub(super) broken: Vec<String>,
}

/// What is remembered of closed runs.
#[derive(Debug, Default)]
pub(super) struct Index(Mutex<HashMap<RunId, Row>>);

impl Index {
    /// The rows of all runs, newest first, and what cannot be read.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn rows(&self, store: &Store, now_ms: i64) -> Result<(Vec<Row>, Vec<String>), Failure> {
        let mut known = self.0.lock().await;
        let ids = runs::ids(store).await?;
        let missing: Vec<RunId> = ids
            .iter()
            .filter(|id| !known.contains_key(*id))
            .cloned()
            .collect();
        let read = |id: RunId| async move { (row(store, &id, now_ms).await, id) };
        let read: Vec<_> = futures::stream::iter(missing)
            .map(read)
            .buffer_unordered(READS)
            .collect()
            .await;
        let (mut rows, mut broken) = (Vec::new(), Vec::new());
        for (result, id) in read {
            match result {
                Ok(row) if row.closed && known.len() < KNOWN_MAX => {
                    known.insert(id, row);
                }
                Ok(row) => rows.push(row),
                Err(failure) => broken.push(format!("{id}: {}", failure.text())),
            }
        }
        rows.extend(ids.iter().filter_map(|id| known.get(id)).cloned());
        rows.sort_by(|a, b| b.created_ms.cmp(&a.created_ms).then_with(|| a.run.cmp(&b.run)));
        Ok((rows, broken))
    }
}

async fn row(store: &Store, id: &RunId, now_ms: i64) -> Result<Row, Failure> {
    let record = runs::record(store, id).await?;
    let paid = record.cloud != "local" && record.is_closed();
    let receipt = if paid {
        runs::receipt(store, id).await?
    } else {
        None
    };
    Ok(of_record(
        &record,
        receipt.map_or(0, |receipt| receipt.cost_micros),
        now_ms,
    ))
}

fn of_record(record: &RunRecord, cost_micros: u64, now_ms: i64) -> Row {
    let closed = record.is_closed();
    let phase = record
        .phases
        .last()
        .map_or(PhaseName::Accepted, |mark| mark.phase);
    let end = record
        .phases
        .last()
        .filter(|_| closed)
        .map_or(now_ms, |mark| mark.began.as_millisecond());
    let outcome = record.ended.as_ref().map(|ended| ended.outcome);
    let created_ms = record.created.as_millisecond();
    Row {
        run: record.run.to_string(),
        job: record.job.name.to_string(),
        owner: record.owner.clone(),
        commit: record.commit.clone(),
        state: State::of(outcome, phase),
        class: shown::class(outcome, closed),
        created_ms,
        secs: crate::cli::view::units::between_ms(created_ms, end),
        closed,
        cost_micros,
    }
}

/// The page of the list that is wanted.
pub(super) fn page(rows: Vec<Row>, broken: Vec<String>, wanted: &Wanted) -> Page {
    let all = rows.len();
    let text = wanted.text.to_lowercase();
    let has = |part: &String| part.to_lowercase().contains(&text);
    let fits = |row: &Row| {
        let named = [&row.run, &row.job, &row.owner, &row.commit].into_iter().any(has);
        named && (wanted.class.is_empty() || wanted.class == row.class)
    };
    let found: Vec<Row> = rows.into_iter().filter(fits).collect();
    let count = found.len();
    let pages = count.div_ceil(PAGE).max(1);
    let page = wanted.page.min(pages - 1);
    Page {
        rows: found.into_iter().skip(page * PAGE).take(PAGE).collect(),
        found: count,
        all,
        page,
        pages,
        broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Outcome;

    fn rows() -> Vec<Row> {
        let row = |n: i64| Row {
            run: format!("job{}-abcdefgh", n % 3),
            job: format!("Job{}", n % 3),
            owner: "ann".into(),
            commit: format!("{n:040x}"),
            state: State::of(Some(Outcome::Succeeded), PhaseName::Closed),
            class: if n % 2 == 0 { "succeeded" } else { "failed" },
            created_ms: n,
            secs: 1.0,
            closed: true,
            cost_micros: 0,
        };
        (0..120).map(row).collect()
    }

    #[test]
    fn a_list_is_paged_and_filtered() {
        let all = page(rows(), Vec::new(), &Wanted::default());
        assert_eq!(
            (all.rows.len(), all.found, all.pages, all.page),
            (PAGE, 120, 3, 0)
        );
        let wanted = Wanted {
            text: "JOB1".into(),
            class: "failed".into(),
            page: 99,
        };
        let some = page(rows(), Vec::new(), &wanted);
        assert_eq!((some.found, some.page, some.pages), (20, 0, 1));
        assert!(
            some.rows
                .iter()
                .all(|row| row.job == "Job1" && row.class == "failed")
        );
        let none = page(
            rows(),
            Vec::new(),
            &Wanted {
                text: "zzz".into(),
                ..Wanted::default()
            },
        );
        assert_eq!((none.rows.len(), none.pages), (0, 1));
    }
}
