//! `results`: the files a run committed, or what its nodes saved where nobody did.

mod find;

use std::path::{Path, PathBuf};

use mayfly_kit::layout;
use mayfly_proto::RunId;
use serde_json::json;

use super::args::RunArg;
use super::download::{self, Item};
use super::failure::Failure;
use super::view::units;
use super::{home, out, plain, runs};
use crate::record::SCHEMA;
use find::Found;

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
    let found = find::find(&open.store, &id, flags.salvaged).await?;
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
