//! `results`: the files a run committed, or what its nodes saved where nobody did.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mayfly_kit::layout;
use mayfly_kit::records::{Commit, FileEntry, Manifest};
use mayfly_kit::store::Store;
use mayfly_proto::{Attempt, RunId};
use serde_json::json;

use super::args::RunArg;
use super::download::{self, Item};
use super::failure::Failure;
use super::view::units;
use super::{home, out, plain, runs};
use crate::record::SCHEMA;

/// Most attempts and nodes of a run that are looked at.
const ATTEMPTS_MAX: usize = 1_000;
const NODES_MAX: usize = 10_000;

/// Flags of `results`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  coordinator results last --to out")]
pub(crate) struct Flags {
    #[command(flatten)]
    run: RunArg,
    /// Download into this folder; files that are there and differ are never overwritten
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// What nodes saved by themselves of a run that has committed nothing: its coordinator was lost. It may be incomplete
    #[arg(long)]
    salvaged: bool,
    /// One JSON object: {schema, run, files: [{path, size, sha256}]}, with --to also {written, same, bytes}
    #[arg(long)]
    json: bool,
}

/// Lists or downloads.
///
/// # Errors
/// There is no such run, it committed nothing, or a file is not what was committed.
pub(crate) async fn run(flags: &Flags, home: &Path) -> Result<u8, Failure> {
    let open = runs::open(home).await?;
    let id = runs::find(&open.store, &flags.run.run).await?;
    let found = match (committed(&open.store, &id).await?, flags.salvaged) {
        (Some(_), true) => {
            let why = "all that it has is in its commit; say it without --salvaged";
            return Err(Failure::usage(format!("{id} has committed: {why}")));
        }
        (Some(found), false) => found,
        (None, wanted) => salvaged(&open.store, &id, wanted).await?,
    };
    let Some(to) = &flags.to else {
        return list(&id, &found, flags.json);
    };
    let prefix = layout::results(&id, found.attempt);
    let items = found.files.iter().map(|file| Item {
        key: format!("{prefix}{}", file.path),
        path: file.path.clone(),
        size: file.size,
        sha256: Some(file.sha256.clone()),
    });
    let to = home::current()?.join(to);
    let done = download::all(&open.store, items.collect(), &to).await?;
    if flags.json {
        let files = &found.files;
        out::json(&json!({
            "schema": SCHEMA, "run": id, "files": files, "written": done.written, "same": done.same, "bytes": done.bytes,
        }))?;
    } else {
        let same = if done.same > 0 {
            format!(", {} were there already", done.same)
        } else {
            String::new()
        };
        let files = units::count(done.written, "file");
        out::line(&format!(
            "{files}, {} into {}{same}",
            units::bytes(done.bytes),
            to.display()
        ))?;
    }
    Ok(0)
}

/// Files of one attempt.
struct Found {
    attempt: Attempt,
    files: Vec<FileEntry>,
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

fn list(run: &RunId, found: &Found, json: bool) -> Result<u8, Failure> {
    if json {
        out::json(&json!({ "schema": SCHEMA, "run": run, "files": found.files }))?;
        return Ok(0);
    }
    for file in &found.files {
        out::line(&format!(
            "{:>12}  {}",
            units::bytes(file.size),
            plain::line(&file.path)
        ))?;
    }
    let (files, bytes) = (found.files.len() as u64, found.files.iter().map(|f| f.size).sum());
    out::note(&format!(
        "{}, {}",
        units::count(files, "file"),
        units::bytes(bytes)
    ));
    Ok(0)
}
