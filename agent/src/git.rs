//! Brings the job's code: one commit, pinned by its full id, out of a repository that is not trusted.
//!
//! Nothing of the machine's or the user's Git configuration applies, no hook or filter runs, no submodule is followed, only
//! https, http and ssh are spoken (a bundle of ours: a file), and everything has a limit.

mod url;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use self::url::redact;
use crate::command::{Command, Finished};
use crate::prepare::PrepareError;
use crate::supervise::Keeper;

/// Where the code is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A repository on a server.
    Url {
        /// https, http or ssh, without credentials.
        url: String,
        /// Full id.
        commit: String,
    },
    /// A Git bundle on this node.
    Bundle {
        /// The bundle.
        file: PathBuf,
        /// Full id.
        commit: String,
    },
}

/// Bounds of a checkout.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For everything together.
    pub total: Duration,
    /// Largest size of the clone, with its work tree.
    pub bytes: u64,
    /// Most files and folders of the commit.
    pub entries: u64,
    /// Tries of a fetch, as long as the failure may pass.
    pub tries: u32,
    /// Pause after the first failed try; doubled after each.
    pub pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(300),
            bytes: 10 << 30,
            entries: 1_000_000,
            tries: 5,
            pause: Duration::from_secs(1),
        }
    }
}

const SIZE_POLL: Duration = Duration::from_millis(500);

/// What Git says when another try may help.
const TRANSIENT: [&str; 16] = [
    "could not resolve host",
    "connection refused",
    "connection reset",
    "connection timed out",
    "timed out",
    "operation too slow",
    "early eof",
    "the remote end hung up",
    "rpc failed",
    "returned error: 429",
    "returned error: 5",
    "failed to connect",
    "empty reply",
    "unexpected disconnect",
    "couldn't connect",
    "network is unreachable",
];

/// What a server says that does not serve commits by id.
const NO_FETCH_BY_ID: [&str; 3] = [
    "not our ref",
    "does not allow request for unadvertised",
    "no such remote ref",
];

/// Settings that hold for every call, over whatever a repository brings along.
const SETTINGS: [&str; 14] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "fetch.fsckObjects=true",
    "submodule.recurse=false",
    "protocol.file.allow=user",
    "protocol.ext.allow=never",
    // Where the URL leads was checked at the launch; where a redirect leads was not.
    "http.followRedirects=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "filter.lfs.smudge=",
    "filter.lfs.process=",
    "filter.lfs.required=false",
    "advice.detachedHead=false",
    "gc.auto=0",
];

/// Puts the commit into `dest`, which must not exist or be empty, and checks that it is that commit.
///
/// # Errors
/// In one sentence, with Git's own last word; the job's doing when a retry on another node would not help.
pub async fn checkout(
    source: &Source,
    dest: &Path,
    limits: &Limits,
    keeper: &Keeper,
) -> Result<(), PrepareError> {
    let (from, commit, protocols) = match source {
        Source::Url { url, commit } => (url::checked(url)?, commit, "https:http:ssh"),
        Source::Bundle { file, commit } => (file.display().to_string(), commit, "file"),
    };
    if !matches!(commit.len(), 40 | 64) || !commit.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(PrepareError::job(format!(
            "commit {commit:.80?} is not a full commit id of 40 or 64 hex digits"
        )));
    }
    std::fs::create_dir_all(dest)
        .and_then(|()| keeper.give(dest))
        .map_err(|error| PrepareError::infra(format!("create {}: {error}", dest.display())))?;
    let git = Git {
        dest,
        limits,
        keeper,
        protocols,
        deadline: Instant::now() + limits.total,
        from: redact(&from),
    };
    let format = if commit.len() == 64 {
        "--object-format=sha256"
    } else {
        "--object-format=sha1"
    };
    git.must(&["init", "--quiet", "--template=", format], "create a repository")
        .await?;
    git.fetch(source, &from, commit).await?;
    git.count(commit).await?;
    git.must(
        &[
            "checkout",
            "--quiet",
            "--detach",
            "--force",
            "--no-recurse-submodules",
            commit,
        ],
        "check out",
    )
    .await?;
    let head = git.must(&["rev-parse", "--verify", "HEAD"], "read HEAD").await?;
    if head.last_line().eq_ignore_ascii_case(commit) {
        Ok(())
    } else {
        Err(PrepareError::infra(format!(
            "{} gave commit {} where {commit} was asked for",
            git.from,
            head.last_line()
        )))
    }
}

struct Git<'a> {
    dest: &'a Path,
    limits: &'a Limits,
    keeper: &'a Keeper,
    protocols: &'a str,
    deadline: Instant,
    /// For messages.
    from: String,
}

impl Git<'_> {
    /// One fetch of one commit, tried again while the failure may pass; all branches where the server insists.
    async fn fetch(&self, source: &Source, from: &str, commit: &str) -> Result<(), PrepareError> {
        let all = "+refs/*:refs/remotes/origin/*";
        let by_id = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--depth=1",
            "--",
            from,
            commit,
        ];
        let whole = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--",
            from,
            all,
        ];
        let mut args: &[&str] = if matches!(source, Source::Url { .. }) {
            &by_id
        } else {
            &whole
        };
        let mut pause = self.limits.pause;
        let mut tries = 0;
        loop {
            let done = self.run(args).await?;
            if done.success() {
                return self.has(commit).await;
            }
            let said = done.lines.join("\n").to_lowercase();
            if args.len() == by_id.len() && NO_FETCH_BY_ID.iter().any(|text| said.contains(text)) {
                args = &whole;
                continue;
            }
            tries += 1;
            let transient = TRANSIENT.iter().any(|text| said.contains(text));
            if !transient || tries >= self.limits.tries || Instant::now() + pause >= self.deadline {
                return Err(self.failure("fetch", &done, transient));
            }
            tracing::warn!(from = self.from, tries, said = done.last_line(), "fetch again");
            sleep(pause).await;
            pause *= 2;
        }
    }

    async fn has(&self, commit: &str) -> Result<(), PrepareError> {
        let object = format!("{commit}^{{commit}}");
        if self.run(&["cat-file", "-e", &object]).await?.success() {
            return Ok(());
        }
        Err(PrepareError::job(format!(
            "commit {commit} is not in {}: it was never there, or its history was rewritten",
            self.from
        )))
    }

    /// Folders of a commit may be the same ones again and again: some bytes then stand for more files than Git has memory
    /// for when it checks them out.
    async fn count(&self, commit: &str) -> Result<(), PrepareError> {
        let (too_many, mut seen) = (Notify::new(), 0);
        let listing = self.command(&["ls-tree", "-r", "-t", "--name-only", commit]);
        let listing = listing.run(self.left(), |_| {
            seen += 1;
            if seen > self.limits.entries {
                too_many.notify_one();
            }
        });
        let done = tokio::select! {
            () = too_many.notified() => None,
            done = listing => Some(self.ended(done)?),
        };
        match done {
            Some(done) if !done.success() => Err(self.failure("list the files", &done, false)),
            Some(_) if seen <= self.limits.entries => Ok(()),
            Some(_) | None => Err(PrepareError::job(format!(
                "commit {commit} of {} has more than {} files and folders",
                self.from, self.limits.entries
            ))),
        }
    }

    async fn must(&self, args: &[&str], what: &str) -> Result<Finished, PrepareError> {
        let done = self.run(args).await?;
        if done.success() {
            Ok(done)
        } else {
            Err(self.failure(what, &done, false))
        }
    }

    fn failure(&self, what: &str, done: &Finished, transient: bool) -> PrepareError {
        let said = redact(telling(done));
        let message = format!("cannot {what} from {}: git says: {said}", self.from);
        let full = said.contains("No space left");
        if transient || full {
            PrepareError::infra(message)
        } else {
            PrepareError::job(message)
        }
    }

    /// Runs Git within what is left of the time, and ends it when the folder grows too large.
    async fn run(&self, args: &[&str]) -> Result<Finished, PrepareError> {
        let done = tokio::select! {
            done = self.command(args).run(self.left(), |_| {}) => done,
            () = self.too_large() => return Err(self.size_error()),
        };
        // What came between two looks.
        if self.bytes().await > self.limits.bytes {
            return Err(self.size_error());
        }
        self.ended(done)
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn command(&self, args: &[&str]) -> Command {
        let settings = SETTINGS.iter().flat_map(|setting| ["-c", setting]);
        Command::new(
            self.keeper,
            "git",
            settings.chain(args.iter().copied()),
            self.dest,
        )
        .env("GIT_ALLOW_PROTOCOL", self.protocols)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "/bin/false")
        .env("GIT_LFS_SKIP_SMUDGE", "1")
        .env("GIT_CEILING_DIRECTORIES", self.dest.parent().unwrap_or(self.dest))
        .env(
            "GIT_SSH_COMMAND",
            "ssh -oBatchMode=yes -oConnectTimeout=15 -oStrictHostKeyChecking=yes",
        )
        .env("LC_ALL", "C")
    }

    /// By itself, whatever its exit code.
    fn ended(&self, done: std::io::Result<Finished>) -> Result<Finished, PrepareError> {
        let done = done.map_err(|error| PrepareError::infra(format!("run git: {error}")))?;
        if done.exit.is_none() {
            let secs = self.limits.total.as_secs();
            return Err(PrepareError::infra(format!(
                "{} did not deliver the code within {secs} s",
                self.from
            )));
        }
        Ok(done)
    }

    async fn too_large(&self) {
        loop {
            sleep(SIZE_POLL).await;
            if self.bytes().await > self.limits.bytes {
                return;
            }
        }
    }

    async fn bytes(&self) -> u64 {
        let (folder, cap) = (self.dest.to_path_buf(), self.limits.bytes);
        tokio::task::spawn_blocking(move || folder_bytes(&folder, cap))
            .await
            .unwrap_or(0)
    }

    fn size_error(&self) -> PrepareError {
        PrepareError::job(format!(
            "the repository {} is larger than {} MiB",
            self.from,
            self.limits.bytes >> 20
        ))
    }
}

/// The line of Git's that says most: its last complaint; where it could only say that ssh has failed, ssh's own.
fn telling(done: &Finished) -> &str {
    let complaint = |line: &&String| line.starts_with("fatal:") || line.starts_with("error:");
    let said = done.lines.iter().rev().find(complaint);
    let said = said.map_or(done.last_line(), String::as_str);
    let of_ssh =
        |line: &&String| line.contains("Permission denied (") || line.starts_with("Host key verification");
    if !said.contains("Could not read from remote repository") {
        return said;
    }
    done.lines.iter().rev().find(of_ssh).map_or(said, String::as_str)
}

/// Size of the files below `folder`; stops to count above `cap`.
fn folder_bytes(folder: &Path, cap: u64) -> u64 {
    let mut folders = vec![folder.to_path_buf()];
    let mut bytes: u64 = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                Ok(meta) => bytes = bytes.saturating_add(meta.len()),
                Err(_) => {}
            }
        }
        if bytes > cap {
            break;
        }
    }
    bytes
}
