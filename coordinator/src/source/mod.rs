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
pub use git::{GitError, redact};

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

/// Where `code.path` of a folder begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathFrom {
    /// At the top of the repository that the folder is in: a job file means the same wherever it lies.
    Top,
    /// At the folder itself: what a person means who stands in it.
    Folder,
}

/// How to look for code.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// What a relative folder is relative to.
    pub base: &'a Path,
    /// Where `code.path` begins.
    pub path_from: PathFrom,
    /// Take uncommitted work along.
    pub dirty: bool,
    /// An empty folder that lives as long as the bundle is needed.
    pub scratch: &'a Path,
}

/// Finds the code of a job.
///
/// # Errors
/// Each cause has its own [`SourceError`]; nothing has been started, and nothing of the user's has been changed.
pub async fn resolve(code: &Code, options: Options<'_>) -> Result<Source, SourceError> {
    match &code.repo {
        Repo::Folder(folder) => folder::resolve(&options.base.join(folder), code, options).await,
        Repo::Url(url) => remote::resolve(url, code, options).await,
    }
}

/// The version of Git on this machine.
///
/// # Errors
/// It is not there, or does not run.
pub async fn git_version() -> Result<String, GitError> {
    let done = git::Git::local(&std::env::temp_dir())
        .must(&["--version"])
        .await?;
    Ok(done.text().trim().to_owned())
}

/// Whether a folder is in a repository.
///
/// # Errors
/// Git is not there, or does not run.
pub async fn is_repository(folder: &Path) -> Result<bool, GitError> {
    let asked = git::Git::local(folder).run(&["rev-parse", "--git-dir"]).await?;
    Ok(asked.ok)
}

/// Makes a folder a repository of one commit that holds nothing, for what has no code of its own.
///
/// # Errors
/// Git is not there, or fails.
pub async fn make_empty(folder: &Path) -> Result<(), GitError> {
    let mut git = git::Git::local(folder);
    for who in ["AUTHOR", "COMMITTER"] {
        git = git.env(format!("GIT_{who}_NAME"), "Mayfly");
        git = git.env(format!("GIT_{who}_EMAIL"), "mayfly@localhost");
    }
    git.must(&["init", "--quiet"]).await?;
    git.must(&["commit", "--quiet", "--allow-empty", "--message=no code"])
        .await?;
    Ok(())
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
