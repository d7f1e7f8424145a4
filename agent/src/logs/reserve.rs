//! Room on the disk that is kept free for logs: a job that fills the disk must not take along what tells of it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

/// Room for a few thousand lines, until they are in the store.
const BYTES: u64 = 8 * 1024 * 1024;

/// A file that takes up room until that is needed.
#[derive(Debug, Default)]
pub(super) struct Reserve {
    file: Option<PathBuf>,
}

impl Reserve {
    /// Takes room in a folder, if there is any.
    pub(super) fn take(&mut self, folder: &Path) {
        let path = folder.join("reserve");
        let taken = File::create(&path).and_then(|file| {
            fallocate(file, FallocateFlags::empty(), 0, BYTES).map_err(std::io::Error::from)
        });
        match taken {
            Ok(()) => self.file = Some(path),
            // Without it the logs have the room that there is.
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "no room is kept for logs"
                );
                let _none = fs::remove_file(path);
            }
        }
    }

    /// Gives the room to whoever needs it; false when it has been given.
    pub(super) fn give(&mut self) -> bool {
        self.file.take().is_some_and(|path| fs::remove_file(path).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut reserve = Reserve::default();
        assert!(!reserve.give());
        reserve.take(folder.path());
        assert_eq!(folder.path().join("reserve").metadata().unwrap().len(), BYTES);
        assert!(reserve.give() && !reserve.give());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
