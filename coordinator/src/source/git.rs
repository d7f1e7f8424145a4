//! Running `git`: no prompts, no hooks, no inherited surprises, a time limit, bounded output.
//!
//! Two kinds of use. On the user's own folder their configuration counts (ignored files, filters, trusted
//! folders). Against a repository somewhere else nothing but what is written here counts, since what comes back
//! is untrusted.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use mayfly_kit::ways::TO_REPOSITORIES;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// Most output that is kept of one command, in bytes; the rest is read and dropped.
const STDOUT_MAX: usize = 8 << 20;
const STDERR_MAX: usize = 64 << 10;
/// Longest that a command on local data may take: adding a large work tree, bundling a long history.
const LOCAL_LIMIT: Duration = Duration::from_secs(600);

/// Variables that git may see, beside how to reach the network; everything else of the caller's environment is dropped,
/// `GIT_DIR` above all.
const KEPT: [&str; 6] = ["PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CONFIG_HOME"];

/// What holds for every command.
const OPTIONS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "advice.detachedHead=false",
];

/// What also holds when the other side is not this machine.
const REMOTE_OPTIONS: &[&str] = &[
    "protocol.file.allow=never",
    "protocol.ext.allow=never",
    "fetch.fsckObjects=true",
    "transfer.fsckObjects=true",
    "credential.helper=",
    // A redirect could lead to an address that was not checked.
    "http.followRedirects=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=15",
];

/// What a command left.
#[derive(Debug)]
pub(crate) struct Done {
    /// Whether the exit code was 0.
    pub(crate) ok: bool,
    /// Standard output, at most 8 MiB of it.
    pub(crate) stdout: Vec<u8>,
    /// Standard error, made printable.
    pub(crate) stderr: String,
}

impl Done {
    /// Standard output as one trimmed line of text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout)
            .trim_end_matches(['\n', '\r'])
            .to_owned()
    }
}

/// Why a command left nothing.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no git.
    #[error("git is not installed (or not on PATH): install it, for instance with `apt-get install git`")]
    Missing,
    /// It could not be started or talked to.
    #[error("cannot run git")]
    Io(#[source] std::io::Error),
    /// It took too long and was ended.
    #[error("`git {what}` took longer than {secs} s and was stopped")]
    Slow {
        /// The subcommand.
        what: String,
        /// The limit, in seconds.
        secs: u64,
    },
    /// It failed where it should not.
    #[error("`git {what}` failed: {message}")]
    Failed {
        /// The subcommand.
        what: String,
        /// The last line it wrote.
        message: String,
    },
}

/// A way to run git in one folder.
#[derive(Debug, Clone)]
pub(crate) struct Git {
    dir: PathBuf,
    env: Vec<(OsString, OsString)>,
    options: Vec<String>,
    limit: Duration,
}

impl Git {
    /// On a folder of the user's, with the user's configuration.
    pub(crate) fn local(dir: &Path) -> Self {
        let mut git = Self {
            dir: dir.to_owned(),
            env: Vec::new(),
            options: OPTIONS.iter().map(|&o| o.to_owned()).collect(),
            limit: LOCAL_LIMIT,
        };
        for (key, value) in [
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_LITERAL_PATHSPECS", "1"),
            ("GIT_ADVICE", "0"),
            ("LC_ALL", "C"),
        ] {
            git = git.env(key, value);
        }
        git
    }

    /// Against a repository elsewhere, from the scratch folder `dir`; `protocols` as in `GIT_ALLOW_PROTOCOL`.
    pub(crate) fn remote(dir: &Path, protocols: &str, limit: Duration) -> Self {
        let mut git = Self::local(dir);
        git.limit = limit;
        git.options.extend(REMOTE_OPTIONS.iter().map(|&o| o.to_owned()));
        for (key, value) in [
            ("GIT_ALLOW_PROTOCOL", protocols),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_TEMPLATE_DIR", ""),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
            ("GIT_ASKPASS", "false"),
            ("SSH_ASKPASS", "false"),
            (
                "GIT_SSH_COMMAND",
                "ssh -oBatchMode=yes -oConnectTimeout=10 -oStrictHostKeyChecking=yes -oPermitLocalCommand=no",
            ),
        ] {
            git = git.env(key, value);
        }
        git
    }

    /// The same, with one more variable.
    pub(crate) fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// The same, with another time limit.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The same, with one more configuration value (`key=value`).
    pub(crate) fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Runs a command; its exit code is part of the answer.
    pub(crate) async fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Done, GitError> {
        self.run_with(args, &[]).await
    }

    /// Runs a command whose failure is an error.
    pub(crate) async fn must<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Done, GitError> {
        let done = self.run(args).await?;
        if done.ok {
            return Ok(done);
        }
        Err(GitError::Failed {
            what: name_of(args),
            message: last_line(&done.stderr),
        })
    }

    /// Runs a command with something on its standard input.
    pub(crate) async fn run_with<S: AsRef<OsStr>>(&self, args: &[S], input: &[u8]) -> Result<Done, GitError> {
        let mut child = self.command(args).spawn().map_err(|e| {
            let no_program = e.kind() == std::io::ErrorKind::NotFound && self.dir.is_dir();
            if no_program {
                GitError::Missing
            } else {
                GitError::Io(e)
            }
        })?;
        let _group = Group::of(&child);
        let work = talk(&mut child, input);
        match tokio::time::timeout(self.limit, work).await {
            Ok(done) => done.map_err(GitError::Io),
            Err(_) => Err(GitError::Slow {
                what: name_of(args),
                secs: self.limit.as_secs(),
            }),
        }
    }

    fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new("git");
        command
            .env_clear()
            .current_dir(&self.dir)
            .process_group(0)
            .kill_on_drop(true);
        for key in KEPT.iter().chain(&TO_REPOSITORIES) {
            if let Some(value) = std::env::var_os(key) {
                command.env(key, value);
            }
        }
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        for option in &self.options {
            command.arg("-c").arg(option);
        }
        command.args(args.iter().map(AsRef::as_ref));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// Ends git's helpers (`git-remote-https`, `ssh`) too, however the command ends.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(
            child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .map(Pid::from_raw),
        )
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // Usually all of them have ended already and the group is no more.
            let _ = killpg(pid, Signal::SIGKILL);
        }
    }
}

async fn talk(child: &mut Child, input: &[u8]) -> std::io::Result<Done> {
    let stdin = child.stdin.take();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command that does not want its input closes the pipe: its exit code tells the rest.
            let _ = stdin.write_all(input).await;
        }
    };
    let ((), stdout, stderr) = tokio::join!(feed, read(stdout, STDOUT_MAX), read(stderr, STDERR_MAX));
    let status = child.wait().await?;
    let stderr = crate::cli::plain::lines(&String::from_utf8_lossy(&stderr?));
    Ok(Done {
        ok: status.success(),
        stdout: stdout?,
        stderr,
    })
}

async fn read(from: Option<impl AsyncRead + Unpin>, max: usize) -> std::io::Result<Vec<u8>> {
    let Some(mut from) = from else {
        return Ok(Vec::new());
    };
    let mut kept = Vec::new();
    (&mut from).take(max as u64).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(kept)
}

fn name_of<S: AsRef<OsStr>>(args: &[S]) -> String {
    args.first()
        .map(|a| a.as_ref().to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The line of git's complaint that says most: the last `fatal:` or `error:`, without that word.
pub(crate) fn last_line(stderr: &str) -> String {
    let told = |line: &&str| {
        ["fatal: ", "error: ", "remote: ", "ERROR: "]
            .iter()
            .any(|p| line.starts_with(p))
    };
    let line = stderr
        .lines()
        .rev()
        .find(told)
        .or_else(|| stderr.lines().rev().find(|l| !l.trim().is_empty()));
    let line = line.unwrap_or("it said nothing").trim();
    let line = line
        .strip_prefix("fatal: ")
        .or_else(|| line.strip_prefix("error: "))
        .unwrap_or(line);
    redact(line)
}

/// Hides the `user:password@` of every URL in a text.
#[must_use]
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after
            .find(|c: char| c == '/' || c.is_whitespace() || c == '\'' || c == '"')
            .unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => out.push_str(&format!("***@{host}")),
            None => out.push_str(authority),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_never_gets_through() {
        for (given, shown) in [
            ("https://user:pw@host/x.git", "https://***@host/x.git"),
            (
                "access 'https://tok@h/a': no; see https://h/b",
                "access 'https://***@h/a': no; see https://h/b",
            ),
            ("https://a@b:c@host", "https://***@host"),
            ("nothing here", "nothing here"),
        ] {
            assert_eq!(redact(given), shown);
        }
    }

    #[test]
    fn the_line_that_says_most_is_found() {
        let stderr = "hint: a\nfatal: repository 'https://u:p@h/' not found\n\n";
        assert_eq!(last_line(stderr), "repository 'https://***@h/' not found");
        assert_eq!(last_line("  \n"), "it said nothing");
    }

    #[tokio::test]
    async fn a_slow_command_is_stopped_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let git = Git::local(dir.path())
            .option("alias.nap=!sleep 600")
            .limit(Duration::from_millis(300));
        let error = git.run(&["nap"]).await.unwrap_err();
        assert!(matches!(error, GitError::Slow { .. }), "{error}");
    }

    #[tokio::test]
    async fn the_callers_repository_variables_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let done = Git::local(dir.path())
            .option("alias.show=!env")
            .run(&["show-env"])
            .await
            .unwrap();
        assert!(!done.ok);
        let done = Git::local(dir.path())
            .option("alias.envs=!env")
            .run(&["envs"])
            .await
            .unwrap();
        let text = done.text();
        assert!(
            text.contains("GIT_TERMINAL_PROMPT=0") && !text.contains("CARGO_MANIFEST_DIR"),
            "{text}"
        );
    }
}
