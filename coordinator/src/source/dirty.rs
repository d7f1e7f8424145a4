//! The uncommitted work as a commit, made without touching the user's tree, index, refs or objects.

use std::fs::File;
use std::path::Path;

use super::SourceError;
use super::bundle::Scratch;
use super::folder::Repository;

/// A commit on top of `head` of everything in the work tree that is not ignored. The same work gives the same id.
pub(crate) async fn snapshot(
    repository: &Repository,
    head: &str,
    scratch: &Scratch,
) -> Result<String, SourceError> {
    let index = scratch.folder.join("index");
    copy_index(&repository.git_dir.join("index"), &index)?;
    let git = repository
        .git
        .clone()
        .env("GIT_DIR", &repository.git_dir)
        .env("GIT_WORK_TREE", &repository.top)
        .env("GIT_INDEX_FILE", &index)
        .env("GIT_OBJECT_DIRECTORY", &scratch.objects);
    git.must(&["add", "-A", "--", "."]).await?;
    let tree = git.must(&["write-tree"]).await?.text();
    if tree
        == git
            .must(&["rev-parse", &format!("{head}^{{tree}}")])
            .await?
            .text()
    {
        return Ok(head.to_owned());
    }
    let date = git
        .must(&["show", "-s", "--format=@%ct +0000", head])
        .await?
        .text();
    let mut signed = git;
    for who in ["AUTHOR", "COMMITTER"] {
        signed = signed
            .env(format!("GIT_{who}_NAME"), "Mayfly")
            .env(format!("GIT_{who}_EMAIL"), "mayfly@localhost")
            .env(format!("GIT_{who}_DATE"), &date);
    }
    let message = format!("Uncommitted work on top of {head}");
    Ok(signed
        .must(&["commit-tree", "--no-gpg-sign", "-p", head, "-m", &message, &tree])
        .await?
        .text())
}

/// The copy keeps the time of the original: by it Git tells which entries it cannot trust to be unchanged.
fn copy_index(from: &Path, to: &Path) -> Result<(), SourceError> {
    let failed = |source| SourceError::Scratch {
        path: to.to_owned(),
        source,
    };
    let modified = match std::fs::metadata(from) {
        Ok(meta) => meta.modified().map_err(failed)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(e)),
    };
    std::fs::copy(from, to).map_err(failed)?;
    File::options()
        .write(true)
        .open(to)
        .and_then(|file| file.set_modified(modified))
        .map_err(failed)
}
