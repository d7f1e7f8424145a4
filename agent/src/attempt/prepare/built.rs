//! What the job's build made, from the master's clone into those of the workers: by way of the store, in one file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::backoff::{Backoff, Policy, jitter};
use mayfly_kit::error::chain;
use mayfly_kit::layout;
use mayfly_proto::Attempt;
use tokio::sync::watch;
use tokio::time::sleep;

use super::build::BUILD_MAX;
use super::{Common, remove};
use crate::command::Command;
use crate::engine::cause;
use crate::prepare::PrepareError;
use crate::upload::{self, Progress, Target};

/// A clone may have as many bytes.
const BYTES_MAX: u64 = 10 << 30;
/// To pack or unpack those.
const TAR_MAX: Duration = Duration::from_secs(30 * 60);
/// Between a worker's looks whether it is there.
const LOOKS: Policy = Policy {
    base: Duration::from_millis(100),
    cap: Duration::from_secs(3),
    budget: BUILD_MAX,
};

/// When a build began, as the file system of the clone tells time: what is newer was made by it.
pub(super) struct Began {
    folder: PathBuf,
}

impl Began {
    pub(super) async fn now(common: &Common) -> Result<Self, PrepareError> {
        let began = Self {
            folder: folder(common).await?,
        };
        let marked = tokio::fs::write(began.mark(), "").await;
        marked.map_err(|error| failed("mark when the build begins", &error))?;
        Ok(began)
    }

    fn mark(&self) -> PathBuf {
        self.folder.join("began")
    }

    /// Puts everything that is newer in the clone where the workers of this attempt look for it.
    pub(super) async fn share(
        self,
        common: &Common,
        attempt: Attempt,
        code: &Path,
    ) -> Result<(), PrepareError> {
        let file = self.folder.join(layout::BUILT);
        let packed = ["--create", "--anchored", "--exclude=./.git"].map(str::to_owned);
        let newer = format!("--newer={}", self.mark().display());
        tar(common, packed.into_iter().chain([newer]), &file, code, ["."]).await?;
        let size = tokio::fs::metadata(&file).await.map_or(0, |meta| meta.len());
        if size > BYTES_MAX {
            return Err(PrepareError::job(format!(
                "the build made {size} bytes in the clone, and workers are brought {BYTES_MAX} at most: have it keep what it \
                 alone needs in another folder"
            )));
        }
        let mark = tokio::fs::remove_file(self.mark()).await;
        mark.map_err(|error| failed("remove the mark of the build", &error))?;
        let target = Target {
            store: common.store.clone(),
            prefix: layout::attempt(&common.session.run, attempt),
            only_new: false,
            selection: Arc::default(),
        };
        let uncounted = watch::Sender::new(Progress::default());
        let stored = upload::folder(self.folder.as_path(), &target, &uncounted).await;
        stored.map_err(|error| {
            PrepareError::infra(format!("bring the build to the workers: {}", chain(&error)))
        })?;
        tracing::info!(bytes = size, "what the build made is there for the workers");
        remove(&self.folder).await
    }
}

/// Waits until the master has built, and unpacks what came of it over the clone.
pub(super) async fn fetch(common: &Common, attempt: Attempt, code: &Path) -> Result<(), PrepareError> {
    let folder = folder(common).await?;
    let (file, key) = (
        folder.join(layout::BUILT),
        layout::built(&common.session.run, attempt),
    );
    let mut waits = Backoff::new(LOOKS, jitter);
    loop {
        match common.store.get_to_file(&key, &file).await {
            Ok(Some(_)) => break,
            Ok(None) => {}
            Err(error) if error.is_permanent() => {
                return Err(PrepareError::infra(format!(
                    "fetch what was built: {}",
                    chain(&error)
                )));
            }
            Err(error) => tracing::warn!(error = chain(&error), "fetch what was built again"),
        }
        match waits.next() {
            Some(wait) => sleep(wait).await,
            None => return Err(PrepareError::infra("the master has not built in time")),
        }
    }
    common
        .keeper
        .give(&file)
        .map_err(|error| failed("give away what was built", &error))?;
    tar(common, ["--extract".to_owned()], &file, code, []).await?;
    remove(&folder).await
}

/// An empty folder for the file, beside the clone.
async fn folder(common: &Common) -> Result<PathBuf, PrepareError> {
    let folder = common.config.folder.join("built");
    remove(&folder).await?;
    let made = tokio::fs::create_dir(&folder).await;
    let made = made.and_then(|()| common.keeper.give(&folder));
    made.map_err(|error| failed(&format!("create {}", folder.display()), &error))?;
    Ok(folder)
}

fn failed(what: &str, error: &std::io::Error) -> PrepareError {
    PrepareError::infra(format!("{what}: {error}"))
}

/// As the job's user, who can reach nothing with it but what is its own.
async fn tar(
    common: &Common,
    how: impl IntoIterator<Item = String>,
    file: &Path,
    code: &Path,
    what: impl IntoIterator<Item = &'static str>,
) -> Result<(), PrepareError> {
    let mut args: Vec<String> = how.into_iter().collect();
    args.push(format!("--file={}", file.display()));
    args.push(format!("--directory={}", code.display()));
    args.extend(what.into_iter().map(str::to_owned));
    let done = Command::new(&common.keeper, "tar", args, &common.config.folder)
        .run(TAR_MAX, |_| {})
        .await
        .map_err(|error| failed("tar cannot be started", &error))?;
    match done.exit {
        Some(exit) if exit.success() => Ok(()),
        exit => Err(PrepareError::infra(format!(
            "what was built cannot be brought to the workers: tar {}: {}",
            exit.map_or_else(|| "did not end in time".into(), cause::of_exit),
            done.last_line()
        ))),
    }
}
