//! Where `.mayfly` is.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::failure::Failure;

/// Name of the folder.
const NAME: &str = ".mayfly";

/// The folder given, else the nearest one above the working folder, else a new one in the working folder.
///
/// # Errors
/// There is no working folder.
pub(crate) fn find(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let cwd = current()?;
    Ok(match given {
        Some(given) => cwd.join(given),
        None => nearest(&cwd).unwrap_or_else(|| cwd.join(NAME)),
    })
}

/// The working folder.
///
/// # Errors
/// It has been removed, or may not be read.
pub(crate) fn current() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|e| Failure::usage(format!("the working folder cannot be used: {e}")))
}

/// A folder for temporary files, whose name begins so.
///
/// # Errors
/// It cannot be made.
pub(crate) fn scratch(prefix: &str) -> Result<TempDir, Failure> {
    let made = tempfile::Builder::new().prefix(prefix).tempdir();
    made.map_err(|e| Failure::usage(format!("cannot make a folder for temporary files: {e}")))
}

fn nearest(from: &Path) -> Option<PathBuf> {
    from.ancestors()
        .map(|folder| folder.join(NAME))
        .find(|folder| folder.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_folder_counts() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::create_dir(dir.path().join(NAME)).unwrap();
        assert_eq!(nearest(&inner), Some(dir.path().join(NAME)));
        std::fs::create_dir(dir.path().join("a").join(NAME)).unwrap();
        assert_eq!(nearest(&inner), Some(dir.path().join("a").join(NAME)));
    }
}
