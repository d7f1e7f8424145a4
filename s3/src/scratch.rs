//! Temporary files: a folder per running server, swept by the next server once its owner is gone.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags};

use crate::dirs::{self, Kind};

const LOCK_SUFFIX: &str = ".lock";

/// This server's folder for temporary files. The lock file beside it is held for as long as the server lives, which
/// tells other servers over the same root not to sweep it.
pub(crate) struct Scratch {
    parent: OwnedFd,
    folder: Arc<OwnedFd>,
    name: String,
    next: AtomicU64,
    _alive: File,
}

impl Scratch {
    /// Sweeps what dead servers left in `parent`, then makes a folder there. Tells whether there was any.
    pub(crate) fn new(parent: OwnedFd) -> io::Result<(Self, bool)> {
        let swept = sweep(&parent)?;
        let (name, alive) = claim(&parent)?;
        dirs::make_dir(&parent, &name)?;
        let folder = Arc::new(dirs::open_dir(&parent, &name)?);
        let scratch = Self {
            parent,
            folder,
            name,
            next: AtomicU64::new(0),
            _alive: alive,
        };
        Ok((scratch, swept))
    }

    /// A new empty file, removed again when dropped unless it was moved to where it belongs.
    pub(crate) fn create(&self) -> io::Result<Temporary> {
        let name = format!("{:x}", self.next.fetch_add(1, Ordering::Relaxed));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&*self.folder, &name, flags, Mode::from_raw_mode(0o666))?;
        Ok(Temporary {
            file: File::from(fd),
            folder: self.folder.clone(),
            name,
            keep: false,
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next server.
        let _ = dirs::remove_tree(&self.parent, &self.name);
        let _ = dirs::remove_file(&self.parent, &format!("{}{LOCK_SUFFIX}", self.name));
    }
}

/// A temporary file.
pub(crate) struct Temporary {
    file: File,
    folder: Arc<OwnedFd>,
    name: String,
    /// Not to be removed when dropped.
    keep: bool,
}

impl Temporary {
    /// A file that is at home in another folder, and stays there unless it is moved.
    pub(crate) fn at_home(file: File, folder: OwnedFd, name: &str) -> Self {
        Self {
            file,
            folder: Arc::new(folder),
            name: name.to_owned(),
            keep: true,
        }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Moves the file to `name` in `dir`, in place of a file that is there.
    pub(crate) fn replace(&mut self, dir: impl AsFd, name: &str) -> io::Result<()> {
        rustix::fs::renameat(&*self.folder, &self.name, dir, name)?;
        self.keep = true;
        Ok(())
    }

    /// Gives the file its place in `dir` only if the name is free: `AlreadyExists` otherwise, with nothing changed.
    pub(crate) fn create_at(&self, dir: impl AsFd, name: &str) -> io::Result<()> {
        let flags = rustix::fs::AtFlags::empty();
        Ok(rustix::fs::linkat(&*self.folder, &self.name, dir, name, flags)?)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.keep {
            let _ = dirs::remove_file(&*self.folder, &self.name);
        }
    }
}

/// Makes and locks a lock file of a new name.
fn claim(parent: &OwnedFd) -> io::Result<(String, File)> {
    const TRIES: usize = 8;
    for _ in 0..TRIES {
        let name = dirs::random_name()?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let lock = format!("{name}{LOCK_SUFFIX}");
        let file = File::from(rustix::fs::openat(
            parent,
            &lock,
            flags,
            Mode::from_raw_mode(0o600),
        )?);
        file.lock()?;
        // A sweeper may have come between creating and locking, and taken it for a dead server's.
        if file.metadata()?.nlink() > 0 {
            return Ok((name, file));
        }
    }
    Err(io::Error::other(
        "cannot claim a folder for temporary files: it is swept each time",
    ))
}

/// Whether there was anything to sweep.
fn sweep(parent: &OwnedFd) -> io::Result<bool> {
    let mut swept = false;
    let mut locks = Vec::new();
    dirs::for_each(parent, |name, kind| {
        if let (Kind::File, Some(owner)) = (kind, name.strip_suffix(LOCK_SUFFIX)) {
            locks.push((name.to_owned(), owner.to_owned()));
        }
    })?;
    for (lock, owner) in locks {
        let file = match dirs::open_file(parent, &lock) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => {
                dirs::remove_tree(parent, &owner)?;
                dirs::remove_file(parent, &lock)?;
                swept = true;
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(swept)
}
