//! A scratch repository that borrows the user's objects: bundles and snapshots are made in it, so that nothing is
//! ever written into the user's own.

use std::path::{Path, PathBuf};

use super::SourceError;
use super::git::Git;

/// The one ref of a bundle.
const REF: &str = "refs/heads/mayfly";

/// The scratch repository.
pub(crate) struct Scratch {
    /// Git in it.
    pub(crate) git: Git,
    /// The folder around it.
    pub(crate) folder: PathBuf,
    /// Where its own objects are.
    pub(crate) objects: PathBuf,
}

impl Scratch {
    /// Makes it in `folder`, borrowing from `objects`; `commit` tells the kind of ids.
    pub(crate) async fn new(folder: &Path, objects: &Path, commit: &str) -> Result<Self, SourceError> {
        let repository = folder.join("code.git");
        let format = if commit.len() == 64 {
            "--object-format=sha256"
        } else {
            "--object-format=sha1"
        };
        let init = Git::local(folder);
        init.must(&["init", "-q", "--bare", "--template=", format, "code.git"])
            .await?;
        let own = repository.join("objects");
        let info = own.join("info");
        let failed = |source| SourceError::Scratch {
            path: info.clone(),
            source,
        };
        std::fs::create_dir_all(&info).map_err(failed)?;
        let mut line = objects.as_os_str().as_encoded_bytes().to_vec();
        line.push(b'\n');
        std::fs::write(info.join("alternates"), line).map_err(failed)?;
        Ok(Self {
            git: Git::local(&repository),
            folder: folder.to_owned(),
            objects: own,
        })
    }

    /// Writes a bundle of one commit and its history.
    pub(crate) async fn bundle(&self, commit: &str) -> Result<PathBuf, SourceError> {
        let file = self.folder.join("code.bundle");
        self.git.must(&["update-ref", REF, commit]).await?;
        let args = [
            "bundle".as_ref(),
            "create".as_ref(),
            "-q".as_ref(),
            file.as_os_str(),
            REF.as_ref(),
        ];
        self.git.must(&args).await?;
        Ok(file)
    }
}
