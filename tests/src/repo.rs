//! Git repositories to launch from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::programs::{must, repository};

/// A repository in a temporary folder.
#[derive(Debug)]
pub struct Repo {
    dir: TempDir,
}

impl Repo {
    /// One commit with the jobs of the tests (`tests/jobs`).
    #[must_use]
    pub fn of_jobs() -> Self {
        let repo = Self::empty();
        copy(&repository().join("tests/jobs"), repo.path());
        repo.commit();
        repo
    }

    /// One commit with the examples and the job files of this repository.
    #[must_use]
    pub fn of_examples() -> Self {
        let repo = Self::empty();
        for folder in ["examples", "configs/jobs"] {
            copy(&repository().join(folder), &repo.path().join(folder));
        }
        repo.commit();
        repo
    }

    /// One commit with a job of the older system (`tests/older`) and its data.
    #[must_use]
    pub fn of_older() -> Self {
        let repo = Self::empty();
        copy(&repository().join("tests/older"), repo.path());
        let data = repository().join("examples/log-reg-iris/iris.csv");
        fs::copy(data, repo.path().join("pyspark/lr_iris/iris.csv")).unwrap();
        repo.commit();
        repo
    }

    /// One commit with these files.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let repo = Self::empty();
        for (name, text) in files {
            fs::write(repo.path().join(name), text).unwrap();
        }
        repo.commit();
        repo
    }

    fn empty() -> Self {
        let repo = Self {
            dir: TempDir::new().unwrap(),
        };
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo
    }

    /// Commits what has been put into its folder since.
    pub fn and_commit(&self) {
        self.commit();
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=First"]);
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Its folder, as a job file takes it.
    #[must_use]
    pub fn url(&self) -> String {
        self.path().display().to_string()
    }

    /// The full id of its commit.
    #[must_use]
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    fn git(&self, args: &[&str]) -> String {
        let who = [
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@localhost",
            "-c",
            "commit.gpgsign=false",
        ];
        must(Command::new("git").args(who).args(args).current_dir(self.path()))
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target: PathBuf = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
