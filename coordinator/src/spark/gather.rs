//! Fetches the event logs of an attempt from the store.

use std::fs::File;
use std::path::Path;

use mayfly_kit::layout;
use mayfly_kit::store::{Store, StoreError};
use mayfly_proto::{Attempt, RunId};

use super::Fold;
use super::read::{self, Coding};
use crate::record::Summary;

/// Logs of one attempt that are read: a job may start one application after another, and each may roll its log.
const LOGS_MAX: usize = 64;
/// Largest log that is fetched, in bytes as it is stored.
const LOG_MAX: u64 = 512 << 20;

/// Spark's own numbers of one attempt; `None` when no event log of it is in the store.
///
/// # Errors
/// The store does not answer.
pub async fn summary(store: &Store, run: &RunId, attempt: Attempt) -> Result<Option<Summary>, StoreError> {
    let prefix = layout::events(run, attempt);
    let mut logs = store.list_all(&prefix, LOGS_MAX).await?;
    logs.sort_by_cached_key(|log| order(&log.key));
    let mut fold = Fold::default();
    let mut any = false;
    for log in logs {
        let Some(coding) = Coding::of(&log.key) else {
            fold.missed(0, true);
            continue;
        };
        if log.size == 0 || log.key.contains("/appstatus_") {
            continue;
        }
        if log.size > LOG_MAX {
            fold.missed(0, true);
            continue;
        }
        any = true;
        fold = one(store, &log.key, coding, fold).await?;
    }
    Ok(any.then(|| fold.finish()))
}

/// The parts of a rolled log (`eventlog_v2_app/events_2_app.zstd`) in the order of their numbers.
fn order(key: &str) -> (String, u64, String) {
    let (folder, file) = key.rsplit_once('/').unwrap_or(("", key));
    let number = file
        .strip_prefix("events_")
        .and_then(|rest| rest.split('_').next()?.parse().ok());
    (folder.to_owned(), number.unwrap_or(0), file.to_owned())
}

/// Through a file: a log may be larger than what a coordinator should hold in memory.
async fn one(store: &Store, key: &str, coding: Coding, fold: Fold) -> Result<Fold, StoreError> {
    let Ok(folder) = tempfile::Builder::new().prefix("mayfly-").tempdir() else {
        return Ok(missed(fold));
    };
    let path = folder.path().join("log");
    if store.get_to_file(key, &path).await?.is_none() {
        return Ok(fold);
    }
    let read = tokio::task::spawn_blocking(move || {
        let fold = read(&path, coding, fold);
        drop(folder);
        fold
    });
    Ok(read.await.unwrap_or_else(|_| missed(Fold::default())))
}

fn missed(mut fold: Fold) -> Fold {
    fold.missed(0, true);
    fold
}

fn read(path: &Path, coding: Coding, mut fold: Fold) -> Fold {
    let Ok(file) = File::open(path) else {
        return missed(fold);
    };
    let said = read::lines(file, coding, |line| fold.line(line));
    fold.missed(said.skipped, said.cut);
    fold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_rolled_log_come_in_the_order_of_their_numbers() {
        let mut keys = ["e/v2/events_10_a", "e/v2/events_2_a", "e/v2/events_1_a", "e/app"];
        keys.sort_by_key(|key| order(key));
        assert_eq!(
            keys,
            ["e/app", "e/v2/events_1_a", "e/v2/events_2_a", "e/v2/events_10_a"]
        );
    }
}
