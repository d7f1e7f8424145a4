//! Brings inputs of this machine into the store: the same content is stored once.

use std::path::{Path, PathBuf};

use futures::{StreamExt as _, TryStreamExt as _};
use mayfly_configs::{InputFrom, Job, RelPath};
use mayfly_kit::layout::INPUTS;
use mayfly_kit::store::Store;
use sha2::{Digest as _, Sha256};

use crate::cli::data::sources;
use crate::cli::failure::Failure;
use crate::upload;

/// Files under way at the same time.
const AT_ONCE: usize = 8;
/// Written last: what is below its prefix is whole.
const WHOLE: &str = "whole";

/// Every folder of the job becomes a key of the store.
///
/// # Errors
/// A file cannot be read, or there is no store that this command can write.
pub(super) async fn bring(job: &mut Job, base: &Path, store: Option<&Store>) -> Result<(), Failure> {
    for input in &mut job.inputs {
        let InputFrom::Folder(folder) = &input.from else {
            continue;
        };
        let store = store.ok_or_else(|| {
            Failure::usage(format!(
                "the input {folder} is a folder of this machine, and the store is the coordinator's: put it there first, with \
                 `coordinator data put {folder} NAME`, and name it as `from: data/NAME`"
            ))
        })?;
        let key = put(store, &base.join(folder)).await?;
        input.from = InputFrom::Store(
            RelPath::new(key).map_err(|problem| Failure::usage(format!("the input {}", problem.message)))?,
        );
    }
    Ok(())
}

/// Stores what is there, unless the same is there already; returns its key.
async fn put(store: &Store, src: &Path) -> Result<String, Failure> {
    let files = sources(src, "in")?;
    let listed = files.clone();
    let digest = tokio::task::spawn_blocking(move || digest(&listed));
    let digest = digest.await.map_err(|error| Failure::usage(error.to_string()))?;
    let folder = format!("{INPUTS}{}", digest?);
    let mark = format!("{folder}/{WHOLE}");
    if store.size(&mark).await?.is_none() {
        let uploads: Vec<_> = files
            .into_iter()
            .map(|(file, name)| {
                let key = format!("{folder}/{name}");
                async move { upload::file(store, &file, &key).await }
            })
            .collect();
        let mut running = futures::stream::iter(uploads).buffer_unordered(AT_ONCE);
        while running.try_next().await?.is_some() {}
        store.put(&mark, "").await?;
    }
    Ok(format!("{folder}/in"))
}

/// Of all names and contents.
fn digest(files: &[(PathBuf, String)]) -> Result<String, Failure> {
    let mut all = Sha256::new();
    for (path, name) in files {
        let unreadable =
            |error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
        let mut one = Sha256::new();
        let mut file = std::fs::File::open(path).map_err(unreadable)?;
        std::io::copy(&mut file, &mut one).map_err(unreadable)?;
        all.update(name.as_bytes());
        all.update([0]);
        all.update(one.finalize());
    }
    Ok(format!("{:x}", all.finalize()).chars().take(32).collect())
}
