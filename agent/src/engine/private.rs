//! Folders and files that hold what is nobody else's business.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::supervise::Keeper;

/// Makes a folder that only this user can enter.
///
/// # Errors
/// What the system says.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Writes a file that only this user, and the job's, can read, and nobody can change.
///
/// # Errors
/// What the system says.
pub(super) fn write(keeper: &Keeper, path: &Path, text: &str) -> io::Result<()> {
    let part = path.with_extension("part");
    let _ = std::fs::remove_file(&part);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(&part)?;
    file.write_all(text.as_bytes())?;
    keeper.show(&part)?;
    std::fs::rename(part, path)
}
