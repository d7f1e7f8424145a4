//! What can be wrong with a job's code.

use std::path::PathBuf;

use super::git::GitError;

/// Why the code of a job was not found, in one sentence that says what would be right.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The folder is not there.
    #[error("the folder {} does not exist (`repo` is a folder on this machine or an https or ssh URL)", .0.display())]
    NoFolder(PathBuf),
    /// The folder is not in a Git repository.
    #[error(
        "{} is not in a Git repository: make it one with `git init && git add -A && git commit -m \"First\"` there",
        .0.display()
    )]
    NotRepository(PathBuf),
    /// Git does not trust the folder's owner.
    #[error(
        "Git refuses {0} because somebody else owns it: allow it with `git config --global --add safe.directory {0}`"
    )]
    NotTrusted(String),
    /// There is no commit at all.
    #[error("the repository {0} has no commit yet: `git add -A && git commit -m \"First\"`")]
    Empty(String),
    /// The ref does not exist.
    #[error("{reference:?} is no branch, tag or commit of {repo}{near}")]
    NoRef {
        /// The ref.
        reference: String,
        /// The repository, without secrets.
        repo: String,
        /// `; did you mean …`, or what there is, or nothing.
        near: String,
    },
    /// A part of a commit id, for a repository that is not here.
    #[error("{0:?} looks like a part of a commit id: write all of it (40 digits), or a branch or tag")]
    ShortSha(String),
    /// The history is cut off.
    #[error("{0} is a shallow clone, so its commit cannot travel: run `git fetch --unshallow` there first")]
    Shallow(String),
    /// `--dirty` has no meaning here.
    #[error("--dirty takes the uncommitted work of a folder, but {0} {1}")]
    DirtyElsewhere(String, &'static str),
    /// Nobody answers.
    #[error("the repository {url} cannot be reached: {message}")]
    Unreachable {
        /// The URL, without secrets.
        url: String,
        /// Git's reason.
        message: String,
    },
    /// It wants to know who we are.
    #[error(
        "the repository {0} does not exist or wants a login: check the address, use an ssh URL whose key your agent holds, \
         or clone it and give the folder"
    )]
    Login(String),
    /// The path inside the repository is not what the job needs.
    #[error("{what} {path:?} {wrong} in commit {commit}{near}")]
    Tree {
        /// `code.path`, `code.entry` or `code.requirements`.
        what: &'static str,
        /// The path, from the top of the repository.
        path: String,
        /// `does not exist`, `is a folder`, …
        wrong: String,
        /// Short id of the commit.
        commit: String,
        /// `; did you mean …`, or what is there instead, or nothing.
        near: String,
    },
    /// Git itself.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The scratch folder.
    #[error("cannot write {}", path.display())]
    Scratch {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
