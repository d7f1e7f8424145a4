//! Uploads a folder: every regular file in it, hashed on the way, never through a link.
//!
//! A thread of its own walks and reads the small files whole, so that the tasks of the runtime only talk to the store:
//!
//! ```text
//! walk (thread) --files, bounded--> one task per file: small, whole, one request
//!                                                       large, in parts, bounded bytes in memory
//! ```

mod large;
mod retry;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mayfly_kit::crash::{self, Point};
use mayfly_kit::records::FileEntry;
use mayfly_kit::store::{Created, Store, StoreError};
use mayfly_proto::selection::Selection;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinError, JoinSet};

use walk::{Found, Small};

/// Files under way at the same time.
const FILES_MAX: usize = 64;
/// Found and read, but not under way yet.
const QUEUE: usize = 64;
/// Bytes of large files in memory at the same time, in KiB.
const LARGE_KIB_MAX: usize = 32 * 1024;

/// Where to upload to, and how.
#[derive(Clone)]
pub struct Target {
    /// The store.
    pub store: Store,
    /// Key of the folder, ending in `/`.
    pub prefix: String,
    /// An object that is there already must have the same bytes: other nodes upload to the same folder.
    pub only_new: bool,
    /// Which files are uploaded, by their paths in the store's folder.
    pub selection: Arc<Selection>,
}

/// A folder to upload.
#[derive(Debug, Clone)]
pub struct Source {
    /// A folder that only the agent or the test decides on.
    pub root: PathBuf,
    /// The one below it that is meant, by way of no link; empty for the root itself.
    pub below: PathBuf,
    /// Its name in the store's folder; empty when it is that folder.
    pub name: String,
}

impl From<&Path> for Source {
    fn from(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            below: PathBuf::new(),
            name: String::new(),
        }
    }
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files in the store.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files found so far.
    pub files_total: u64,
    /// Their bytes.
    pub bytes_total: u64,
    /// What this and all earlier uploads of the node put into the store.
    pub ever: Ever,
}

/// Sums over all uploads of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ever {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Requests that had to be tried again by us, beyond the client's own retries.
    pub retries: u64,
}

impl Progress {
    /// The beginning of the next upload.
    #[must_use]
    pub fn anew(self) -> Self {
        Self {
            ever: self.ever,
            ..Self::default()
        }
    }
}

/// What was uploaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uploaded {
    /// By path.
    pub files: Vec<FileEntry>,
    /// What was not uploaded and why, one line each.
    pub skipped: Vec<String>,
}

/// Why a folder cannot be uploaded as it is.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The folder or a file in it cannot be read.
    #[error("read {path}")]
    Read {
        /// What was read.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A name that cannot be a key.
    #[error("the results hold a file that cannot be stored: {path:?}: {why}")]
    Name {
        /// Its path, as far as it can be shown.
        path: String,
        /// What is wrong and what would be right.
        why: &'static str,
    },
    /// A file is still being written to.
    #[error("{path} changed while it was uploaded, twice: something still writes to it")]
    Changed {
        /// Path below the folder.
        path: String,
    },
    /// Two nodes hold different files of one name.
    #[error("two nodes hold different files of one name: {path} (this node and another)")]
    Conflict {
        /// Path below the folder.
        path: String,
    },
    /// The store refused for good.
    #[error("upload {path}")]
    Store {
        /// Path below the folder.
        path: String,
        /// What the store said.
        #[source]
        source: StoreError,
    },
    /// A part of the uploader failed.
    #[error("the upload broke off")]
    Task(#[from] JoinError),
}

impl UploadError {
    /// True when the job's own files are the cause.
    #[must_use]
    pub fn is_jobs_doing(&self) -> bool {
        match self {
            Self::Name { .. } | Self::Changed { .. } | Self::Conflict { .. } => true,
            Self::Read { .. } | Self::Store { .. } | Self::Task(_) => false,
        }
    }
}

/// Uploads every regular file of a folder that is selected; a folder that does not exist is an empty one. A store that is
/// away is waited for, without end: the caller drops the future when time is up.
///
/// # Errors
/// Something that will not get better by itself; what was uploaded by then stays.
pub async fn folder(
    source: impl Into<Source>,
    target: &Target,
    progress: &watch::Sender<Progress>,
) -> Result<Uploaded, UploadError> {
    let (found, mut files) = mpsc::channel(QUEUE);
    let (source, selection) = (source.into(), Arc::clone(&target.selection));
    let walking = tokio::task::spawn_blocking(move || walk::walk(&source, &selection, &found));
    let shared = Arc::new(Shared {
        target: target.clone(),
        progress: progress.clone(),
        memory: Arc::new(Semaphore::new(LARGE_KIB_MAX)),
    });
    let (mut tasks, mut done) = (JoinSet::new(), Uploaded::default());
    while let Some(next) = files.recv().await {
        let shared = Arc::clone(&shared);
        match next {
            Found::Skipped(line) => done.skipped.push(line),
            Found::Small(file) => {
                shared.found(file.entry.size);
                tasks.spawn(async move { shared.small(file).await });
            }
            Found::Large(file) => {
                shared.found(file.size);
                tasks.spawn(async move { shared.large(file).await });
            }
        }
        while tasks.len() >= FILES_MAX {
            take(&mut tasks, &mut done).await?;
        }
    }
    while !tasks.is_empty() {
        take(&mut tasks, &mut done).await?;
    }
    walking.await??;
    done.files.sort();
    Ok(done)
}

async fn take(
    tasks: &mut JoinSet<Result<FileEntry, UploadError>>,
    done: &mut Uploaded,
) -> Result<(), UploadError> {
    if let Some(file) = tasks.join_next().await {
        done.files.push(file??);
    }
    Ok(())
}

/// What the tasks of one upload have in common.
struct Shared {
    target: Target,
    progress: watch::Sender<Progress>,
    memory: Arc<Semaphore>,
}

impl Shared {
    fn found(&self, size: u64) {
        self.progress.send_modify(|p| {
            p.files_total += 1;
            p.bytes_total += size;
        });
    }

    fn stored(&self, size: u64) {
        self.progress.send_modify(|p| {
            p.files += 1;
            p.bytes += size;
            p.ever.files += 1;
            p.ever.bytes += size;
        });
    }

    fn key(&self, path: &str) -> String {
        format!("{}{path}", self.target.prefix)
    }

    async fn small(&self, file: Small) -> Result<FileEntry, UploadError> {
        let Small { entry, base64, bytes } = file;
        let key = self.key(&entry.path);
        let Target { store, only_new, .. } = &self.target;
        let created = self
            .patiently(&entry.path, || {
                let put = store.put_checked(&key, bytes.clone(), &base64, *only_new);
                crash::around(Point::ResultPut, put)
            })
            .await?;
        if created == Created::Exists {
            self.same(&key, &entry).await?;
        }
        self.stored(entry.size);
        Ok(entry)
    }

    /// Checks that the object that is there already is the very file.
    async fn same(&self, key: &str, entry: &FileEntry) -> Result<(), UploadError> {
        let there = self
            .patiently(&entry.path, || self.target.store.digest(key))
            .await?;
        if there == Some((entry.sha256.clone(), entry.size)) {
            return Ok(());
        }
        Err(UploadError::Conflict {
            path: entry.path.clone(),
        })
    }
}
