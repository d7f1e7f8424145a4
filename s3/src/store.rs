//! The folder behind the server. Everything here blocks and is called on blocking threads.
//!
//! ```text
//! <root>/<bucket>/<key>                 an object is a plain file
//! <root>/.mayfly-s3/odd/<bucket>/…      keys that no path can say (place.rs)
//!                  /uploads/<bucket>/…  multipart uploads under way (uploads.rs)
//!                  /tmp /locks /meta    scratch.rs, locks.rs, attr.rs
//!                  /buckets/<bucket>    settings of a bucket (buckets.rs)
//! ```

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use hyper::StatusCode;
use rustix::fs::{Mode, OFlags};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::attr::Attrs;
use crate::dirs;
use crate::locks::Locks;
use crate::meta::Meta;
use crate::place;
use crate::scratch::Scratch;

/// The folder of our own in the root. No bucket can have this name: theirs begin with a letter or a digit.
const OWN: &str = ".mayfly-s3";

/// An open root.
pub(crate) struct Store {
    pub(crate) root: OwnedFd,
    pub(crate) odd: OwnedFd,
    pub(crate) uploads: OwnedFd,
    pub(crate) settings: OwnedFd,
    pub(crate) attrs: Attrs,
    pub(crate) locks: Locks,
    pub(crate) scratch: Scratch,
    /// Whether objects were written since the file system was last synchronised.
    unsynced: AtomicBool,
    syncing: Mutex<()>,
}

/// An object, open. Later writes to its key make another file, so this one never changes under a reader.
pub(crate) struct Object {
    pub(crate) file: File,
    pub(crate) stat: Metadata,
    pub(crate) meta: Meta,
}

impl Store {
    /// Opens the root and makes it, and our folder in it, where missing.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(root)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(root, flags, Mode::empty())?;
        dirs::make_dir(&root, OWN)?;
        let own = dirs::open_dir(&root, OWN)?;
        let folder = |name: &str| dirs::walk_or_make(&own, &[name]);
        let (scratch, swept) = Scratch::new(folder("tmp")?)?;
        Ok(Self {
            odd: folder("odd")?,
            uploads: folder("uploads")?,
            settings: folder("buckets")?,
            attrs: Attrs::new(folder("meta")?),
            locks: Locks::new(folder("locks")?),
            scratch,
            // What a server that was killed wrote may not be on the disk yet.
            unsynced: AtomicBool::new(swept),
            syncing: Mutex::new(()),
            root,
        })
    }

    /// Opens the folder of a bucket, or says `NoSuchBucket`.
    pub(crate) fn bucket(&self, bucket: &str) -> S3Result<OwnedFd> {
        dirs::open_dir(&self.root, bucket).map_err(|error| gone_or(error, || no_such_bucket(bucket)))
    }

    /// Opens the object of a key, or says `NoSuchBucket` or `NoSuchKey`.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> S3Result<Object> {
        let folder = self.bucket(bucket)?;
        let found = self.find(&folder, bucket, key)?;
        found.ok_or_else(|| s3_error!(NoSuchKey, "the key {key:?} does not exist in bucket {bucket:?}"))
    }

    /// Looks a key up in a bucket that is known to exist.
    pub(crate) fn find(&self, folder: &OwnedFd, bucket: &str, key: &str) -> S3Result<Option<Object>> {
        let file = match open_plain(folder, key).map_err(internal)? {
            Some(file) => Some(file),
            None => self.open_odd(bucket, key).map_err(internal)?,
        };
        file.map(|file| self.load(file)).transpose().map_err(internal)
    }

    /// Reads the metadata of an open file.
    pub(crate) fn load(&self, file: File) -> io::Result<Object> {
        let stat = file.metadata()?;
        let meta = self.attrs.load_or_make(&file, &stat)?;
        Ok(Object { file, stat, meta })
    }

    pub(crate) fn open_odd(&self, bucket: &str, key: &str) -> io::Result<Option<File>> {
        // Most buckets hold no odd key at all: one failed look is enough.
        let odd = match dirs::open_dir(&self.odd, bucket) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            odd => odd?,
        };
        let levels = place::odd_levels(key);
        let Some((name, folders)) = levels.split_last() else {
            return Ok(None);
        };
        absent_is_none(dirs::walk(&odd, folders).and_then(|parent| dirs::open_file(&parent, name)))
    }

    /// Notes that an object became visible without having been forced to the disk.
    pub(crate) fn note_unsynced(&self) {
        self.unsynced.store(true, Ordering::Release);
    }

    /// Makes `file`, and every object this server has stored before, durable.
    ///
    /// A plain put is not forced to the disk: one fsync per file would make 100,000 small files slow, and a killed process loses
    /// nothing without it, only a failing machine does. A conditional write is how a record is committed, so it
    /// first makes certain that all it may speak of is on the disk.
    pub(crate) fn make_durable(&self, file: &File) -> io::Result<()> {
        // Who finds another one synchronising waits: that one may be writing what this commit speaks of.
        let guard = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.unsynced.swap(false, Ordering::AcqRel) {
            drop(guard);
            return file.sync_all();
        }
        rustix::fs::syncfs(&self.root).inspect_err(|_| self.note_unsynced())?;
        Ok(())
    }

    /// Makes all that was stored durable, when the server stops.
    pub(crate) fn flush(&self) -> io::Result<()> {
        if self.unsynced.swap(false, Ordering::AcqRel) {
            rustix::fs::syncfs(&self.root)?;
        }
        Ok(())
    }
}

/// Opens a key as a plain path; `None` if there is no file.
pub(crate) fn open_plain(folder: impl AsFd, key: &str) -> io::Result<Option<File>> {
    if !place::is_plain(key) {
        return Ok(None);
    }
    let (folders, name) = place::split(key);
    absent_is_none(dirs::walk(folder, &folders).and_then(|parent| dirs::open_file(&parent, name)))
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound || is_unplaceable(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a plain path cannot hold this key as things are: a file is where a folder would have to be, or the other
/// way round, or the file system takes no name of this length or form.
pub(crate) fn is_unplaceable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::InvalidFilename
    )
}

/// The answer to a failure of the disk or the system: the client may try again.
pub(crate) fn internal(error: io::Error) -> S3Error {
    let mut answer = S3Error::with_message(S3ErrorCode::InternalError, format!("storage failed: {error}"));
    answer.set_source(Box::new(error));
    answer
}

/// What is missing has an answer of its own; every other failure is ours.
pub(crate) fn gone_or(error: io::Error, missing: impl FnOnce() -> S3Error) -> S3Error {
    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
        missing()
    } else {
        internal(error)
    }
}

pub(crate) fn no_such_bucket(bucket: &str) -> S3Error {
    s3_error!(NoSuchBucket, "the bucket {bucket:?} does not exist")
}

/// An error code that `s3s` has no name for.
pub(crate) fn custom(code: &'static str, status: StatusCode, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_server_that_was_killed_the_first_record_waits_for_all_that_it_wrote() {
        let root = tempfile::tempdir().unwrap();
        let is_unsynced = || Store::open(root.path()).unwrap().unsynced.load(Ordering::Acquire);
        assert!(!is_unsynced(), "a new folder");
        assert!(!is_unsynced(), "the server before has stopped");
        // The lock file of a process that is no more.
        std::fs::write(root.path().join(OWN).join("tmp/dead.lock"), "").unwrap();
        assert!(is_unsynced());
        assert!(!is_unsynced(), "it was swept");
    }
}
