//! What webhooks are signed with, out of the environment or a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::Failure;
use super::secret as file;
use crate::notify::Notify;
use crate::notify::reach::Reach;

/// The secret itself; and a file that holds it.
const VARIABLE: &str = "MAYFLY_NOTIFY_SECRET";
const VARIABLE_FILE: &str = "MAYFLY_NOTIFY_SECRET_FILE";

/// What is signed with: out of this file, else what the environment names or holds, else nothing.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn secret(named: Option<&Path>) -> Result<Option<Arc<str>>, Failure> {
    let of_environment = std::env::var_os(VARIABLE_FILE)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    if let Some(path) = named.map(Path::to_owned).or(of_environment) {
        return Ok(Some(file::read("the secret of the webhooks", &path)?.into()));
    }
    Ok(std::env::var(VARIABLE)
        .ok()
        .filter(|secret| !secret.is_empty())
        .map(Into::into))
}

/// Of a command, which runs what its own user wrote, on that user's machine.
///
/// # Errors
/// The secret cannot be read.
pub(crate) fn of_command() -> Result<Notify, Failure> {
    Ok(Notify {
        always: Vec::new(),
        secret: secret(None)?,
        reach: Reach::Anywhere,
    })
}
