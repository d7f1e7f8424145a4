//! What a command that died left over, named by the next one.

use std::path::Path;

use super::failure::Failure;
use crate::embedded::OpenStore;
use crate::gc;
use crate::record::RunRecord;

/// One line for each run whose command died and that nobody has closed yet.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn notes(home: &Path, open: &OpenStore) -> Result<Vec<String>, Failure> {
    notes_beside(home, open, &[]).await
}

/// The same for whoever has read these records already.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn notes_beside(
    home: &Path,
    open: &OpenStore,
    known: &[RunRecord],
) -> Result<Vec<String>, Failure> {
    let found = gc::scan_beside(home, open, known).await?;
    Ok(found.iter().map(note).collect())
}

fn note(left: &gc::Leftover) -> String {
    let wrote = left
        .folder
        .as_ref()
        .map(|f| format!("; what its job wrote is in {}", f.display()));
    let wrote = wrote.unwrap_or_default();
    format!(
        "left over: {} is {}{wrote} (`coordinator gc --yes` closes it)",
        left.run, left.what
    )
}
