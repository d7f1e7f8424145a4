//! Downloading files of the store into a folder: concurrently, checked, and never anywhere else.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use futures::StreamExt as _;
use mayfly_kit::store::Store;
use sha2::{Digest as _, Sha256};

use super::failure::Failure;
use super::plain;

/// Files under way at the same time.
const AT_ONCE: usize = 8;

/// One file to download.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Its key.
    pub(crate) key: String,
    /// Path below the target folder, as the store has it: not to be trusted.
    pub(crate) path: String,
    /// In bytes.
    pub(crate) size: u64,
    /// SHA-256 in lower-case hex, when known.
    pub(crate) sha256: Option<String>,
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Files written.
    pub(crate) written: u64,
    /// Bytes written.
    pub(crate) bytes: u64,
    /// Files that were there already, with the same content.
    pub(crate) same: u64,
}

/// Downloads all files. Those that are there with the same content stay; when one differs, nothing is downloaded.
///
/// # Errors
/// A path leads out of the folder, a file is in the way, or a download is not what it should be.
pub(crate) async fn all(store: &Store, items: Vec<Item>, to: &Path) -> Result<Done, Failure> {
    let mut wanted = Vec::new();
    let mut done = Done::default();
    for item in items {
        let target = to.join(inside(&item.path)?);
        no_links(to, &target)?;
        match std::fs::symlink_metadata(&target) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => wanted.push((item, target)),
            Err(e) => return Err(file_error(&target, &e)),
            Ok(meta) if meta.is_file() && is_same(&item, &target, meta.len())? => done.same += 1,
            Ok(_) => {
                let target = plain::line(&target.display().to_string());
                return Err(Failure::usage(format!(
                    "{target} is there and differs: move it away or use another folder"
                )));
            }
        }
    }
    let fetches = wanted.into_iter().map(|(item, target)| one(store, item, target));
    let mut running = futures::stream::iter(fetches).buffer_unordered(AT_ONCE);
    while let Some(bytes) = running.next().await {
        done.bytes += bytes?;
        done.written += 1;
    }
    Ok(done)
}

async fn one(store: &Store, item: Item, target: PathBuf) -> Result<u64, Failure> {
    let parent = target.parent().unwrap_or(Path::new("."));
    tokio::fs::create_dir_all(parent)
        .await
        .map_err(|e| file_error(parent, &e))?;
    let draft = tempfile::Builder::new()
        .prefix(".mayfly-")
        .tempfile_in(parent)
        .map_err(|e| file_error(parent, &e))?;
    let found = store.get_to_file(&item.key, draft.path()).await?;
    if found.is_none() {
        return Err(Failure::infra(format!(
            "{} is gone from the store",
            plain::line(&item.key)
        )));
    }
    let (path, hash) = (draft.path().to_owned(), item.sha256.clone());
    let check = tokio::task::spawn_blocking(move || {
        digest(&path).map(|(size, hex)| (size, hash.is_none_or(|h| h == hex)))
    });
    let checked = check
        .await
        .map_err(|e| Failure::infra(format!("cannot check a download: {e}")))?;
    let (size, right) = checked.map_err(|e| file_error(&target, &e))?;
    if !right || size != item.size {
        let key = plain::line(&item.key);
        return Err(Failure::infra(format!(
            "{key} in the store is not what the run committed: size or SHA-256 differ"
        )));
    }
    draft
        .persist_noclobber(&target)
        .map_err(|e| file_error(&target, &e.error))?;
    Ok(size)
}

fn is_same(item: &Item, path: &Path, size: u64) -> Result<bool, Failure> {
    if size != item.size {
        return Ok(false);
    }
    let Some(wanted) = &item.sha256 else {
        return Ok(false);
    };
    let (_, hex) = digest(path).map_err(|e| file_error(path, &e))?;
    Ok(*wanted == hex)
}

/// Size and SHA-256 of a file.
fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let n = file.read(&mut buffer)?;
        let Some(read) = buffer.get(..n).filter(|read| !read.is_empty()) else {
            break;
        };
        hash.update(read);
        size += n as u64;
    }
    Ok((size, data_encoding::HEXLOWER.encode(&hash.finalize())))
}

/// A path of the store as a path below a folder.
fn inside(path: &str) -> Result<PathBuf, Failure> {
    let relative = Path::new(path);
    let plain_parts = relative.components().all(|c| matches!(c, Component::Normal(_)));
    let as_written = relative
        .components()
        .map(|c| c.as_os_str().len() + 1)
        .sum::<usize>()
        == path.len() + 1;
    if path.is_empty() || path.contains('\0') || !plain_parts || !as_written {
        let shown = plain::line(path);
        return Err(Failure::infra(format!(
            "the store names a file {shown:?}, which would leave the folder: refused"
        )));
    }
    Ok(relative.to_owned())
}

/// A link inside the folder could lead out of it.
fn no_links(to: &Path, target: &Path) -> Result<(), Failure> {
    let inner = target.ancestors().skip(1).take_while(|folder| *folder != to);
    for folder in inner {
        if folder.is_symlink() {
            let shown = folder.display();
            return Err(Failure::usage(format!(
                "{shown} is a symbolic link: nothing is written through it"
            )));
        }
    }
    Ok(())
}

fn file_error(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_folder() {
        for bad in [
            "",
            "../x",
            "a/../../x",
            "/etc/passwd",
            "a//b",
            "./a",
            "a/",
            "a/./b",
            "a\0b",
            "..",
        ] {
            assert!(inside(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "a/b c/ü.csv", "..a", "a\\b"] {
            assert_eq!(inside(good).unwrap(), Path::new(good));
        }
    }

    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/tmp", dir.path().join("out")).unwrap();
        assert!(no_links(dir.path(), &dir.path().join("out/x")).is_err());
        assert!(no_links(dir.path(), &dir.path().join("in/x")).is_ok());
    }
}
