//! Repositories for the tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mayfly_configs::{AdHoc, Code, ad_hoc};
use mayfly_coordinator::source::{self, Options, PathFrom, Source, SourceError};
use tempfile::TempDir;

/// A work tree with a first commit: `main.py`, `src/job.py`, `requirements.txt` and some oddities.
pub(crate) struct Repo {
    pub(crate) dir: TempDir,
}

/// Runs git in a folder, with no configuration but that of the test.
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let done = git_output(dir, args);
    assert!(
        done.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
}

pub(crate) fn git_output(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("git");
    command.current_dir(dir).args(args);
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "Test")
            .env(format!("GIT_{who}_EMAIL"), "test@example.org");
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap()
}

impl Repo {
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q", "-b", "main"]);
        Self { dir }
    }

    pub(crate) fn new() -> Self {
        let repo = Self::empty();
        repo.write("main.py", "print(1)\n");
        repo.write("src/job.py", "print(2)\n");
        repo.write("requirements.txt", "numpy\n");
        repo.write("empty.py", "");
        repo.write(".gitignore", "*.ignored\n");
        for (target, link) in [
            ("/etc/passwd", "out.py"),
            ("../../x", "up.py"),
            ("src/job.py", "in.py"),
            ("self.py", "self.py"),
        ] {
            std::os::unix::fs::symlink(target, repo.path().join(link)).unwrap();
        }
        repo.commit("first");
        repo
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let file = self.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        git(self.path(), &["add", "-A"]);
        git(self.path(), &["commit", "-q", "-m", message]);
        self.head()
    }

    pub(crate) fn head(&self) -> String {
        git(self.path(), &["rev-parse", "HEAD"])
    }
}

/// What a job says about its code.
pub(crate) fn code(repo: &str, git_ref: Option<&str>, entry: &str) -> Code {
    let flags = AdHoc {
        repo: Some(repo.to_owned()),
        git_ref: git_ref.map(str::to_owned),
        entry: entry.to_owned(),
        ..AdHoc::default()
    };
    ad_hoc(&flags, &|_| None).unwrap().code
}

/// Resolves in a scratch folder that is kept as long as the answer.
pub(crate) async fn resolve(code: &Code, base: &Path, dirty: bool) -> (TempDir, Result<Source, SourceError>) {
    let scratch = tempfile::tempdir().unwrap();
    let options = Options {
        base,
        path_from: PathFrom::Top,
        dirty,
        scratch: scratch.path(),
    };
    let result = source::resolve(code, options).await;
    (scratch, result)
}
