//! Scripts that come with the agent, for kinds of jobs and engines that need a few lines of Python.

use std::io;
use std::path::{Path, PathBuf};

use mayfly_proto::engine::facts::RUNNER;

use super::private;
use crate::supervise::Keeper;

/// Names, as in `{runner.sql}`, and texts.
const ALL: [(&str, &str); 4] = [
    ("connect", include_str!("runners/connect.py")),
    ("sql", include_str!("runners/sql.py")),
    ("notebook", include_str!("runners/notebook.py")),
    ("remote", include_str!("runners/remote.py")),
];

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.py"))
}

/// What templates call them, and where they are or will be.
pub(super) fn facts(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    ALL.iter()
        .map(move |(name, _)| (format!("{RUNNER}{name}"), path(folder, name)))
}

/// Writes them where the engine finds them.
///
/// # Errors
/// What the system says.
pub(super) fn write(keeper: &Keeper, folder: &Path) -> io::Result<()> {
    ALL.iter()
        .try_for_each(|(name, text)| private::write(keeper, &path(folder, name), text))
}
