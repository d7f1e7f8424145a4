//! Code that people bring over the wire: bundles of commits, piece by piece, on their way to the store.

use std::collections::HashMap;
use std::io::Write as _;
use std::time::Duration;

use mayfly_kit::crash::{self, Point};
use mayfly_kit::layout;
use mayfly_kit::store::{Store, StoreError};
use tempfile::NamedTempFile;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use crate::upload::{self, UploadError};

/// Largest bundle, in bytes. What is larger belongs on a Git server.
pub const BUNDLE_MAX: u64 = 1 << 30;
/// Uploads under way at one time, of everybody.
const UPLOADS_MAX: usize = 16;
/// How long the caller waits for the store; less than a call may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// An upload that stands still for so long makes room for another one.
const STALL: Duration = Duration::from_secs(60);

/// One piece.
#[derive(Debug)]
pub struct Piece {
    /// Full commit id, checked.
    pub commit: String,
    /// Which upload of it, checked to be short.
    pub upload_id: String,
    /// Where it belongs.
    pub offset: u64,
    /// May be empty.
    pub data: Vec<u8>,
    /// Whether nothing comes after it.
    pub last: bool,
}

/// How far an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Bytes taken.
    pub received: u64,
    /// Key of the bundle in the store, once there is one.
    pub stored: Option<String>,
}

/// Why a piece is not taken.
#[derive(Debug, thiserror::Error)]
pub enum IncomingError {
    /// The bundle is too large.
    #[error("a bundle may have {} MiB: push the commit to a Git server and launch its URL", BUNDLE_MAX >> 20)]
    TooLarge,
    /// Too many at once.
    #[error("{UPLOADS_MAX} uploads are under way: try again in a minute")]
    Busy,
    /// Temporary files.
    #[error("cannot keep the bundle")]
    Io(#[from] std::io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store, while the bundle was being put there.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

struct Upload {
    file: NamedTempFile,
    received: u64,
    touched: Instant,
}

/// Uploads under way. Their files are gone with the process.
#[derive(Default)]
pub struct Incoming {
    uploads: Mutex<HashMap<(String, String), Upload>>,
    storing: TaskTracker,
}

impl Incoming {
    /// Takes a piece. Repeating one does no harm.
    ///
    /// # Errors
    /// It is too much, or the store does not answer.
    pub async fn take(&self, store: &Store, piece: Piece) -> Result<Progress, IncomingError> {
        let key = layout::bundle(&piece.commit);
        if piece.data.is_empty() && store.size(&key).await?.is_some() {
            return Ok(Progress {
                received: 0,
                stored: Some(key),
            });
        }
        let id = (piece.commit.clone(), piece.upload_id.clone());
        let mut uploads = self.uploads.lock().await;
        uploads.retain(|_, upload| upload.touched.elapsed() < STALL);
        if !uploads.contains_key(&id) {
            if uploads.len() >= UPLOADS_MAX {
                return Err(IncomingError::Busy);
            }
            uploads.insert(id.clone(), Upload::new()?);
        }
        let Some(upload) = uploads.get_mut(&id) else {
            return Err(IncomingError::Busy);
        };
        let received = upload.take(&piece)?;
        if !piece.last || received != piece.offset + piece.data.len() as u64 {
            return Ok(Progress {
                received,
                stored: None,
            });
        }
        let Some(upload) = uploads.remove(&id) else {
            return Err(IncomingError::Busy);
        };
        // The others go on while this one is stored.
        drop(uploads);
        let (into, to) = (store.clone(), key.clone());
        let mut storing = self.storing.spawn(async move {
            let put = upload::file(&into, upload.file.path(), &to);
            crash::around(Point::BundlePut, put).await
        });
        match timeout(ANSWER_WITHIN, &mut storing).await {
            Ok(stored) => {
                stored.map_err(std::io::Error::other)??;
                Ok(Progress {
                    received,
                    stored: Some(key),
                })
            }
            // It goes on; who asks again is told when it is there.
            Err(_) => Ok(Progress {
                received,
                stored: None,
            }),
        }
    }
}

impl Upload {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            file: tempfile::Builder::new().prefix("mayfly-bundle-").tempfile()?,
            received: 0,
            touched: Instant::now(),
        })
    }

    /// Returns how many bytes there are now.
    fn take(&mut self, piece: &Piece) -> Result<u64, IncomingError> {
        self.touched = Instant::now();
        if piece.offset != self.received {
            return Ok(self.received);
        }
        let after = self.received + piece.data.len() as u64;
        if after > BUNDLE_MAX {
            return Err(IncomingError::TooLarge);
        }
        self.file.write_all(&piece.data)?;
        self.received = after;
        Ok(after)
    }
}
