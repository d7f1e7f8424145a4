//! Resolving a job's code before anything starts: which commit, and is what the job names in it?
//!
//! * a folder on this machine ([`folder`]): the commit travels as a bundle, made in a scratch repository ([`bundle`]);
//!   `--dirty` makes the uncommitted work a commit there ([`dirty`]);
//! * a URL ([`remote`]): the host is checked ([`host`]), the ref becomes a commit id, its trees are looked at.

mod bundle;
mod dirty;
mod error;
mod folder;
mod git;
mod host;
/// Near names for messages.
pub mod near;
mod remote;
mod tree;

use std::path::{Path, PathBuf};

use mayfly_configs::{Code, Repo};

pub use error::SourceError;
pub use git::GitError;

/// Code that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Full commit id.
    pub commit: String,
    /// Bundle of the commit, in the scratch folder; `None` for a URL.
    pub bundle: Option<PathBuf>,
    /// The job's folder, from the top of the repository; empty for the top itself.
    pub path: String,
    /// The repository, for people.
    pub repo: String,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// Finds the code of a job. A relative folder is relative to `base`; `scratch` is an empty folder that lives as long as
/// the bundle is needed; `dirty` takes uncommitted work along.
///
/// # Errors
/// Each cause has its own [`SourceError`]; nothing has been started, and nothing of the user's has been changed.
pub async fn resolve(code: &Code, base: &Path, dirty: bool, scratch: &Path) -> Result<Source, SourceError> {
    match &code.repo {
        Repo::Folder(folder) => folder::resolve(&base.join(folder), code, dirty, scratch).await,
        Repo::Url(url) => remote::resolve(url, code, dirty, scratch).await,
    }
}

/// Whether this is a full commit id (SHA-1 or SHA-256).
fn is_full_sha(reference: &str) -> bool {
    matches!(reference.len(), 40 | 64) && is_hex(reference)
}

/// Whether this could be the beginning of a commit id.
fn is_short_sha(reference: &str) -> bool {
    (7..40).contains(&reference.len()) && is_hex(reference)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
