//! What a command that died left over, named by the next one.

use std::path::Path;

use super::failure::Failure;
use crate::embedded::OpenStore;
use crate::gc;

/// One line for each run whose command died and that nobody has closed yet.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn notes(home: &Path, open: &OpenStore) -> Result<Vec<String>, Failure> {
    let found = gc::scan(home, open).await?;
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
