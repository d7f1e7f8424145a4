//! A small file system, which a test fills.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// The largest piece that it is filled with, and the smallest.
const PIECES: [usize; 2] = [1 << 20, 1];

/// A file system of its own on a folder, until it is dropped.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    /// Below it.
    outside: Vec<PathBuf>,
}

impl Disk {
    /// Mounts it on a folder; `room` is its size in tmpfs(5)'s words.
    ///
    /// # Errors
    /// This user may not, in words.
    ///
    /// # Panics
    /// The folder cannot be made.
    pub fn on(folder: &Path, room: &str) -> Result<Self, String> {
        fs::create_dir_all(folder).unwrap();
        let size = format!("size={room}");
        let mounted = mount(
            Some("tmpfs"),
            folder,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(size.as_str()),
        );
        mounted.map_err(|error| format!("no file system can be mounted here: {error}"))?;
        Ok(Self {
            folder: folder.to_owned(),
            outside: Vec::new(),
        })
    }

    /// Has this folder of it lie on another file system, in `place`.
    ///
    /// # Panics
    /// It cannot be mounted.
    pub fn outside(&mut self, name: &str, place: &Path) {
        let folder = self.folder.join(name);
        for made in [&folder, place] {
            fs::create_dir_all(made).unwrap();
        }
        mount(Some(place), &folder, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
        self.outside.push(folder);
    }

    /// Leaves no room on it.
    ///
    /// # Panics
    /// It cannot be written at all.
    pub fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        for piece in PIECES {
            let piece = vec![0; piece];
            while filler.write_all(&piece).is_ok() {}
        }
    }

    /// Makes room again.
    ///
    /// # Panics
    /// It was not filled.
    pub fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    /// Lets nobody write to it.
    ///
    /// # Panics
    /// This user may not.
    pub fn lock(&self) {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, &self.folder, None::<&str>, flags, None::<&str>).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for folder in self.outside.iter().chain([&self.folder]) {
            let _gone = umount2(folder, MntFlags::MNT_DETACH);
        }
    }
}
