//! Brings the job's inputs to this node: every object of a prefix as a file, several at one time.

use std::convert::Infallible;
use std::path::{Component, Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use mayfly_kit::error::chain;
use mayfly_kit::store::{Entry, Store, StoreConfig, StoreError};
use mayfly_proto::v1::Input;
use tokio::time::Instant;

use super::Common;
use crate::environment;
use crate::prepare::PrepareError;
use crate::toolchain;

/// Objects under way at the same time.
const AT_ONCE: usize = 16;
/// Between two lines that say how far it is.
const TELL: Duration = Duration::from_secs(5);

/// For another node of this machine that brings the same.
const WAIT_MAX: Duration = Duration::from_secs(6 * 60 * 60);

/// One object and what becomes of it.
struct Piece {
    key: String,
    size: u64,
    file: PathBuf,
}

/// All inputs. Files of an earlier attempt that are whole stay.
pub(super) async fn stage(common: &Common) -> Result<(), PrepareError> {
    common.staged.begin();
    let counted = async {
        count(common).await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        brought = bring(common) => brought?,
        never = counted => match never {},
    }
    common.staged.end();
    Ok(())
}

/// How much there is to bring, for people: nobody waits for it, and what is wrong with an input is found by who brings it.
async fn count(common: &Common) {
    for input in &common.spec.inputs {
        let store = store_of(common, input);
        let found = store.list(&prefix_of(input));
        let sizes = found.try_filter(|entry| std::future::ready(!marks_folder(entry)));
        let mut sizes = pin!(sizes.map_ok(|entry| entry.size));
        let mut alone = true;
        while let Some(Ok(size)) = sizes.next().await {
            alone = false;
            common.staged.counted(size);
        }
        if alone && let Ok(Some(size)) = store.size(&input.key).await {
            common.staged.counted(size);
        }
    }
}

/// What the objects of a folder begin with.
fn prefix_of(input: &Input) -> String {
    if input.key.is_empty() {
        String::new()
    } else {
        format!("{}/", input.key)
    }
}

async fn bring(common: &Common) -> Result<(), PrepareError> {
    let folder = environment::inputs(common);
    make(common, &folder).await?;
    // Where nodes of one machine share the folder, one of them brings what all of them have.
    let lock = toolchain::lock_file(&folder.with_extension("lock"), WAIT_MAX, || {}).await;
    let _held = lock.map_err(|error| PrepareError::infra(chain(&error)))?;
    for input in &common.spec.inputs {
        one(common, &folder, input).await?;
    }
    Ok(())
}

async fn one(common: &Common, folder: &Path, input: &Input) -> Result<(), PrepareError> {
    let store = store_of(common, input);
    let shown = store.s3_url(&input.key);
    let failed = |error: StoreError| {
        let message = format!("the input {shown} cannot be read: {}", chain(&error));
        if error.is_permanent() {
            PrepareError::job(message)
        } else {
            PrepareError::infra(message)
        }
    };
    let began = Instant::now();
    let target = below(folder, &input.to)
        .ok_or_else(|| PrepareError::job(format!("no input can be {:?}", input.to)))?;
    let (mut files, mut bytes, mut told) = (0_u64, 0_u64, began);
    {
        // Listed as it goes: a hundred thousand objects are never in memory at one time.
        let found = store.list(&prefix_of(input)).map_err(&failed);
        let found = found.try_filter(|entry| std::future::ready(!marks_folder(entry)));
        let fetched = found
            .map(|entry| {
                let (store, target, key) = (&store, &target, &input.key);
                async move {
                    let piece = piece(entry?, key, target)?;
                    fetch(common, store, &piece).await?;
                    Ok::<u64, PrepareError>(piece.size)
                }
            })
            .buffer_unordered(AT_ONCE);
        tokio::pin!(fetched);
        while let Some(size) = fetched.next().await {
            bytes += size?;
            files += 1;
            if told.elapsed() > TELL {
                told = Instant::now();
                tracing::info!(input = shown, files, bytes, "staging");
            }
        }
    }
    if files == 0 {
        let size = store.size(&input.key).await.map_err(&failed)?;
        let size = size.ok_or_else(|| PrepareError::job(format!("the input {shown} is not there")))?;
        let piece = Piece {
            key: input.key.clone(),
            size,
            file: target,
        };
        fetch(common, &store, &piece).await?;
        (files, bytes) = (1, size);
    }
    let secs = began.elapsed().as_secs_f64();
    tracing::info!(input = shown, files, bytes, secs, "staged");
    Ok(())
}

/// The run's own store, or another bucket that is opened as that is.
fn store_of(common: &Common, input: &Input) -> Store {
    let own = &common.config.store;
    if input.bucket.is_empty() {
        return common.store.clone();
    }
    Store::open(&StoreConfig {
        bucket: input.bucket.clone(),
        prefix: String::new(),
        ..own.clone()
    })
}

fn piece(entry: Entry, prefix: &str, target: &Path) -> Result<Piece, PrepareError> {
    let rest = entry
        .key
        .strip_prefix(prefix)
        .unwrap_or(&entry.key)
        .trim_start_matches('/');
    let file = below(target, rest);
    let file = file.ok_or_else(|| {
        PrepareError::job(format!("no file can have the name of the object {:?}", entry.key))
    })?;
    Ok(Piece {
        size: entry.size,
        key: entry.key,
        file,
    })
}

/// Consoles mark a folder with an empty object of its name: there is nothing in it to stage.
fn marks_folder(entry: &Entry) -> bool {
    entry.size == 0 && entry.key.ends_with('/')
}

/// A path that stays below the folder.
fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && !name.is_empty() && !name.ends_with('/') && !name.contains("//")).then(|| folder.join(path))
}

async fn fetch(common: &Common, store: &Store, piece: &Piece) -> Result<(), PrepareError> {
    if tokio::fs::metadata(&piece.file)
        .await
        .is_ok_and(|meta| meta.len() == piece.size)
    {
        common.staged.came(piece.size);
        common.staged.file();
        return Ok(());
    }
    if let Some(above) = piece.file.parent() {
        make(common, above).await?;
    }
    let shown = store.s3_url(&piece.key);
    let tell = |bytes| common.staged.came(bytes);
    let size = store.get_to_file_telling(&piece.key, &piece.file, &tell).await;
    match size {
        Ok(Some(size)) if size == piece.size => {
            common.staged.file();
            let given = common.keeper.give(&piece.file);
            given.map_err(|error| PrepareError::infra(format!("give {}: {error}", piece.file.display())))
        }
        Ok(Some(size)) => Err(PrepareError::infra(format!(
            "the input {shown} changed while it was read: {size} bytes, {} were listed",
            piece.size
        ))),
        Ok(None) => Err(PrepareError::infra(format!(
            "the input {shown} went away while it was read"
        ))),
        Err(error) => Err(PrepareError::infra(format!(
            "the input {shown} cannot be read: {}",
            chain(&error)
        ))),
    }
}

async fn make(common: &Common, folder: &Path) -> Result<(), PrepareError> {
    let made = tokio::fs::create_dir_all(folder).await;
    let made = made.and_then(|()| common.keeper.give(folder));
    made.map_err(|error| PrepareError::infra(format!("create {}: {error}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_a_console_made_is_no_file() {
        let marks = |key: &str, size| {
            marks_folder(&Entry {
                key: key.into(),
                size,
                etag: String::new(),
            })
        };
        assert!(marks("in/deep/", 0));
        assert!(!marks("in/deep", 0) && !marks("in/deep/", 1));
    }

    #[test]
    fn no_object_becomes_a_file_elsewhere() {
        let folder = Path::new("/inputs/a");
        assert_eq!(below(folder, "x/y.csv"), Some("/inputs/a/x/y.csv".into()));
        for bad in ["", "../x", "a/../../x", "/etc/passwd", "a/", "a//b", "."] {
            assert_eq!(below(folder, bad), None, "{bad}");
        }
    }
}
