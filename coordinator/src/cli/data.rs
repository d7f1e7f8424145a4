//! `data`: files that people put into the store for jobs to read.

use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use mayfly_kit::layout::DATA;
use serde_json::json;

use super::download::{self, Item};
use super::failure::Failure;
use super::view::units;
use super::{home, out, plain, runs};
use crate::embedded;
use crate::record::SCHEMA;
use crate::upload;

/// Longest name below `data/`, in bytes: S3 takes keys of 1024.
const NAME_MAX: usize = 1000;
/// Uploads under way at the same time.
const AT_ONCE: usize = 8;

/// Flags of `data`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  coordinator data put flights.parquet flights/2013.parquet\n\n\
A job reads it as s3://<bucket>/data/flights/2013.parquet; `put` prints the address."
)]
pub(crate) struct Flags {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Put a file or a folder into the store
    Put {
        /// File or folder on this machine
        src: PathBuf,
        /// Name in the store; with a `/` at its end, the folder to put it into
        name: String,
        /// One JSON object: {schema, files, bytes, url}
        #[arg(long)]
        json: bool,
    },
    /// List what is there
    Ls {
        /// Beginning of the names
        #[arg(default_value = "")]
        prefix: String,
        /// One JSON object: {schema, files: [{name, size}]}
        #[arg(long)]
        json: bool,
    },
    /// Download a file, or every file below a name that ends with `/`
    Get {
        /// Name in the store
        name: String,
        /// File or folder on this machine
        dest: PathBuf,
        /// One JSON object: {schema, files, bytes}
        #[arg(long)]
        json: bool,
    },
}

/// Does it.
///
/// # Errors
/// A file cannot be read or written, or the store does not take it.
pub(crate) async fn run(flags: &Flags, home: &Path) -> Result<u8, Failure> {
    match &flags.verb {
        Verb::Put { src, name, json } => put(home, src, name, *json).await,
        Verb::Ls { prefix, json } => ls(home, prefix, *json).await,
        Verb::Get { name, dest, json } => get(home, name, dest, *json).await,
    }
}

/// A name below `data/`.
fn checked(name: &str) -> Result<&str, Failure> {
    let parts = name.strip_suffix('/').unwrap_or(name).split('/');
    let bad =
        |part: &str| part.is_empty() || part == "." || part == ".." || part.chars().any(char::is_control);
    if name.len() > NAME_MAX || parts.into_iter().any(bad) {
        let shown: String = name.chars().take(60).collect();
        return Err(Failure::usage(format!(
            "{shown:?} is no name for data: use parts with `/` between, such as flights/2013.csv"
        )));
    }
    Ok(name)
}

async fn put(home: &Path, src: &Path, name: &str, json: bool) -> Result<u8, Failure> {
    let name = checked(name)?;
    let src = home::current()?.join(src);
    let files = sources(&src, name)?;
    let open = match runs::is_there(home)? {
        true => runs::open(home).await?,
        false => embedded::open_store(home).await?,
    };
    let store = &open.store;
    let uploads = files
        .into_iter()
        .map(|(file, name)| async move { upload::file(store, &file, &format!("{DATA}{name}")).await });
    let mut running = futures::stream::iter(uploads).buffer_unordered(AT_ONCE);
    let (mut count, mut bytes) = (0, 0);
    while let Some(size) = running.next().await {
        bytes += size?;
        count += 1;
    }
    let url = store.s3_url(&format!("{DATA}{name}"));
    if json {
        out::json(&json!({ "schema": SCHEMA, "files": count, "bytes": bytes, "url": url }))?;
    } else {
        out::line(&format!(
            "{}, {} at {url}",
            units::count(count, "file"),
            units::bytes(bytes)
        ))?;
    }
    Ok(0)
}

/// The files to put and their names. Links are not followed: what they lead to may be anything.
pub(crate) fn sources(src: &Path, name: &str) -> Result<Vec<(PathBuf, String)>, Failure> {
    let unreadable =
        |path: &Path, e: &std::io::Error| Failure::usage(format!("cannot read {}: {e}", path.display()));
    let meta = std::fs::metadata(src).map_err(|e| unreadable(src, &e))?;
    if meta.is_file() {
        let file = src.file_name().unwrap_or_default().to_string_lossy();
        let name = if name.ends_with('/') {
            format!("{name}{file}")
        } else {
            name.to_owned()
        };
        return Ok(vec![(src.to_owned(), name)]);
    }
    let mut found = Vec::new();
    let mut folders = vec![(src.to_owned(), name.trim_end_matches('/').to_owned())];
    while let Some((folder, name)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|e| unreadable(&folder, &e))? {
            let entry = entry.map_err(|e| unreadable(&folder, &e))?;
            let path = entry.path();
            let Some(file) = entry.file_name().to_str().map(str::to_owned) else {
                return Err(Failure::usage(format!(
                    "{} has a name that is not UTF-8",
                    path.display()
                )));
            };
            let name = format!("{name}/{file}");
            let kind = entry.file_type().map_err(|e| unreadable(&path, &e))?;
            if kind.is_dir() {
                folders.push((path, name));
            } else if kind.is_file() {
                found.push((path, checked(&name)?.to_owned()));
            } else {
                out::note(&format!(
                    "left out, since it is no plain file: {}",
                    plain::line(&path.display().to_string())
                ));
            }
        }
    }
    if found.is_empty() {
        return Err(Failure::usage(format!("{} holds no file", src.display())));
    }
    found.sort();
    Ok(found)
}

async fn ls(home: &Path, prefix: &str, json: bool) -> Result<u8, Failure> {
    let open = runs::open(home).await?;
    let keys = runs::keys(&open.store, &format!("{DATA}{prefix}")).await?;
    let files = keys
        .iter()
        .map(|(key, size)| (key.strip_prefix(DATA).unwrap_or(key), *size));
    if json {
        let files: Vec<_> = files
            .map(|(name, size)| json!({ "name": name, "size": size }))
            .collect();
        out::json(&json!({ "schema": SCHEMA, "files": files }))?;
        return Ok(0);
    }
    for (name, size) in files {
        out::line(&format!("{:>12}  {}", units::bytes(size), plain::line(name)))?;
    }
    Ok(0)
}

async fn get(home: &Path, name: &str, dest: &Path, json: bool) -> Result<u8, Failure> {
    let key = format!("{DATA}{}", checked(name)?);
    let open = runs::open(home).await?;
    let dest = home::current()?.join(dest);
    let item = |key: &str, path: String, size| Item {
        key: key.to_owned(),
        path,
        size,
        sha256: None,
    };
    let (items, folder) = if name.ends_with('/') {
        let keys = runs::keys(&open.store, &key).await?;
        let path = |k: &str| k.strip_prefix(&key).unwrap_or(k).to_owned();
        (
            keys.iter()
                .map(|(k, size)| item(k, path(k), *size))
                .collect::<Vec<_>>(),
            dest,
        )
    } else {
        let file = name.rsplit('/').next().unwrap_or(name).to_owned();
        let (folder, file) = place(&dest, file);
        let size = open.store.size(&key).await?;
        (
            size.map(|size| item(&key, file, size)).into_iter().collect(),
            folder,
        )
    };
    if items.is_empty() {
        return Err(Failure::usage(format!(
            "there is no data {name:?}: `coordinator data ls` lists what there is"
        )));
    }
    let done = download::all(&open.store, items, &folder).await?;
    if json {
        out::json(&json!({ "schema": SCHEMA, "files": done.written, "bytes": done.bytes }))?;
    } else {
        out::line(&format!(
            "{}, {}",
            units::count(done.written, "file"),
            units::bytes(done.bytes)
        ))?;
    }
    Ok(0)
}

/// Into a folder that is there, or as the file that is named.
fn place(dest: &Path, file: String) -> (PathBuf, String) {
    match (
        dest.is_dir(),
        dest.parent(),
        dest.file_name().and_then(|n| n.to_str()),
    ) {
        (false, Some(parent), Some(name)) => (parent.to_owned(), name.to_owned()),
        _ => (dest.to_owned(), file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_names_are_refused() {
        for bad in ["", "/a", "a//b", "../a", "a/..", ".", "a\nb", &"x".repeat(2_000)] {
            assert!(checked(bad).is_err(), "{bad:?}");
        }
        assert!(checked("flights/").is_ok() && checked("a/b c.csv").is_ok());
    }

    #[test]
    fn a_folder_is_put_without_its_links() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/a.csv"), "1").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let names: Vec<String> = sources(dir.path(), "flights/")
            .unwrap()
            .into_iter()
            .map(|(_, n)| n)
            .collect();
        assert_eq!(names, ["flights/sub/a.csv"]);
    }
}
