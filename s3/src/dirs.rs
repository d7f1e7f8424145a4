//! Folders by descriptor. Every step goes down one name from an open folder and never through a symbolic link, so
//! nothing that a user or a job puts into the root can lead outside of it, not even while we look.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Opens the folder `name` in `dir`. A symbolic link is "not a directory".
pub(crate) fn open_dir(dir: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(dir, name, FOLDER, Mode::empty())?)
}

/// Goes down through existing folders.
pub(crate) fn walk(dir: impl AsFd, names: &[impl AsRef<str>]) -> io::Result<OwnedFd> {
    let mut at = dir.as_fd().try_clone_to_owned()?;
    for name in names {
        at = open_dir(&at, name.as_ref())?;
    }
    Ok(at)
}

/// Goes down through folders and makes those that are missing.
pub(crate) fn walk_or_make(dir: impl AsFd, names: &[impl AsRef<str>]) -> io::Result<OwnedFd> {
    let mut at = dir.as_fd().try_clone_to_owned()?;
    for name in names {
        at = match open_dir(&at, name.as_ref()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_dir(&at, name.as_ref())?;
                open_dir(&at, name.as_ref())?
            }
            result => result?,
        };
    }
    Ok(at)
}

/// Makes a folder; one that exists is fine.
pub(crate) fn make_dir(dir: impl AsFd, name: &str) -> io::Result<()> {
    match rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a regular file to read. A folder is `IsADirectory`; a link, pipe or device is `NotFound`, for it is no object.
pub(crate) fn open_file(dir: impl AsFd, name: &str) -> io::Result<File> {
    // Without NONBLOCK, opening a pipe that somebody left in the folder would wait for its writer for ever.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(Errno::LOOP | Errno::NXIO) => return Err(io::ErrorKind::NotFound.into()),
        Err(error) => return Err(error.into()),
    };
    match Kind::of(FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode)) {
        Some(Kind::File) => Ok(file),
        Some(Kind::Folder) => Err(io::ErrorKind::IsADirectory.into()),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Removes a file; one that is gone already is fine.
pub(crate) fn remove_file(dir: impl AsFd, name: &str) -> io::Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Removes an empty folder.
pub(crate) fn remove_dir(dir: impl AsFd, name: &str) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)?)
}

/// What a name in a folder stands for; links, pipes and devices are left out of listings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    File,
    Folder,
}

impl Kind {
    fn of(found: FileType) -> Option<Self> {
        if found == FileType::RegularFile {
            Some(Self::File)
        } else {
            (found == FileType::Directory).then_some(Self::Folder)
        }
    }
}

/// Calls `each` for every file and folder of `dir` whose name is UTF-8, as every key is, in no order.
pub(crate) fn for_each(dir: impl AsFd, mut each: impl FnMut(&str, Kind)) -> io::Result<()> {
    for entry in Dir::read_from(dir.as_fd())? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        if matches!(name, "." | "..") {
            continue;
        }
        let mut found = entry.file_type();
        // Some file systems tell only when asked for each file.
        if found == FileType::Unknown
            && let Ok(stat) = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)
        {
            found = FileType::from_raw_mode(stat.st_mode);
        }
        if let Some(kind) = Kind::of(found) {
            each(name, kind);
        }
    }
    Ok(())
}

/// Removes the folder `name` and every empty folder in it. Whatever holds a file stays, which is an error.
pub(crate) fn remove_empty_tree(dir: impl AsFd, name: &str) -> io::Result<()> {
    if remove_dir(&dir, name).is_ok() {
        return Ok(());
    }
    let inner = open_dir(&dir, name)?;
    let mut folders = Vec::new();
    for_each(&inner, |child, kind| {
        if kind == Kind::Folder {
            folders.push(child.to_owned());
        }
    })?;
    for folder in folders {
        remove_empty_tree(&inner, &folder)?;
    }
    remove_dir(&dir, name)
}

/// Removes the folder `name` with all that is in it; never through a link. Missing is fine.
pub(crate) fn remove_tree(dir: impl AsFd, name: &str) -> io::Result<()> {
    let inner = match open_dir(&dir, name) {
        Ok(inner) => inner,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut children = Vec::new();
    for_each(&inner, |child, kind| children.push((child.to_owned(), kind)))?;
    for (child, kind) in children {
        match kind {
            Kind::Folder => remove_tree(&inner, &child)?,
            Kind::File => remove_file(&inner, &child)?,
        }
    }
    remove_dir(&dir, name)
}

/// A random name of 32 hexadecimal digits.
pub(crate) fn random_name() -> io::Result<String> {
    let mut raw = [0_u8; 16];
    getrandom::fill(&mut raw).map_err(|error| io::Error::other(format!("no random bytes: {error}")))?;
    Ok(crate::digest::hex(&raw))
}
