//! Whether what the job names is in the commit, and what is there instead.

mod program;

use std::time::Duration;

use mayfly_configs::Code;

use super::git::Git;
use super::near::hint;
use super::{GitError, SourceError};

/// Longest that the names for a hint are waited for: folders of a commit may be the same ones again and again, and some
/// bytes then stand for more names than anybody can wait for.
const HINT_LIMIT: Duration = Duration::from_secs(2);

/// What is at a path of a commit.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    File { bytes: u64 },
    Folder,
    Missing,
    LeavesRepository,
    Loop,
}

/// Checks the folder, the entry and the requirements; `top` is the job's folder from the top of the repository.
pub(crate) async fn check(git: &Git, commit: &str, top: &str, code: &Code) -> Result<(), SourceError> {
    let look = Look { git, commit };
    if !top.is_empty() {
        look.folder("code.path", top).await?;
    }
    // What is built is not there yet.
    if code.build.is_empty() {
        for entry in code.entries() {
            let entry = join(top, entry);
            look.file("code.entry", &entry).await?;
            program::entry(&look, &entry).await?;
        }
        for command in code.commands() {
            program::command(&look, top, command).await?;
        }
    }
    if let Some(requirements) = &code.requirements {
        look.file("code.requirements", &join(top, requirements.as_str()))
            .await?;
    }
    Ok(())
}

/// Two paths inside a repository as one; `.` and empty parts vanish.
pub(crate) fn join(top: &str, path: &str) -> String {
    let parts = top.split('/').chain(path.split('/'));
    parts
        .filter(|p| !p.is_empty() && *p != ".")
        .collect::<Vec<_>>()
        .join("/")
}

/// A commit that is looked at.
struct Look<'a> {
    git: &'a Git,
    commit: &'a str,
}

impl Look<'_> {
    async fn folder(&self, what: &'static str, path: &str) -> Result<(), SourceError> {
        match self.at(path).await? {
            Found::Folder => Ok(()),
            found @ (Found::File { .. } | Found::Missing | Found::LeavesRepository | Found::Loop) => {
                Err(self.wrong(what, path, &found).await)
            }
        }
    }

    async fn file(&self, what: &'static str, path: &str) -> Result<(), SourceError> {
        match self.at(path).await? {
            Found::File { bytes: 1.. } => Ok(()),
            found @ (Found::File { .. }
            | Found::Folder
            | Found::Missing
            | Found::LeavesRepository
            | Found::Loop) => Err(self.wrong(what, path, &found).await),
        }
    }

    async fn at(&self, path: &str) -> Result<Found, SourceError> {
        let query = format!("{}:{path}\0", self.commit);
        let args = ["cat-file", "--batch-check", "--follow-symlinks", "-z"];
        let done = self.git.run_with(&args, query.as_bytes()).await?;
        let line = String::from_utf8_lossy(&done.stdout).into_owned();
        let first = line.lines().next().unwrap_or_default();
        let mut words = first.rsplit(' ');
        let (last, kind) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Ok(match (kind, last) {
            ("blob", size) => Found::File {
                bytes: size.parse().unwrap_or(0),
            },
            ("tree", _) => Found::Folder,
            ("symlink", _) => Found::LeavesRepository,
            ("loop", _) => Found::Loop,
            _ => Found::Missing,
        })
    }

    async fn wrong(&self, what: &'static str, path: &str, found: &Found) -> SourceError {
        let wrong = match found {
            Found::File { bytes: 0 } => "is empty",
            Found::File { .. } => "is a file, not a folder",
            Found::Folder => "is a folder, not a file",
            Found::LeavesRepository => "is a symbolic link that leads out of the repository",
            Found::Loop => "is a symbolic link that leads to itself",
            Found::Missing => "does not exist",
        };
        let near = match found {
            Found::Missing | Found::Folder => self.instead(path, *found == Found::Folder).await,
            Found::File { .. } | Found::LeavesRepository | Found::Loop => String::new(),
        };
        self.refuse(what, path, wrong, near)
    }

    /// That this is wrong with a path, and what would be right: `; do this instead`.
    fn refuse(&self, what: &'static str, path: &str, wrong: &str, near: String) -> SourceError {
        SourceError::Tree {
            what,
            path: path.to_owned(),
            wrong: wrong.to_owned(),
            commit: self.commit.chars().take(10).collect(),
            near,
        }
    }

    /// A file's bytes, its links followed: the first 8 MiB of them.
    async fn bytes(&self, path: &str) -> Result<Vec<u8>, GitError> {
        let query = format!("{}:{path}\0", self.commit);
        let args = ["cat-file", "--batch", "--follow-symlinks", "-z"];
        let done = self.git.run_with(&args, query.as_bytes()).await?;
        let head = done.stdout.iter().position(|byte| *byte == b'\n');
        Ok(head
            .and_then(|end| done.stdout.get(end + 1..))
            .unwrap_or_default()
            .to_owned())
    }

    /// Names like the missing one anywhere in the commit, else those beside it.
    async fn instead(&self, path: &str, inside: bool) -> String {
        let all = self
            .names(&["ls-tree", "-r", "-z", "--name-only", self.commit])
            .await;
        let folder = if inside {
            path
        } else {
            path.rsplit_once('/').map_or("", |(folder, _)| folder)
        };
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let beside: Vec<String> = all.iter().filter(|n| n.starts_with(&prefix)).cloned().collect();
        let near = if inside { String::new() } else { hint(path, &all) };
        if near.starts_with("; did") || beside.is_empty() {
            near
        } else {
            hint(&prefix, &beside)
        }
    }

    async fn names(&self, args: &[&str]) -> Vec<String> {
        // Only for the hint: without an answer there is none.
        let Ok(done) = self.git.clone().limit(HINT_LIMIT).run(args).await else {
            return Vec::new();
        };
        let names = done.stdout.split(|b| *b == 0).filter(|n| !n.is_empty());
        names
            .take(5_000)
            .map(|n| String::from_utf8_lossy(n).into_owned())
            .collect()
    }
}
