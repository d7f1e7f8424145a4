//! Runs as the store knows them.

use std::path::Path;

use futures::{StreamExt as _, TryStreamExt as _};
use mayfly_kit::layout;
use mayfly_kit::store::Store;
use mayfly_proto::RunId;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::failure::Failure;
use super::{plain, remote, shelf, storage};
use crate::embedded::{self, OpenStore};
use crate::record::{Receipt, RunRecord, SCHEMA};

/// Most runs looked at.
const RUNS_MAX: usize = 10_000;
/// Tasks that read all records: a thousand of them are work for more than one core.
const READERS: usize = 4;
/// Records that each of them reads at the same time.
const READS: usize = 4;
/// Largest record, in bytes.
const RECORD_MAX: u64 = 4 << 20;
/// Matches named when a prefix is not unique.
const NAMED: usize = 5;

/// Whether there is a store to read: one that the environment names, that of its coordinator, or that of the home.
///
/// # Errors
/// The environment names none that can be used.
pub(crate) fn is_there(home: &Path) -> Result<bool, Failure> {
    Ok(remote::is_in_environment()? || is_here(home)?)
}

/// The same where no coordinator is asked.
///
/// # Errors
/// As [`is_there`].
pub(crate) fn is_here(home: &Path) -> Result<bool, Failure> {
    Ok(storage::is_named()? || home.join("store").is_dir())
}

/// Opens the store that the environment names, else that of the coordinator which it names, else that of a home, for
/// reading; nothing is made where there is nothing.
///
/// # Errors
/// There is no store there, or it cannot be opened.
pub(crate) async fn open(home: &Path) -> Result<OpenStore, Failure> {
    if !storage::is_named()?
        && let Some(client) = remote::of_environment().await?
    {
        return shelf::open(client).await;
    }
    open_here(home).await
}

/// The same where no coordinator is asked.
///
/// # Errors
/// As [`open`].
pub(crate) async fn open_here(home: &Path) -> Result<OpenStore, Failure> {
    if let Some(config) = storage::named().await? {
        return Ok(OpenStore::elsewhere(config).await?);
    }
    if !home.join("store").is_dir() {
        let why = "there are no runs here; `coordinator launch` makes one, --home names another folder";
        return Err(Failure::usage(format!(
            "{} does not exist: {why}",
            home.join("store").display()
        )));
    }
    Ok(embedded::open_store(home).await?)
}

/// The ids of all runs.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn ids(store: &Store) -> Result<Vec<RunId>, Failure> {
    let folders = store.list_folders(layout::RUNS, RUNS_MAX).await?;
    // Folders of other names are nobody's runs.
    Ok(folders.iter().filter_map(|name| name.parse().ok()).collect())
}

/// The records of all runs, newest first. A record that cannot be read is named instead.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn records(store: &Store) -> Result<(Vec<RunRecord>, Vec<String>), Failure> {
    let ids = ids(store).await?;
    let mut readers = JoinSet::new();
    for share in ids.chunks(ids.len().div_ceil(READERS).max(1)) {
        readers.spawn(read_share(store.clone(), share.to_vec()));
    }
    let (mut records, mut broken) = (Vec::new(), Vec::new());
    while let Some(share) = readers.join_next().await {
        for (id, result) in share.map_err(|e| Failure::chain("read the records", &e))? {
            match result {
                Ok(record) => records.push(record),
                Err(failure) => broken.push(format!("{id}: {}", failure.text())),
            }
        }
    }
    broken.sort();
    records.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.run.cmp(&b.run)));
    Ok((records, broken))
}

async fn read_share(store: Store, ids: Vec<RunId>) -> Vec<(RunId, Result<RunRecord, Failure>)> {
    let store = &store;
    let read = |id: RunId| async move {
        let result = record(store, &id).await;
        (id, result)
    };
    let reads = futures::stream::iter(ids).map(read).buffer_unordered(READS);
    reads.collect().await
}

/// The run that a user means: an id, the beginning of one, or `last`.
///
/// # Errors
/// No run or several runs are meant.
pub(crate) async fn find(store: &Store, named: &str) -> Result<RunId, Failure> {
    if named == "last" {
        let (records, _) = records(store).await?;
        let first = records.into_iter().next();
        return first
            .map(|r| r.run)
            .ok_or_else(|| Failure::usage("there is no run yet"));
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if named.is_empty() || named.len() > 60 || named.starts_with('-') || !named.chars().all(plain) {
        let shown: String = named.chars().take(60).collect();
        return Err(Failure::usage(format!(
            "{shown:?} is no run: give its id, the beginning of it, or `last`"
        )));
    }
    choose(named, &ids(store).await?)
}

fn choose(named: &str, ids: &[RunId]) -> Result<RunId, Failure> {
    if let Some(id) = ids.iter().find(|id| id.as_str() == named) {
        return Ok(id.clone());
    }
    let matching: Vec<&RunId> = ids.iter().filter(|id| id.as_str().starts_with(named)).collect();
    match matching.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Failure::usage(format!(
            "there is no run {named:?}: `coordinator list` shows what there is"
        ))),
        several => {
            let some: Vec<&str> = several.iter().take(NAMED).map(|id| id.as_str()).collect();
            let count = several.len();
            Err(Failure::usage(format!(
                "{named:?} begins {count} runs: {}; give more of it",
                some.join(", ")
            )))
        }
    }
}

/// The record of a run.
///
/// # Errors
/// There is none, or it is not one.
pub(crate) async fn record(store: &Store, run: &RunId) -> Result<RunRecord, Failure> {
    let key = layout::record(run);
    read(store, &key)
        .await?
        .ok_or_else(|| Failure::usage(format!("run {run} has no record ({key} is missing)")))
}

/// The receipt of a run; `None` while it is not closed.
///
/// # Errors
/// It is there but is not one.
pub(crate) async fn receipt(store: &Store, run: &RunId) -> Result<Option<Receipt>, Failure> {
    read(store, &layout::receipt(run)).await
}

/// Reads a JSON object of a shape that this version knows.
///
/// # Errors
/// It is newer, or not of that shape.
pub(crate) async fn read<T: DeserializeOwned>(store: &Store, key: &str) -> Result<Option<T>, Failure> {
    let Some(object) = store.get_capped(key, RECORD_MAX).await? else {
        return Ok(None);
    };
    parse(key, &object.bytes).map(Some)
}

/// See [`read`].
///
/// # Errors
/// It is newer, or not of that shape.
pub(crate) fn parse<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Failure> {
    #[derive(serde::Deserialize)]
    struct Head {
        schema: u32,
    }
    let broken = |e: serde_json::Error| {
        Failure::infra(format!("{key} cannot be read: {}", plain::line(&e.to_string())))
    };
    let head: Head = serde_json::from_slice(bytes).map_err(broken)?;
    if head.schema > SCHEMA {
        let newer = format!(
            "{key} has schema {}, this program knows {SCHEMA}: use a newer one",
            head.schema
        );
        return Err(Failure::infra(newer));
    }
    serde_json::from_slice(bytes).map_err(broken)
}

/// Every key below a prefix, with sizes.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn keys(store: &Store, prefix: &str) -> Result<Vec<(String, u64)>, Failure> {
    let entries = store.list(prefix).map_ok(|entry| (entry.key, entry.size));
    Ok(entries.try_collect().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_enough_when_it_is_unique() {
        let ids: Vec<RunId> = ["iris-aaaaaaaa", "iris-aaaabbbb", "flights-abcdefgh"]
            .map(|s| s.parse().unwrap())
            .to_vec();
        assert_eq!(choose("fl", &ids).unwrap().as_str(), "flights-abcdefgh");
        assert_eq!(choose("iris-aaaaaaaa", &ids).unwrap().as_str(), "iris-aaaaaaaa");
        assert!(
            choose("iris", &ids)
                .unwrap_err()
                .message
                .contains("begins 2 runs")
        );
        assert!(choose("x", &ids).unwrap_err().message.contains("no run"));
    }

    #[test]
    fn a_record_of_another_shape_is_named() {
        for (bytes, says) in [
            (&b""[..], "cannot be read"),
            (b"{}", "schema"),
            (b"{\"schema\":99}", "newer"),
            (b"{\"schema\":1}", "missing field"),
            (b"[1]", "cannot be read"),
        ] {
            let failure = parse::<Receipt>("runs/x/receipt.json", bytes).unwrap_err();
            assert!(
                failure.message.contains(says) && failure.message.contains("receipt.json"),
                "{}",
                failure.message
            );
        }
    }
}
