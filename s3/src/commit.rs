//! The moment in which a write becomes visible, or a delete happens: under the lock of its key, after its condition
//! was looked at there.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};

use hyper::HeaderMap;
use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Result, s3_error};

use crate::conditions::modified;
use crate::dirs;
use crate::meta::{Meta, Stamp};
use crate::place;
use crate::scratch::Temporary;
use crate::store::{Object, Store, gone_or, internal, is_unplaceable, no_such_bucket, open_plain};

/// Folders may vanish between making and using them, when the last object in them is deleted.
const TRIES: usize = 16;
/// A header of our own, which S3 does not look at: `later`.
const DURABLE: &str = "x-mayfly-durable";

/// What must be true of a key for a write to it to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    None,
    /// `If-None-Match: *`
    Absent,
    /// `If-Match: *`
    Present,
    /// `If-Match: "etag"`
    Etag(String),
}

impl Condition {
    /// Reads the two headers of a put or Complete.
    pub(crate) fn of_put(
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> S3Result<Self> {
        match (if_match, if_none_match) {
            (None, None) => Ok(Self::None),
            (None, Some(ETagCondition::Any)) => Ok(Self::Absent),
            (None, Some(ETagCondition::ETag(_))) => {
                Err(s3_error!(NotImplemented, "If-None-Match of a write takes only *"))
            }
            (Some(ETagCondition::Any), None) => Ok(Self::Present),
            (Some(ETagCondition::ETag(etag)), None) => Ok(Self::Etag(etag.value().to_owned())),
            (Some(_), Some(_)) => Err(s3_error!(
                NotImplemented,
                "If-Match and If-None-Match exclude each other"
            )),
        }
    }

    /// Looks at the object that is there now.
    pub(crate) fn check(&self, current: Option<&Object>) -> S3Result<()> {
        let failed = || {
            s3_error!(
                PreconditionFailed,
                "at least one of the preconditions you specified did not hold"
            )
        };
        match (self, current) {
            (Self::None, _) | (Self::Absent, None) | (Self::Present, Some(_)) => Ok(()),
            (Self::Absent, Some(_)) => Err(failed()),
            (Self::Present | Self::Etag(_), None) => Err(s3_error!(NoSuchKey, "the key does not exist")),
            (Self::Etag(etag), Some(object)) if *etag == object.meta.etag() => Ok(()),
            (Self::Etag(_), Some(_)) => Err(failed()),
        }
    }
}

/// When a write must be on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durable {
    /// Before it is answered.
    Now,
    /// Before a later write that is durable is answered, or when the server stops.
    Later,
}

impl Durable {
    /// A conditional write is how a record is committed, unless its client says that it is none: a result, which
    /// counts only once a record speaks of it.
    pub(crate) fn of(condition: &Condition, headers: &HeaderMap) -> Self {
        let later = headers.get(DURABLE).is_some_and(|value| value == "later");
        if later || *condition == Condition::None {
            Self::Later
        } else {
            Self::Now
        }
    }
}

/// What must be true of an object for its deletion. A key without object is deleted already, whatever is asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteCondition {
    pub(crate) etag: Option<ETagCondition>,
    pub(crate) size: Option<i64>,
    pub(crate) modified: Option<Timestamp>,
}

impl DeleteCondition {
    fn is_none(&self) -> bool {
        self.etag.is_none() && self.size.is_none() && self.modified.is_none()
    }

    fn check(&self, object: &Object) -> S3Result<()> {
        let etag = match &self.etag {
            Some(ETagCondition::ETag(etag)) => etag.value() == object.meta.etag(),
            Some(ETagCondition::Any) | None => true,
        };
        let size = self
            .size
            .is_none_or(|size| u64::try_from(size) == Ok(object.stat.len()));
        let modified = self.modified.as_ref().is_none_or(|at| *at == modified(object));
        if etag && size && modified {
            return Ok(());
        }
        Err(s3_error!(
            PreconditionFailed,
            "at least one of the preconditions you specified did not hold"
        ))
    }
}

impl Store {
    /// Makes a finished file the object of a key.
    pub(crate) fn publish(
        &self,
        bucket: &str,
        key: &str,
        mut file: Temporary,
        meta: &Meta,
        condition: &Condition,
        durable: Durable,
    ) -> S3Result<Stamp> {
        self.attrs.store(file.file(), meta).map_err(internal)?;
        let stamp = Stamp::of(&file.file().metadata().map_err(internal)?);
        if durable == Durable::Now {
            self.make_durable(file.file()).map_err(internal)?;
        }
        let parent = {
            let _held = self.locks.lock(bucket, key).map_err(internal)?;
            let folder = self.bucket(bucket)?;
            if *condition != Condition::None {
                condition.check(self.find(&folder, bucket, key)?.as_ref())?;
            }
            let exclusive = *condition == Condition::Absent;
            let placed = self.place(&folder, bucket, key, &mut file, exclusive);
            placed.map_err(|error| {
                if error.kind() == ErrorKind::AlreadyExists {
                    s3_error!(PreconditionFailed, "the key {key:?} exists already")
                } else {
                    gone_or(error, || no_such_bucket(bucket))
                }
            })?
        };
        match durable {
            Durable::Later => self.note_unsynced(),
            Durable::Now => rustix::fs::fsync(&parent).map_err(|error| internal(error.into()))?,
        }
        Ok(stamp)
    }

    /// Moves the file to where the key lives. A key has one place only: it stays odd once it is.
    fn place(
        &self,
        folder: &OwnedFd,
        bucket: &str,
        key: &str,
        file: &mut Temporary,
        exclusive: bool,
    ) -> io::Result<OwnedFd> {
        if place::is_plain(key) && self.open_odd(bucket, key)?.is_none() {
            let (folders, name) = place::split(key);
            match self.settle(folder, &folders, name, file, exclusive) {
                Err(error) if is_unplaceable(&error) => {}
                result => return result,
            }
        }
        let mut levels = place::odd_levels(key);
        let name = levels.pop().unwrap_or_default();
        levels.insert(0, bucket.to_owned());
        self.settle(&self.odd, &levels, &name, file, exclusive)
    }

    fn settle(
        &self,
        top: &OwnedFd,
        folders: &[impl AsRef<str>],
        name: &str,
        file: &mut Temporary,
        exclusive: bool,
    ) -> io::Result<OwnedFd> {
        let mut last = io::Error::from(ErrorKind::NotFound);
        for _ in 0..TRIES {
            let moved = dirs::walk_or_make(top, folders).and_then(|parent| {
                if exclusive {
                    create(&parent, name, file)?;
                } else {
                    self.swap(&parent, name, file)?;
                }
                Ok(parent)
            });
            match moved {
                Err(error) if error.kind() == ErrorKind::NotFound => last = error,
                result => return result,
            }
        }
        Err(last)
    }

    /// Replaces what `name` holds and forgets the side file of what it held.
    fn swap(&self, parent: impl AsFd, name: &str, file: &mut Temporary) -> io::Result<()> {
        let before = match dirs::open_file(&parent, name) {
            Ok(before) => Some(before),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        file.replace(&parent, name)?;
        before.map_or(Ok(()), |before| self.attrs.forget(&before))
    }

    /// Deletes the object of a key, and the folders that only it kept. No object is fine.
    pub(crate) fn delete(&self, bucket: &str, key: &str, condition: &DeleteCondition) -> S3Result<()> {
        let _held = self.locks.lock(bucket, key).map_err(internal)?;
        let folder = self.bucket(bucket)?;
        if !condition.is_none()
            && let Some(object) = self.find(&folder, bucket, key)?
        {
            condition.check(&object)?;
        }
        if let Some(file) = open_plain(&folder, key).map_err(internal)? {
            let (folders, name) = place::split(key);
            self.remove(&folder, &folders, name, &file).map_err(internal)?;
        }
        if let Some(file) = self.open_odd(bucket, key).map_err(internal)? {
            let mut levels = place::odd_levels(key);
            let name = levels.pop().unwrap_or_default();
            levels.insert(0, bucket.to_owned());
            self.remove(&self.odd, &levels, &name, &file).map_err(internal)?;
        }
        self.note_unsynced();
        Ok(())
    }

    fn remove(&self, top: &OwnedFd, folders: &[impl AsRef<str>], name: &str, file: &File) -> io::Result<()> {
        dirs::remove_file(dirs::walk(top, folders)?, name)?;
        self.attrs.forget(file)?;
        prune(top, folders);
        Ok(())
    }

    /// Changes the metadata of an object in place; its bytes, ETag and time stay.
    pub(crate) fn update_meta(
        &self,
        bucket: &str,
        key: &str,
        change: impl FnOnce(&mut Meta),
    ) -> S3Result<()> {
        let _held = self.locks.lock(bucket, key).map_err(internal)?;
        let mut object = self.object(bucket, key)?;
        change(&mut object.meta);
        self.attrs.store(&object.file, &object.meta).map_err(internal)
    }
}

/// Gives the file a name that is free. What holds the name may be a folder or a link, which is no object: then the
/// name is not taken but unusable, `IsADirectory`, and the key belongs to an odd place.
fn create(parent: &OwnedFd, name: &str, file: &Temporary) -> io::Result<()> {
    let created = file.create_at(parent, name);
    let taken = created
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::AlreadyExists);
    if taken && dirs::open_file(parent, name).is_err() {
        return Err(ErrorKind::IsADirectory.into());
    }
    created
}

/// Removes folders from the innermost outwards while they are empty. Best effort: an empty folder is no object.
fn prune(top: &OwnedFd, folders: &[impl AsRef<str>]) {
    let mut rest = folders;
    while let Some((name, parents)) = rest.split_last() {
        let Ok(parent) = dirs::walk(top, parents) else {
            return;
        };
        if dirs::remove_dir(&parent, name.as_ref()).is_err() {
            return;
        }
        rest = parents;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_on_the_disk_before_it_is_answered_and_a_result_before_its_record() {
        let of = |condition: &Condition, says: Option<&str>| {
            let says = says.map(|says| (DURABLE.parse().unwrap(), says.parse().unwrap()));
            Durable::of(condition, &says.into_iter().collect())
        };
        for record in [
            Condition::Absent,
            Condition::Present,
            Condition::Etag("x".to_owned()),
        ] {
            assert_eq!(of(&record, None), Durable::Now);
            assert_eq!(of(&record, Some("never")), Durable::Now);
            assert_eq!(of(&record, Some("later")), Durable::Later);
        }
        assert_eq!(of(&Condition::None, None), Durable::Later);
    }
}
