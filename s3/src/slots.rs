//! The body of an upload: one file in which every part has its place, so that completing moves it and copies nothing.
//!
//! ```text
//! <upload>/stride      how long parts are: as long as the first one that came
//!         /body        part n is at (n - 1) strides
//!         /00001.in    what is said of the part that was verified in its place; empty until it was
//! ```
//!
//! A place is written to by one request only, ever. A part that comes again, or has no place, becomes a file of its own
//! beside the body and counts instead. Who writes holds a shared lock on the body, who completes an exclusive one until
//! the upload is gone: so nothing is written to a file that is an object already.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use rustix::fs::{Mode, OFlags};

use crate::dirs;
use crate::meta::{self, Meta, Stamp};
use crate::store::Store;

/// The file with all parts.
pub(crate) const BODY: &str = "body";
const STRIDE: &str = "stride";
const SUFFIX: &str = ".in";

/// The first part says how long the others are, unless it is so short that it must be the last one: 5 MiB, as in S3.
const STRIDE_MIN: u64 = 5 << 20;
/// No object is larger in S3: 5 TiB.
const BODY_MAX: u64 = 5 << 40;
const RECORD_MAX: u64 = 4096;

/// The place of a part, which this request alone may write to.
pub(crate) struct Slot {
    /// Holds the shared lock.
    body: File,
    name: String,
    at: u64,
    len: u64,
    written: u64,
}

impl Slot {
    /// Writes what comes next. Never more than was announced, for behind it is another part.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.written + bytes.len() as u64;
        if written > self.len {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("the part is longer than the {} bytes announced", self.len),
            ));
        }
        self.body.write_all_at(bytes, self.at + self.written)?;
        self.written = written;
        Ok(())
    }
}

/// A verified part in its place.
pub(crate) struct Settled {
    pub(crate) meta: Meta,
    pub(crate) size: u64,
    pub(crate) at: u64,
    pub(crate) stored_secs: i64,
}

impl Store {
    /// Makes the body of a new upload.
    pub(crate) fn begin_body(folder: &OwnedFd) -> io::Result<()> {
        create(folder, BODY).map(drop)
    }

    /// Takes the place of a part of this length. `None` where it has none, or was there before.
    pub(crate) fn claim(&self, folder: &OwnedFd, number: u16, len: u64) -> io::Result<Option<Slot>> {
        let Some(stride) = self.settle_stride(folder, len)?.filter(|stride| len <= *stride) else {
            return Ok(None);
        };
        let at = u64::from(number.saturating_sub(1)) * stride;
        let Some(body) = shared_body(folder)?.filter(|_| at + len <= BODY_MAX) else {
            return Ok(None);
        };
        let name = record_name(number);
        match create(folder, &name) {
            Ok(_) => Ok(Some(Slot {
                body,
                name,
                at,
                len,
                written: 0,
            })),
            Err(error) if is_taken(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The length of parts, once it is decided.
    pub(crate) fn stride(folder: &OwnedFd) -> io::Result<Option<u64>> {
        let Some(mut file) = absent_is_none(dirs::open_file(folder, STRIDE))? else {
            return Ok(None);
        };
        let mut raw = [0; 8];
        file.read_exact(&mut raw)?;
        Ok(Some(u64::from_le_bytes(raw)))
    }

    /// The length of parts, which the first part decides.
    fn settle_stride(&self, folder: &OwnedFd, len: u64) -> io::Result<Option<u64>> {
        if let Some(stride) = Self::stride(folder)? {
            return Ok(Some(stride));
        }
        if len < STRIDE_MIN {
            return Ok(None);
        }
        let file = self.scratch.create()?;
        file.file().write_all(&len.to_le_bytes())?;
        match file.create_at(folder, STRIDE) {
            Ok(()) => Ok(Some(len)),
            Err(error) if is_taken(&error) => Self::stride(folder),
            Err(error) => Err(error),
        }
    }

    /// Makes a verified part count.
    pub(crate) fn settle_slot(&self, folder: &OwnedFd, slot: &Slot, meta: &Meta) -> io::Result<()> {
        let mut record = self.scratch.create()?;
        let mut raw = slot.written.to_le_bytes().to_vec();
        raw.extend(meta::encode(meta, stamp(slot.written))?);
        record.file().write_all(&raw)?;
        record.replace(folder, &slot.name)
    }

    /// What is in a part's place; `None` until a part was verified there.
    pub(crate) fn settled(&self, folder: &OwnedFd, number: u16) -> io::Result<Option<Settled>> {
        let Some(file) = absent_is_none(dirs::open_file(folder, &record_name(number)))? else {
            return Ok(None);
        };
        let stored_secs = file.metadata()?.mtime();
        let mut raw = Vec::new();
        file.take(RECORD_MAX).read_to_end(&mut raw)?;
        let (Some((size, raw)), Some(stride)) = (raw.split_first_chunk::<8>(), Self::stride(folder)?) else {
            return Ok(None);
        };
        let size = u64::from_le_bytes(*size);
        let at = u64::from(number.saturating_sub(1)) * stride;
        Ok(meta::decode(raw, stamp(size)).map(|meta| Settled {
            meta,
            size,
            at,
            stored_secs,
        }))
    }

    /// The body, to be read.
    pub(crate) fn read_body(folder: &OwnedFd) -> io::Result<File> {
        dirs::open_file(folder, BODY)
    }

    /// The body for him who completes; `None` while a part is written, or if it is an object already.
    pub(crate) fn own_body(folder: &OwnedFd) -> io::Result<Option<File>> {
        locked_body(folder, File::try_lock)
    }
}

/// The number of a part in its place, of the name of its record.
pub(crate) fn number_of(name: &str) -> Option<u16> {
    name.strip_suffix(SUFFIX)?.parse().ok()
}

/// Whether the part of this record was verified: until then the record is empty.
pub(crate) fn is_settled(folder: &OwnedFd, name: &str) -> bool {
    dirs::open_file(folder, name)
        .and_then(|file| file.metadata())
        .is_ok_and(|stat| stat.len() > 0)
}

fn record_name(number: u16) -> String {
    format!("{number:05}{SUFFIX}")
}

/// Nothing but its length speaks of the bytes of a part in its place.
fn stamp(size: u64) -> Stamp {
    Stamp { mtime_ns: 0, size }
}

fn shared_body(folder: &OwnedFd) -> io::Result<Option<File>> {
    locked_body(folder, File::try_lock_shared)
}

fn locked_body(
    folder: &OwnedFd,
    lock: impl FnOnce(&File) -> Result<(), TryLockError>,
) -> io::Result<Option<File>> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(folder, BODY, flags, Mode::empty());
    let Some(body) = absent_is_none(opened.map(File::from).map_err(io::Error::from))? else {
        return Ok(None);
    };
    match lock(&body) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Between opening and locking it may have become an object: then it has another name, or two.
    let stat = body.metadata()?;
    let named = absent_is_none(dirs::open_file(folder, BODY))?;
    let named = named.map(|file| file.metadata()).transpose()?;
    let still = stat.nlink() == 1 && named.is_some_and(|named| named.ino() == stat.ino());
    Ok(still.then_some(body))
}

/// A new file of this name: `AlreadyExists` if there is one.
fn create(folder: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(
        folder,
        name,
        flags,
        Mode::from_raw_mode(0o666),
    )?))
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AlreadyExists
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::Extra;

    const MIB: u64 = 1 << 20;

    fn upload() -> (tempfile::TempDir, Store, OwnedFd) {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let folder = dirs::walk_or_make(&store.uploads, &["bucket", "id"]).unwrap();
        Store::begin_body(&folder).unwrap();
        (root, store, folder)
    }

    fn settle(store: &Store, folder: &OwnedFd, number: u16, len: u64) {
        let slot = store.claim(folder, number, len).unwrap().unwrap();
        let meta = Meta {
            md5: [1; 16],
            part_count: 0,
            sum: None,
            extra: Extra::default(),
        };
        store.settle_slot(folder, &slot, &meta).unwrap();
    }

    #[test]
    fn a_place_is_given_once() {
        let (_root, store, folder) = upload();
        assert!(
            store.claim(&folder, 1, MIB).unwrap().is_none(),
            "too short to be the first"
        );
        assert!(store.claim(&folder, 1, 8 * MIB).unwrap().is_some());
        assert!(store.claim(&folder, 1, 8 * MIB).unwrap().is_none());
        assert!(
            store.claim(&folder, 2, 9 * MIB).unwrap().is_none(),
            "longer than its place"
        );
        assert!(
            store.settled(&folder, 1).unwrap().is_none(),
            "nothing was verified"
        );
        settle(&store, &folder, 3, MIB);
        assert_eq!(
            store.settled(&folder, 3).unwrap().map(|part| part.at),
            Some(16 * MIB)
        );
        assert_eq!(store.part_numbers(&folder).unwrap(), [3]);
    }

    #[test]
    fn nothing_is_written_beyond_what_was_announced() {
        let (_root, store, folder) = upload();
        let mut slot = store.claim(&folder, 1, 5 * MIB).unwrap().unwrap();
        slot.write(&vec![1; 5 << 20]).unwrap();
        assert_eq!(slot.write(&[1]).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(
            Store::read_body(&folder).unwrap().metadata().unwrap().len(),
            5 * MIB
        );
    }

    #[test]
    fn who_completes_and_who_writes_exclude_each_other() {
        let (_root, store, folder) = upload();
        let slot = store.claim(&folder, 1, 5 * MIB).unwrap().unwrap();
        assert!(Store::own_body(&folder).unwrap().is_none());
        drop(slot);
        let owned = Store::own_body(&folder).unwrap();
        assert!(owned.is_some());
        assert!(store.claim(&folder, 2, 5 * MIB).unwrap().is_none());
        drop(owned);
        assert!(store.claim(&folder, 2, 5 * MIB).unwrap().is_some());
    }

    #[test]
    fn nothing_is_written_to_a_body_that_is_an_object() {
        let (_root, store, folder) = upload();
        rustix::fs::linkat(&folder, BODY, &store.odd, "object", rustix::fs::AtFlags::empty()).unwrap();
        assert!(store.claim(&folder, 1, 5 * MIB).unwrap().is_none());
        assert!(Store::own_body(&folder).unwrap().is_none());
        dirs::remove_file(&folder, BODY).unwrap();
        assert!(store.claim(&folder, 1, 5 * MIB).unwrap().is_none());
    }
}
