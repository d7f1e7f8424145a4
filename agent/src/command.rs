//! Short programs that help to prepare (git, pip, java -version): run to their end within a limit.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mayfly_kit::ways::{TO_PACKAGES, TO_REPOSITORIES};
use tokio::sync::mpsc;

use crate::supervise::{Child, Exit, Keeper, Spec, Stream};

/// Lines of output that are kept, the last ones.
const KEPT_LINES: usize = 400;

/// What of the agent's own environment such programs may see, beside how to reach the network: where things are.
const INHERITED: [&str; 9] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "PIP_CACHE_DIR",
];

/// A program to run. No `Debug`: its environment may hold secrets.
#[derive(Clone)]
pub struct Command {
    spec: Spec,
}

/// How it went.
#[derive(Debug)]
pub struct Finished {
    /// `None` when it was ended because its time was over.
    pub exit: Option<Exit>,
    /// Its last lines of output, standard output and error as they came.
    pub lines: Vec<String>,
}

impl Finished {
    /// True when it ended by itself with exit code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.exit.is_some_and(|exit| exit.success())
    }

    /// The last line that says something.
    #[must_use]
    pub fn last_line(&self) -> &str {
        self.lines
            .iter()
            .rev()
            .map(|line| line.trim())
            .find(|line| !line.is_empty())
            .unwrap_or("")
    }
}

impl Command {
    /// `program` with `args`, in `cwd`, with the environment that helpers may see.
    pub fn new<A: Into<OsString>>(
        keeper: &Keeper,
        program: impl Into<OsString>,
        args: impl IntoIterator<Item = A>,
        cwd: &Path,
    ) -> Self {
        let env = [&INHERITED[..], &TO_REPOSITORIES, &TO_PACKAGES]
            .concat()
            .iter()
            .filter_map(|key| Some(((*key).into(), std::env::var_os(key)?)))
            .collect();
        let program = program.into();
        Self {
            spec: Spec {
                name: PathBuf::from(&program)
                    .file_name()
                    .unwrap_or(&program)
                    .to_string_lossy()
                    .into_owned(),
                stream: Stream::Agent,
                program,
                args: args.into_iter().map(Into::into).collect(),
                env,
                cwd: cwd.into(),
                keeper: keeper.clone(),
            },
        }
    }

    /// Kept as the job itself is: it runs what the job brings.
    #[must_use]
    pub fn of_job(mut self) -> Self {
        self.spec.stream = Stream::Job;
        self
    }

    /// Adds to, or replaces in, its environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl Into<OsString>) -> Self {
        self.spec.env.retain(|(known, _)| known != key);
        self.spec.env.push((key.into(), value.into()));
        self
    }

    /// Removes from its environment.
    #[must_use]
    pub fn env_remove(mut self, key: &str) -> Self {
        self.spec.env.retain(|(known, _)| known != key);
        self
    }

    /// Runs it to its end, or kills it at the limit; `each` sees every line as it comes.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn run(self, limit: Duration, mut each: impl FnMut(&str)) -> io::Result<Finished> {
        let (sender, mut receiver) = mpsc::channel(64);
        let child = Child::spawn(self.spec, sender).await?;
        let mut lines = VecDeque::new();
        let read = async {
            while let Some(line) = receiver.recv().await {
                each(&line.text);
                if lines.len() == KEPT_LINES {
                    lines.pop_front();
                }
                lines.push_back(line.text);
            }
            child.wait().await
        };
        let exit = tokio::time::timeout(limit, read).await.ok();
        if exit.is_none() {
            drop(receiver);
            child.kill().await;
        }
        Ok(Finished {
            exit,
            lines: lines.into(),
        })
    }
}
