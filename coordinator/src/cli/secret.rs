//! Secrets that are one line of a file.

use std::io::Read as _;
use std::path::Path;

use super::failure::Failure;

/// Nothing that is a secret is longer, in bytes.
const SECRET_MAX: u64 = 4096;

/// Reads one, without what is around it. `what` says what it is.
///
/// # Errors
/// The file cannot be read, or is empty.
pub(crate) fn read(what: &str, path: &Path) -> Result<String, Failure> {
    let bad = |why: &str| Failure::usage(format!("{what} in {}: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| bad(&error.to_string()))?;
    let mut text = String::new();
    file.take(SECRET_MAX)
        .read_to_string(&mut text)
        .map_err(|error| bad(&error.to_string()))?;
    let secret = text.trim();
    if secret.is_empty() {
        return Err(bad("the file is empty"));
    }
    Ok(secret.to_owned())
}
