//! Starts programs under a keeper, reads their output line by line, stops them, and returns their end as a value.
//!
//! Every child of the agent must be started here: a direct child that is no known keeper is an orphan of a keeper that
//! was killed, and is killed too (see [`become_subreaper`]).

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use mayfly_kit::crash;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::jobuser::JobUser;
pub use crate::keeper::Exit;

mod lines;
mod orphans;

pub use lines::{LINE_MAX_BYTES, Line, Stream};
pub use orphans::{become_subreaper, sweep};

/// A keeper starts and reports within this time, or the machine is beyond use.
const START_MAX: Duration = Duration::from_secs(20);
/// From `kill` to the keeper's report; a little more than the keeper itself allows.
const KILL_MAX: Duration = Duration::from_secs(12);
/// How long the end waits for output that nobody takes.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// What to run. No `Debug`: the environment may hold secrets.
#[derive(Clone)]
pub struct Spec {
    /// Short name for logs, as `git` or `job`.
    pub name: String,
    /// Where its lines belong. What is not of the agent may do anything, and is kept in a control group where that can be.
    pub stream: Stream,
    /// The program; looked up on the `PATH` of `env` when it is a bare name.
    pub program: OsString,
    /// Its arguments. Never a secret: every user of the machine can read them.
    pub args: Vec<OsString>,
    /// The complete environment: nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// Who starts it.
    pub keeper: Keeper,
}

/// How programs are started: by the agent's own executable, as `agent keep`, which starts them as a user.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// The agent's own executable.
    pub agent: PathBuf,
    /// The agent's own user, if `None`.
    pub user: Option<JobUser>,
    /// What it and its clones have started.
    running: TaskTracker,
}

impl Keeper {
    /// One that has started nothing yet.
    #[must_use]
    pub fn new(agent: PathBuf, user: Option<JobUser>) -> Self {
        Self {
            agent,
            user,
            running: TaskTracker::new(),
        }
    }

    /// Does something for a program that it has started; the work ends at the latest with the program.
    pub(crate) fn attend(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(work);
    }

    /// Waits until nothing is left of what it and its clones have started; for that every [`Child`] has to be dropped. To
    /// drop one says that it shall end, but it writes to its files until it has. What resists SIGKILL is given up after half
    /// a minute.
    pub async fn all_gone(&self) {
        self.running.close();
        self.running.wait().await;
    }
}

impl From<PathBuf> for Keeper {
    fn from(agent: PathBuf) -> Self {
        Self::new(agent, None)
    }
}

/// A running program and everything it started. Dropping it kills all of that.
pub struct Child {
    name: String,
    pid: u32,
    commands: mpsc::Sender<Order>,
    exit: watch::Receiver<Option<Exit>>,
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Term,
    Kill,
}

impl Child {
    /// Starts the program; its lines go to `lines`, which slows the program down when it is full.
    ///
    /// # Errors
    /// What the system says: no such program, no such folder, no memory.
    pub async fn spawn(spec: Spec, lines: mpsc::Sender<Line>) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut keeper = orphans::spawn_keeper(command(&spec, theirs))?;
        let (read, write) = UnixStream::from_std(ours)?.into_split();
        let mut readers = JoinSet::new();
        if let Some(stdout) = keeper.take_stdout() {
            readers.spawn(lines::forward(stdout, spec.stream, lines.clone()));
        }
        if let Some(stderr) = keeper.take_stderr() {
            readers.spawn(lines::forward(stderr, spec.stream, lines));
        }
        let (commands, orders) = mpsc::channel(8);
        let (report, exit) = watch::channel(None);
        let (begun, pid) = oneshot::channel();
        let watch = Watch {
            keeper,
            reports: BufReader::new(read),
            write,
            orders,
            readers,
            report,
            name: spec.name.clone(),
        };
        let name = spec.name.clone();
        spec.keeper.running.clone().spawn(watch.run(spec, begun));
        let pid = pid.await.map_err(io::Error::other)??;
        Ok(Self {
            name,
            pid,
            commands,
            exit,
        })
    }

    /// The name it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The program's process id (not its keeper's).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its end, if it has come.
    #[must_use]
    pub fn exited(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits until it ends and nothing of its tree is left. May be called again.
    pub async fn wait(&self) -> Exit {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await;
        ended.ok().and_then(|value| *value).unwrap_or_default()
    }

    /// SIGTERM to the program's process group; after `grace`, SIGKILL to the whole tree.
    pub async fn stop(&self, grace: Duration) -> Exit {
        // A full queue holds the same orders already; a closed one means that it has ended.
        let _ = self.commands.try_send(Order::Term);
        if let Ok(exit) = timeout(grace, self.wait()).await {
            return exit;
        }
        self.kill().await
    }

    /// SIGKILL to the whole tree, and waits until it is gone.
    pub async fn kill(&self) -> Exit {
        let _ = self.commands.send(Order::Kill).await;
        self.wait().await
    }
}

fn command(spec: &Spec, socket: std::os::unix::net::UnixStream) -> Command {
    let mut command = Command::new(&spec.keeper.agent);
    command.arg("keep");
    if let Some(user) = &spec.keeper.user {
        command.arg(format!("--user={}:{}", user.uid, user.gid));
    }
    if spec.stream.is_of_job() {
        command.arg("--grouped");
    }
    command.arg("--").arg(&spec.program).args(&spec.args);
    command
        .env_clear()
        .envs(spec.env.iter().map(|(key, value)| (key, value)))
        .envs(
            crash::VARIABLES
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .current_dir(&spec.cwd);
    if let Some(user) = &spec.keeper.user {
        command
            .env("HOME", &user.home)
            .env("USER", &user.name)
            .env("LOGNAME", &user.name);
    }
    command
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // A group of its own: a Ctrl-C in the terminal reaches the agent only.
    command.process_group(0);
    command
}

/// Waits for the keeper's first word. From then on nothing holds the program's environment here.
async fn started(reports: &mut BufReader<OwnedReadHalf>, spec: Spec) -> io::Result<u32> {
    let mut line = String::new();
    reports.read_line(&mut line).await?;
    match line.trim_end().split_once(' ') {
        Some(("pid", pid)) => pid.parse().map_err(io::Error::other),
        Some(("error", number)) => {
            let error = number
                .parse()
                .map_or_else(io::Error::other, io::Error::from_raw_os_error);
            Err(io::Error::new(
                error.kind(),
                format!("start {}: {error}", spec.program.display()),
            ))
        }
        _ => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the keeper of {} ended before it started anything", spec.name),
        )),
    }
}

/// The task behind one [`Child`]; it outlives it until the program has ended.
struct Watch {
    keeper: orphans::Keeper,
    reports: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    orders: mpsc::Receiver<Order>,
    readers: JoinSet<()>,
    report: watch::Sender<Option<Exit>>,
    name: String,
}

/// As evidence: the processes themselves cannot tell it.
fn tell_kills(name: &str, count: u64) {
    if count > 0 {
        tracing::warn!("the kernel killed {count} of the processes of the {name} because memory ran out");
    }
}

impl Watch {
    async fn run(mut self, spec: Spec, begun: oneshot::Sender<io::Result<u32>>) {
        let pid = timeout(START_MAX, started(&mut self.reports, spec)).await;
        let pid = pid.map_err(io::Error::from).flatten();
        let failed = pid.is_err();
        let mute = matches!(&pid, Err(error) if error.kind() == io::ErrorKind::UnexpectedEof);
        // Whoever does not wait for this any more has dropped the orders too.
        let _ = begun.send(pid);
        if failed {
            drop((self.reports, self.write));
            self.keeper.reap().await;
            if mute {
                // It may have started the program all the same.
                sweep().await;
            }
            return;
        }
        let exit = self.until_exit().await;
        self.keeper.reap().await;
        let exit = match exit {
            Some(exit) => {
                tell_kills(&self.name, exit.oom_kills);
                exit
            }
            // The keeper itself was killed: what it kept is ours now, by reparenting.
            None => {
                sweep().await;
                Exit {
                    signal: Some(9),
                    ..Exit::default()
                }
            }
        };
        // The last lines matter for the cause; but a reader whose consumer is stuck must not hide the end.
        let _ = timeout(DRAIN_MAX, async {
            while self.readers.join_next().await.is_some() {}
        })
        .await;
        self.report.send_replace(Some(exit));
        tokio::select! {
            () = self.report.closed() => {}
            () = async { while self.readers.join_next().await.is_some() {} } => {}
        }
    }

    /// Passes orders on until the keeper reports; `None` when it ended without a report.
    async fn until_exit(&mut self) -> Option<Exit> {
        let mut line = String::new();
        let mut give_up: Option<tokio::time::Instant> = None;
        let mut dropped = false;
        loop {
            let limit = give_up.unwrap_or_else(|| tokio::time::Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                read = self.reports.read_line(&mut line) => return match read {
                    Ok(n) if n > 0 => serde_json::from_str(line.trim_end().strip_prefix("exit ")?).ok(),
                    _ => None,
                },
                order = self.orders.recv(), if !dropped => {
                    dropped = order.is_none();
                    let word: &[u8] = match order {
                        Some(Order::Term) => b"term\n",
                        Some(Order::Kill) | None => {
                            give_up.get_or_insert_with(|| tokio::time::Instant::now() + KILL_MAX);
                            b"kill\n"
                        }
                    };
                    let _ = self.write.write_all(word).await;
                }
                () = tokio::time::sleep_until(limit) => if give_up.is_some() { return None },
            }
        }
    }
}
