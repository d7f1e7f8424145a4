//! Code in a folder on this machine: its commit travels as a bundle.

use std::path::{Path, PathBuf};

use mayfly_configs::Code;

use super::bundle::Scratch;
use super::git::{Git, last_line};
use super::near::hint;
use super::{Options, PathFrom, Source, SourceError, dirty, is_full_sha, tree};

/// A repository on this machine.
pub(crate) struct Repository {
    /// Git in the work tree (or in the bare repository).
    pub(crate) git: Git,
    /// Top of the work tree.
    pub(crate) top: PathBuf,
    /// `.git`, wherever it is.
    pub(crate) git_dir: PathBuf,
    /// Where its objects are.
    pub(crate) objects: PathBuf,
    /// Folder that was named, from the top of the work tree; empty for the top.
    prefix: String,
    bare: bool,
    shallow: bool,
}

impl Repository {
    fn shown(&self) -> String {
        self.top.display().to_string()
    }
}

pub(crate) async fn resolve(folder: &Path, code: &Code, options: Options<'_>) -> Result<Source, SourceError> {
    let repository = open(folder).await?;
    let mut warnings = Vec::new();
    let head = commit_of(&repository, code.git_ref.as_str()).await?;
    if repository.shallow {
        return Err(SourceError::Shallow(repository.shown()));
    }
    let scratch = Scratch::new(options.scratch, &repository.objects, &head).await?;
    let commit = if options.dirty {
        only_head(&repository, &head, code).await?;
        dirty::snapshot(&repository, &head, &scratch).await?
    } else {
        warnings.extend(uncommitted(&repository, &head).await?);
        head
    };
    let prefix = match options.path_from {
        PathFrom::Top => "",
        PathFrom::Folder => &repository.prefix,
    };
    let top = tree::join(prefix, code.path.as_str());
    tree::check(&scratch.git, &commit, &top, code).await?;
    let bundle = scratch.bundle(&commit).await?;
    Ok(Source {
        commit,
        bundle: Some(bundle),
        path: top,
        repo: repository.shown(),
        warnings,
    })
}

async fn open(folder: &Path) -> Result<Repository, SourceError> {
    let folder = std::fs::canonicalize(folder).map_err(|_| SourceError::NoFolder(folder.to_owned()))?;
    if !folder.is_dir() {
        return Err(SourceError::NoFolder(folder));
    }
    let git = Git::local(&folder);
    let asked = [
        "rev-parse",
        "--is-bare-repository",
        "--is-shallow-repository",
        "--path-format=absolute",
        "--git-path",
    ];
    let done = git
        .run(&[&asked[..], &["objects", "--absolute-git-dir"][..]].concat())
        .await?;
    if !done.ok {
        return Err(not_a_repository(folder, &done.stderr));
    }
    let text = done.text();
    let mut lines = text.lines();
    let mut next = || lines.next().unwrap_or_default().to_owned();
    let (bare, shallow) = (next() == "true", next() == "true");
    let (objects, git_dir) = (PathBuf::from(next()), PathBuf::from(next()));
    let (top, prefix) = if bare {
        (git_dir.clone(), String::new())
    } else {
        let top = git.must(&["rev-parse", "--show-toplevel"]).await?.text();
        (
            PathBuf::from(top),
            git.must(&["rev-parse", "--show-prefix"]).await?.text(),
        )
    };
    Ok(Repository {
        git: Git::local(&top),
        top,
        git_dir,
        objects,
        prefix,
        bare,
        shallow,
    })
}

fn not_a_repository(folder: PathBuf, stderr: &str) -> SourceError {
    if stderr.contains("dubious ownership") {
        return SourceError::NotTrusted(folder.display().to_string());
    }
    if stderr.contains("not a git repository") {
        return SourceError::NotRepository(folder);
    }
    super::GitError::Failed {
        what: "rev-parse".to_owned(),
        message: last_line(stderr),
    }
    .into()
}

async fn commit_of(repository: &Repository, reference: &str) -> Result<String, SourceError> {
    let commit = format!("{reference}^{{commit}}");
    let done = repository
        .git
        .run(&["rev-parse", "--verify", "-q", "--end-of-options", &commit])
        .await?;
    let sha = done.text();
    if done.ok && is_full_sha(&sha) {
        return Ok(sha);
    }
    let list = repository
        .git
        .must(&["for-each-ref", "--format=%(refname:short)"])
        .await?;
    let names: Vec<String> = list.text().lines().map(str::to_owned).collect();
    if names.is_empty() {
        return Err(SourceError::Empty(repository.shown()));
    }
    let near = hint(reference, &names);
    Err(SourceError::NoRef {
        reference: reference.to_owned(),
        repo: repository.shown(),
        near,
    })
}

async fn is_checked_out(repository: &Repository, commit: &str) -> Result<bool, SourceError> {
    let head = repository
        .git
        .run(&["rev-parse", "--verify", "-q", "HEAD^{commit}"])
        .await?;
    Ok(!repository.bare && head.text() == commit)
}

async fn only_head(repository: &Repository, commit: &str, code: &Code) -> Result<(), SourceError> {
    if is_checked_out(repository, commit).await? {
        return Ok(());
    }
    let what = if repository.bare {
        repository.shown()
    } else {
        code.git_ref.to_string()
    };
    Err(SourceError::DirtyElsewhere(what, "is not what is checked out"))
}

/// A warning, when what would run is not what the user sees.
async fn uncommitted(repository: &Repository, commit: &str) -> Result<Option<String>, SourceError> {
    if !is_checked_out(repository, commit).await? {
        return Ok(None);
    }
    let done = repository
        .git
        .must(&[
            "status",
            "--porcelain=v1",
            "--no-renames",
            "-z",
            "--ignore-submodules",
        ])
        .await?;
    let changed: Vec<&[u8]> = done.stdout.split(|b| *b == 0).filter(|e| e.len() > 3).collect();
    let Some(first) = changed.first().and_then(|e| e.get(3..)) else {
        return Ok(None);
    };
    let more = match changed.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let first = String::from_utf8_lossy(first).into_owned();
    Ok(Some(format!(
        "not committed, so not part of the run: {first}{more} (use --dirty to take it along)"
    )))
}
