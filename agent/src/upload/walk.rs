//! Finds the files of a folder, on a thread of its own. Every folder is opened from the one above it and no link is
//! ever followed, so nothing outside the folder can be reached, even while somebody swaps names.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Component;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use mayfly_kit::records::FileEntry;
use mayfly_proto::selection::Selection;
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::Sender;

use super::{Source, UploadError};

/// A file up to this size, in bytes, is read by the walk itself.
const SMALL_MAX: u64 = 64 * 1024;
/// Longest key below the store's prefix; S3 takes 1024 bytes and the prefix takes some of them.
const PATH_MAX_BYTES: usize = 1024 - 200;
/// Notes about skipped files; beyond it they are only counted.
const NOTES_MAX: usize = 100;

/// What the walk comes across.
pub(super) enum Found {
    Small(Small),
    Large(Large),
    Skipped(String),
}

/// A file that is in memory already.
pub(super) struct Small {
    pub(super) entry: FileEntry,
    /// Its SHA-256 as S3 wants it.
    pub(super) base64: String,
    pub(super) bytes: Bytes,
}

/// A file that is still to be read.
pub(super) struct Large {
    pub(super) path: String,
    pub(super) size: u64,
    folder: Arc<OwnedFd>,
    name: String,
}

impl Large {
    /// Opens it, anew at each call.
    pub(super) fn open(&self) -> io::Result<File> {
        Ok(open(&self.folder, &self.name)?)
    }
}

/// What is compared to tell whether a file changed while it was read.
#[derive(PartialEq, Eq)]
pub(super) struct Mark(u64, i64, i64, i64, i64);

impl Mark {
    pub(super) fn of(file: &File) -> io::Result<(Self, u64)> {
        let s = fstat(file)?;
        let size = u64::try_from(s.st_size).unwrap_or(0);
        let nanos = |n: u64| i64::try_from(n).unwrap_or(0);
        Ok((
            Self(
                size,
                s.st_mtime,
                nanos(s.st_mtime_nsec),
                s.st_ctime,
                nanos(s.st_ctime_nsec),
            ),
            size,
        ))
    }
}

/// One folder still to be walked.
struct Pending {
    parent: Arc<OwnedFd>,
    name: String,
    path: String,
}

struct Walk<'a> {
    source: &'a Source,
    selection: &'a Selection,
    found: &'a Sender<Found>,
    pending: Vec<Pending>,
    skipped: usize,
    left_out: u64,
}

/// Nobody wants the files any more.
struct Gone;

enum Stop {
    Gone,
    Error(UploadError),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Sends every selected file of a folder and a line for what is not sent.
///
/// # Errors
/// A folder or file cannot be read or stored under its name.
pub(super) fn walk(source: &Source, selection: &Selection, found: &Sender<Found>) -> Result<(), UploadError> {
    let mut walk = Walk {
        source,
        selection,
        found,
        pending: Vec::new(),
        skipped: 0,
        left_out: 0,
    };
    let walked = match top(source) {
        Ok(top) => walk.all(&Arc::new(top)),
        // Nobody has named the results folder, but the job has named this one.
        Err(Errno::NOENT) if source.name.is_empty() => Ok(()),
        Err(Errno::NOENT) => walk.skip_whole("is not there"),
        Err(Errno::LOOP | Errno::NOTDIR) if !source.name.is_empty() => {
            walk.skip_whole("is no folder, or is behind a symbolic link")
        }
        Err(error) => Err(walk.unread("", error.into())),
    };
    match walked {
        Ok(()) | Err(Stop::Gone) => Ok(()),
        Err(Stop::Error(e)) => Err(e),
    }
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// Without NONBLOCK the opening of a pipe that was swapped in would wait for ever.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

fn open(folder: &OwnedFd, name: &str) -> Result<File, Errno> {
    openat(folder, name, FILE, Mode::empty()).map(File::from)
}

/// Opens the folder by way of no link.
fn top(source: &Source) -> Result<OwnedFd, Errno> {
    let mut folder = openat(CWD, &source.root, FOLDER, Mode::empty())?;
    for part in source.below.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => folder = openat(&folder, name, FOLDER, Mode::empty())?,
            Component::Prefix(_) | Component::RootDir | Component::ParentDir => return Err(Errno::NOENT),
        }
    }
    Ok(folder)
}

impl Walk<'_> {
    fn skip_whole(&mut self, why: &str) -> Result<(), Stop> {
        let folder = self.source.below.display().to_string();
        Ok(self.skip(&self.source.name.clone(), &format!("the folder {folder} {why}"))?)
    }

    fn all(&mut self, top: &Arc<OwnedFd>) -> Result<(), Stop> {
        self.folder(top, &self.source.name.clone())?;
        while let Some(next) = self.pending.pop() {
            let opened = openat(&next.parent, next.name.as_str(), FOLDER, Mode::empty());
            match opened {
                Ok(fd) => self.folder(&Arc::new(fd), &next.path)?,
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    self.skip(&next.path, "became a link while it was looked at")?;
                }
                Err(e) => return Err(self.unread(&next.path, e.into())),
            }
        }
        if self.skipped > NOTES_MAX {
            let more = self.skipped - NOTES_MAX;
            self.send(Found::Skipped(format!("… and {more} more")))?;
        }
        if self.left_out > 0 {
            let line = format!("files that `results` does not keep: {}", self.left_out);
            self.send(Found::Skipped(line))?;
        }
        Ok(())
    }

    fn folder(&mut self, fd: &Arc<OwnedFd>, path: &str) -> Result<(), Stop> {
        let entries = Dir::read_from(fd).map_err(|e| self.unread(path, e.into()))?;
        for entry in entries {
            let entry = entry.map_err(|e| self.unread(path, e.into()))?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let (name, path) = named(path, name).map_err(Stop::Error)?;
            match entry.file_type() {
                FileType::Directory if name == "_temporary" => {
                    self.skip(&path, "unfinished output")?;
                }
                FileType::Directory => self.pending.push(Pending {
                    parent: Arc::clone(fd),
                    name,
                    path,
                }),
                _ if name.starts_with('.') && name.ends_with(".crc") => {
                    self.skip(&path, "a local checksum")?;
                }
                _ if !self.selection.takes(&path) => self.left_out += 1,
                // Some file systems do not tell; then opening does.
                FileType::RegularFile
                | FileType::Symlink
                | FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => self.file(fd, name, path)?,
            }
        }
        Ok(())
    }

    fn file(&mut self, fd: &Arc<OwnedFd>, name: String, path: String) -> Result<(), Stop> {
        let file = match open(fd, &name) {
            Ok(file) => file,
            Err(Errno::LOOP) => return Ok(self.skip(&path, "a symbolic link")?),
            Err(Errno::NXIO) => return Ok(self.skip(&path, "a socket")?),
            Err(e) => return Err(self.unread(&path, e.into())),
        };
        let stat: Stat = fstat(&file).map_err(|e| self.unread(&path, e.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(self.skip(&path, "not a regular file")?);
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if size > SMALL_MAX {
            let folder = Arc::clone(fd);
            return Ok(self.send(Found::Large(Large {
                path,
                size,
                folder,
                name,
            }))?);
        }
        let small = match self.read(file, &path)? {
            Some(small) => small,
            None => {
                let again = open(fd, &name).map_err(|e| self.unread(&path, e.into()))?;
                self.read(again, &path)?
                    .ok_or(Stop::Error(UploadError::Changed { path }))?
            }
        };
        Ok(self.send(Found::Small(small))?)
    }

    /// `None` when the file changed meanwhile.
    fn read(&self, mut file: File, path: &str) -> Result<Option<Small>, Stop> {
        let read = |file: &mut File| -> io::Result<Option<Vec<u8>>> {
            let (before, size) = Mark::of(file)?;
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
            file.take(SMALL_MAX + 1).read_to_end(&mut bytes)?;
            let unchanged = Mark::of(file)?.0 == before && bytes.len() as u64 == size;
            Ok(unchanged.then_some(bytes))
        };
        let Some(bytes) = read(&mut file).map_err(|e| self.unread(path, e))? else {
            return Ok(None);
        };
        let hash = Sha256::digest(&bytes);
        let entry = FileEntry {
            path: path.to_owned(),
            size: bytes.len() as u64,
            sha256: HEXLOWER.encode(&hash),
        };
        Ok(Some(Small {
            entry,
            base64: BASE64.encode(&hash),
            bytes: bytes.into(),
        }))
    }

    fn skip(&mut self, path: &str, why: &str) -> Result<(), Gone> {
        self.skipped += 1;
        if self.skipped > NOTES_MAX {
            return Ok(());
        }
        self.send(Found::Skipped(format!("{path}: {why}")))
    }

    fn send(&self, found: Found) -> Result<(), Gone> {
        self.found.blocking_send(found).map_err(|_| Gone)
    }

    fn unread(&self, path: &str, source: io::Error) -> Stop {
        let below = path.strip_prefix(&self.source.name).unwrap_or(path);
        let folder = self.source.root.join(&self.source.below);
        let path = folder.join(below.trim_start_matches('/'));
        Stop::Error(UploadError::Read { path, source })
    }
}

/// The name as text and the path below the root, if both can be part of a key.
fn named(folder: &str, name: &[u8]) -> Result<(String, String), UploadError> {
    let slash = if folder.is_empty() { "" } else { "/" };
    let path = format!("{folder}{slash}{}", String::from_utf8_lossy(name));
    let why = match std::str::from_utf8(name) {
        Err(_) => "its name is not UTF-8; rename it",
        Ok(text)
            if text
                .chars()
                .any(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')) =>
        {
            "its name holds a control character; rename it"
        }
        Ok(_) if path.len() > PATH_MAX_BYTES => "its path is longer than 824 bytes; shorten it",
        Ok(text) => return Ok((text.to_owned(), path)),
    };
    Err(UploadError::Name { path, why })
}
