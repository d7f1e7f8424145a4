//! Multipart uploads under way: a folder each, with what was said when it began and the parts: in their places in the
//! body of the upload (slots.rs), or a file each.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

use crate::digest::Algo;
use crate::dirs::{self, Kind};
use crate::meta::{Headers, Meta};
use crate::scratch::Temporary;
use crate::slots::{self, Slot};
use crate::store::{Store, gone_or, internal};

const BEGUN: &str = "upload.json";
const BEGUN_MAX: u64 = 1 << 20;

/// Most parts that an upload can have.
pub(crate) const PARTS_MAX: u16 = 10_000;

/// How the checksum of the whole comes from those of the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SumKind {
    FullObject,
    Composite,
}

/// What was said when an upload began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) key: String,
    pub(crate) headers: Headers,
    pub(crate) tags: Vec<(String, String)>,
    /// The algorithm that was asked for, if one was.
    pub(crate) algo: Option<Algo>,
    pub(crate) kind: SumKind,
}

impl Begun {
    /// The algorithm that every part is hashed with.
    pub(crate) fn part_algo(&self) -> Algo {
        self.algo.unwrap_or(Algo::Crc64Nvme)
    }
}

/// A part that is there.
pub(crate) struct Part {
    pub(crate) meta: Meta,
    pub(crate) size: u64,
    /// When, since 1970.
    pub(crate) stored_secs: i64,
    pub(crate) bytes: PartBytes,
}

/// Where the bytes of a part are.
pub(crate) enum PartBytes {
    /// In a file of their own.
    Own(File),
    /// In the body of the upload, from here on.
    Body(u64),
}

/// An upload in a listing; `begun_secs` since 1970.
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) begun: Begun,
    pub(crate) begun_secs: i64,
}

impl Store {
    /// Begins an upload and returns its id.
    pub(crate) fn begin_upload(&self, bucket: &str, begun: &Begun) -> S3Result<String> {
        self.bucket(bucket)?;
        let write = || {
            let id = new_id()?;
            let folder = dirs::walk_or_make(&self.uploads, &[bucket, &id])?;
            Self::begin_body(&folder)?;
            let mut file = self.scratch.create()?;
            file.file().write_all(&serde_json::to_vec(begun)?)?;
            file.replace(&folder, BEGUN)?;
            Ok(id)
        };
        write().map_err(internal)
    }

    /// Opens an upload of this very key, or says `NoSuchUpload`.
    pub(crate) fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<(OwnedFd, Begun)> {
        self.bucket(bucket)?;
        match self.read_upload(bucket, id) {
            Ok((folder, begun, _)) if begun.key == key => Ok((folder, begun)),
            Ok(_) => Err(no_such_upload(id)),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(no_such_upload(id)),
            Err(error) => Err(internal(error)),
        }
    }

    fn read_upload(&self, bucket: &str, id: &str) -> io::Result<(OwnedFd, Begun, i64)> {
        if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ErrorKind::NotFound.into());
        }
        let folder = dirs::walk(&self.uploads, &[bucket, id])?;
        let file = dirs::open_file(&folder, BEGUN)?;
        let at = file.metadata()?.mtime();
        let mut raw = Vec::new();
        file.take(BEGUN_MAX).read_to_end(&mut raw)?;
        Ok((folder, serde_json::from_slice(&raw)?, at))
    }

    /// All uploads of a bucket by key, then by age.
    pub(crate) fn list_uploads(&self, bucket: &str) -> S3Result<Vec<Listed>> {
        self.bucket(bucket)?;
        let mut ids = Vec::new();
        let read = dirs::open_dir(&self.uploads, bucket)
            .and_then(|folder| dirs::for_each(&folder, |name, _| ids.push(name.to_owned())));
        match read {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            result => result.map_err(internal)?,
        }
        let mut found = Vec::new();
        for id in ids {
            match self.read_upload(bucket, &id) {
                Ok((_, begun, begun_secs)) => found.push(Listed {
                    id,
                    begun,
                    begun_secs,
                }),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(internal(error)),
            }
        }
        found.sort_by(|a, b| (&a.begun.key, &a.id).cmp(&(&b.begun.key, &b.id)));
        Ok(found)
    }

    /// Stores a verified part, in place of an earlier one of its number.
    pub(crate) fn put_part(
        &self,
        folder: &OwnedFd,
        number: u16,
        mut file: Temporary,
        meta: &Meta,
    ) -> S3Result<()> {
        self.attrs.store(file.file(), meta).map_err(internal)?;
        file.replace(folder, &part_name(number))
            // Aborted or completed while the part was on its way.
            .map_err(|error| gone_or(error, || s3_error!(NoSuchUpload, "the upload has ended")))
    }

    /// Takes the place of a part in the body of its upload, unless there is a file for it already.
    pub(crate) fn claim_slot(&self, folder: &OwnedFd, number: u16, len: u64) -> S3Result<Option<Slot>> {
        match dirs::open_file(folder, &part_name(number)) {
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let claimed = self.claim(folder, number, len);
                claimed.map_err(|error| gone_or(error, || s3_error!(NoSuchUpload, "the upload has ended")))
            }
            Err(error) => Err(internal(error)),
        }
    }

    /// Makes a verified part in its place count.
    pub(crate) fn put_slot(&self, folder: &OwnedFd, slot: &Slot, meta: &Meta) -> S3Result<()> {
        let settled = self.settle_slot(folder, slot, meta);
        settled.map_err(|error| gone_or(error, || s3_error!(NoSuchUpload, "the upload has ended")))
    }

    /// Finds a part; `None` if it was never uploaded. A file of its own is newer than what is in its place.
    pub(crate) fn part(&self, folder: &OwnedFd, number: u16) -> S3Result<Option<Part>> {
        let found = match dirs::open_file(folder, &part_name(number)) {
            Ok(file) => self.load(file).map(|object| {
                Some(Part {
                    size: object.stat.len(),
                    stored_secs: object.stat.mtime(),
                    meta: object.meta,
                    bytes: PartBytes::Own(object.file),
                })
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.settled(folder, number).map(|settled| {
                    settled.map(|settled| Part {
                        meta: settled.meta,
                        size: settled.size,
                        stored_secs: settled.stored_secs,
                        bytes: PartBytes::Body(settled.at),
                    })
                })
            }
            Err(error) => Err(error),
        };
        found.map_err(internal)
    }

    /// The numbers of the parts that are there, in order.
    pub(crate) fn part_numbers(&self, folder: &OwnedFd) -> S3Result<Vec<u16>> {
        let mut numbers = Vec::new();
        dirs::for_each(folder, |name, kind| {
            if kind == Kind::File {
                let in_body = || slots::number_of(name).filter(|_| slots::is_settled(folder, name));
                numbers.extend(name.parse::<u16>().ok().or_else(in_body));
            }
        })
        .map_err(internal)?;
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// Ends an upload: its parts are gone, and nobody finds it any more.
    pub(crate) fn end_upload(&self, bucket: &str, id: &str, folder: &OwnedFd) -> S3Result<()> {
        let end = || {
            // First the file that makes it an upload, so that a half-removed one is none.
            dirs::remove_file(folder, BEGUN)?;
            if let Ok(body) = Self::read_body(folder)
                && body.metadata()?.nlink() == 1
            {
                dirs::remove_file(folder, slots::BODY)?;
                self.attrs.forget(&body)?;
            }
            for number in self.part_numbers(folder).unwrap_or_default() {
                let name = part_name(number);
                if let Ok(file) = dirs::open_file(folder, &name) {
                    dirs::remove_file(folder, &name)?;
                    self.attrs.forget(&file)?;
                }
            }
            dirs::remove_tree(dirs::open_dir(&self.uploads, bucket)?, id)
        };
        match end() {
            // Someone else was ending it as well.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map_err(internal),
        }
    }
}

pub(crate) fn no_such_upload(id: &str) -> s3s::S3Error {
    s3_error!(
        NoSuchUpload,
        "the upload {id:?} does not exist: it may have been completed or aborted"
    )
}

/// Ids sort by age, as listings of uploads to one key do.
fn new_id() -> io::Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let random = dirs::random_name()?;
    Ok(format!(
        "{:012x}{}",
        now.unwrap_or_default().as_millis(),
        random.get(..20).unwrap_or_default()
    ))
}

fn part_name(number: u16) -> String {
    format!("{number:05}")
}
