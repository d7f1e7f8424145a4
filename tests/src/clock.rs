//! A clock that is wrong, for one command, or that somebody sets while it runs; and time that passes at once.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use jiff::Timestamp;
use tempfile::NamedTempFile;

use crate::programs;

/// The environment of a command whose clock says this now. What it starts has the right time, if it gets another environment.
///
/// # Panics
/// What moves the clock cannot be compiled: the C compiler that links Rust's programs does it.
#[must_use]
pub fn says(now: Timestamp) -> [(&'static str, String); 2] {
    let ahead = now.as_second() - Timestamp::now().as_second();
    [
        ("LD_PRELOAD", library().display().to_string()),
        ("CLOCK_AHEAD_SECS", ahead.to_string()),
    ]
}

/// The environment of programs whose time of day [`set`] sets at this path. What they wait for is not touched.
///
/// # Panics
/// As [`says`].
#[must_use]
pub fn sets(at: &Path) -> Vec<(String, String)> {
    [
        ("LD_PRELOAD", library().display().to_string()),
        ("CLOCK_SET", at.display().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// From now on the time of day of those programs is so many seconds ahead of the true one.
///
/// # Panics
/// The file cannot be written.
pub fn set(at: &Path, ahead_secs: i64) {
    let mut part = NamedTempFile::new_in(at.parent().unwrap()).unwrap();
    write!(part, "{ahead_secs}").unwrap();
    part.persist(at).unwrap();
}

/// The environment of programs for which so many seconds have passed as soon as there is a file at this path: what they wait
/// for as long has come then.
///
/// # Panics
/// As [`says`].
#[must_use]
pub fn jumps(at: &Path, secs: u64) -> Vec<(String, String)> {
    [
        ("LD_PRELOAD", library().display().to_string()),
        ("CLOCK_JUMPED", at.display().to_string()),
        ("CLOCK_JUMP_SECS", secs.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let library = programs::path("agent").with_file_name("clock.so");
        // Another process of tests may be loading it.
        let part = NamedTempFile::new_in(library.parent().unwrap()).unwrap();
        let mut compile = Command::new("cc");
        compile
            .args(["-shared", "-fPIC", "-o"])
            .arg(part.path())
            .arg(programs::repository().join("tests/src/clock.c"))
            .arg("-ldl");
        programs::must(&mut compile);
        part.persist(&library).unwrap();
        library
    })
}
