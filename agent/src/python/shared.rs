//! Environments that all nodes of a machine have in common: each is made once, by whoever wants it first.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::prepare::PrepareError;
use crate::supervise::Keeper;
use crate::toolchain;

/// For another node of this machine that is installing the same.
const WAIT_MAX: Duration = Duration::from_secs(20 * 60);

/// Beside the base environment; a job's user must not change what other jobs run, and has its own in its node's folder.
pub(super) fn place(base: &Path, keeper: &Keeper, folder: &Path, name: &str) -> PathBuf {
    let cache = base.ancestors().nth(3).filter(|_| keeper.user.is_none());
    cache.unwrap_or(folder).join(name)
}

/// Tells environments apart by what they are made of.
pub(crate) fn mark_of(text: &str) -> String {
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(text));
    hash.chars().take(8).collect()
}

/// Makes the environment unless it is there already, whole. `make` clears what one that was killed left.
pub(super) async fn once(
    venv: &Path,
    make: impl AsyncFnOnce() -> Result<(), PrepareError>,
) -> Result<(), PrepareError> {
    let mark = venv.join("complete");
    if mark.exists() {
        return Ok(());
    }
    let infra = |error: std::io::Error| PrepareError::infra(format!("make {}: {error}", venv.display()));
    std::fs::create_dir_all(venv.parent().unwrap_or(venv)).map_err(infra)?;
    // Its name may have dots: nothing of it is an extension.
    let mut lock = venv.as_os_str().to_owned();
    lock.push(".lock");
    let held = toolchain::lock_file(Path::new(&lock), WAIT_MAX, || {}).await;
    let _held = held.map_err(|error| PrepareError::infra(mayfly_kit::error::chain(&error)))?;
    if mark.exists() {
        return Ok(());
    }
    make().await?;
    std::fs::write(&mark, "").map_err(infra)
}
