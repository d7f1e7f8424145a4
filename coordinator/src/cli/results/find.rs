//! Finds the files of a run: what it committed, or what its nodes saved by themselves.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use mayfly_kit::layout;
use mayfly_kit::records::{Commit, FileEntry, Manifest};
use mayfly_kit::store::Store;
use mayfly_proto::{Attempt, RunId};

use crate::cli::failure::Failure;
use crate::cli::view::units;
use crate::cli::{plain, runs};

/// Most attempts and nodes of a run that are looked at.
const ATTEMPTS_MAX: usize = 1_000;
const NODES_MAX: usize = 10_000;

/// Files of a run: of its commit, or with `salvaged` those of a run that has none.
///
/// # Errors
/// There are none, they are not what was asked for, or the store cannot be read.
pub(super) async fn find(store: &Store, id: &RunId, wants_salvaged: bool) -> Result<Found, Failure> {
    match (committed(store, id).await?, wants_salvaged) {
        (Some(_), true) => {
            let why = "all that it has is in its commit; say it without --salvaged";
            Err(Failure::usage(format!("{id} has committed: {why}")))
        }
        (Some(found), false) => Ok(found),
        (None, wanted) => salvaged(store, id, wanted).await,
    }
}

/// Files of one attempt.
pub(super) struct Found {
    pub(super) attempt: Attempt,
    pub(super) files: Vec<FileEntry>,
}

async fn committed(store: &Store, id: &RunId) -> Result<Option<Found>, Failure> {
    let Some(commit) = runs::read::<Commit>(store, &layout::commit(id)).await? else {
        return Ok(None);
    };
    if commit.run != *id {
        return Err(Failure::infra(format!(
            "the commit of {id} belongs to {}: refused",
            commit.run
        )));
    }
    Ok(Some(Found {
        attempt: commit.attempt,
        files: commit.files,
    }))
}

/// What nodes that nobody answered any more saved by themselves: the files of the newest attempt that has any. Nobody
/// has compared the nodes' files, so of two of one name that differ neither is right, and both are told.
async fn salvaged(store: &Store, id: &RunId, wanted: bool) -> Result<Found, Failure> {
    let nothing = || {
        let why = format!("`coordinator status {id}` says why");
        Failure::usage(format!("{id} has committed nothing: {why}"))
    };
    let newest = attempts(store, id).await?;
    let mut found = None;
    for attempt in newest {
        let files = saved_in(store, id, attempt).await?;
        if !files.is_empty() {
            found = Some(Found { attempt, files });
            break;
        }
    }
    let found = found.ok_or_else(nothing)?;
    if wanted {
        return Ok(found);
    }
    let files = units::count(found.files.len() as u64, "file");
    Err(Failure::usage(format!(
        "{id} has committed nothing, but its nodes saved {files} before they went: `coordinator results {id} --salvaged`"
    )))
}

/// The attempts that have anything in the store, newest first.
async fn attempts(store: &Store, id: &RunId) -> Result<Vec<Attempt>, Failure> {
    let folders = store.list_folders(&layout::run(id), ATTEMPTS_MAX).await?;
    let number = |name: &String| name.strip_prefix("attempt-")?.parse::<u32>().ok();
    let mut all: Vec<Attempt> = folders
        .iter()
        .filter_map(number)
        .filter_map(|n| Attempt::try_from(n).ok())
        .collect();
    all.sort_by_key(|attempt| Reverse(attempt.number()));
    Ok(all)
}

async fn saved_in(store: &Store, id: &RunId, attempt: Attempt) -> Result<Vec<FileEntry>, Failure> {
    let mut files = BTreeMap::new();
    for entry in store.list_all(&layout::manifests(id, attempt), NODES_MAX).await? {
        let Some(manifest) = runs::read::<Manifest>(store, &entry.key).await? else {
            continue;
        };
        for file in manifest.files {
            if let Some(other) = files.insert(file.path.clone(), file.clone())
                && other != file
            {
                let name = plain::line(&file.path);
                return Err(Failure::infra(format!(
                    "two nodes of {id} saved different files named {name}: look below {}",
                    store.s3_url(&layout::attempt(id, attempt))
                )));
            }
        }
    }
    Ok(files.into_values().collect())
}
