//! `agent keep`: a small process between the agent and a program, which owns the program's whole tree.
//!
//! It is a child subreaper: a daemon that forks twice and leaves its session becomes the keeper's own child. So "no child
//! left" (`ECHILD`) is proof that nothing of the tree runs. What may do anything has a control group of its own too, where
//! there can be one ([`crate::cgroup`]): what forks faster than anybody can look is ended by that. Its standard input is a
//! socket to the agent: the end of file there means that the agent is gone, by whatever death, and everything is killed at
//! once. Nothing here is async: the keeper must stay small and have nothing that can hang.
//!
//! ```text
//! agent -> keeper   term          SIGTERM to the program's process group
//!                   kill          SIGKILL to the whole tree
//! keeper -> agent   pid N         the program runs
//!                   error N       it could not be started: the number of the system's error
//!                   exit JSON     it ended and nothing of its tree is left
//! ```

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use mayfly_kit::crash::{self, Point};
use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};

use crate::cgroup::Group;
use crate::proctree::{Snapshot, kill_all};

/// Pause between two sweeps of a tree that is being killed.
const SWEEP_EVERY: Duration = Duration::from_millis(10);
/// How long a tree may resist SIGKILL (a process stuck in the kernel) before the keeper leaves.
const SWEEP_MAX: Duration = Duration::from_secs(10);

/// How a program ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Set when it ended by itself.
    pub code: Option<i32>,
    /// Set when a signal ended it.
    pub signal: Option<i32>,
    /// Largest resident memory of any one process of its tree.
    pub max_rss_bytes: u64,
    /// Processes of its control group that the kernel killed because memory ran out; 0 where that is not counted.
    pub oom_kills: u64,
}

impl Exit {
    /// True for exit code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

enum Event {
    Term,
    Kill,
    Ended(Pid, Option<i32>, Option<i32>),
    NoneLeft,
}

/// A user and a group by their numbers, as `1000:1000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    uid: u32,
    gid: u32,
}

impl FromStr for Ids {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ids = text.split_once(':');
        let ids = ids.and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
        let (uid, gid) = ids.ok_or("write UID:GID, as 1000:1000")?;
        Ok(Self { uid, gid })
    }
}

/// Runs `program` as `user` until it ends and nothing of its tree is left, in a control group of its own if it is to be
/// `grouped` and may be; also writes the exit to `status`, if given, atomically.
///
/// # Errors
/// The program cannot be started, or this process cannot become a subreaper.
pub fn run(
    status: Option<&Path>,
    user: Option<Ids>,
    grouped: bool,
    program: &OsString,
    args: &[OsString],
) -> io::Result<Exit> {
    nix::sys::prctl::set_child_subreaper(true)?;
    pass_over_terminal_signals()?;
    let mut agent = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    crash::before(Point::KeeperStart);
    let mut group = grouped.then(Group::make).flatten();
    let child = match start(user, &mut group, program, args) {
        Ok(child) => child,
        Err(error) => {
            tell(
                &mut agent,
                &format!("error {}", error.raw_os_error().unwrap_or(0)),
            );
            return Err(error);
        }
    };
    crash::after(Point::KeeperStart);
    tell(&mut agent, &format!("pid {child}"));
    let (events, receiver) = channel();
    listen(agent.try_clone()?, events.clone());
    reap(events);
    let exit = keep(child, &receiver, group);
    let json = serde_json::to_string(&exit)?;
    if let Some(path) = status {
        write_atomically(path, &json)?;
    }
    tell(&mut agent, &format!("exit {json}"));
    Ok(exit)
}

/// A Ctrl-C in the terminal or a service manager's TERM is the agent's business. They are caught, not blocked: what is
/// started inherits what is blocked, and would never hear that it shall end. (SIGPIPE is ignored by Rust's start.)
fn pass_over_terminal_signals() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    Ok(())
}

/// Starts the program, in the group if that can be; else there is none afterwards.
fn start(
    user: Option<Ids>,
    group: &mut Option<Group>,
    program: &OsString,
    args: &[OsString],
) -> io::Result<Pid> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).process_group(0);
    if let Some(Ids { uid, gid }) = user {
        // No program that it finds makes it more than it is. What the keeper itself starts is this one program.
        nix::sys::prctl::set_no_new_privs()?;
        command.uid(uid).gid(gid);
    }
    let within = group.as_ref().map(|group| group.inside(|| command.spawn()));
    let child = match within {
        Some(Ok(started)) => started?,
        Some(Err(_)) | None => {
            *group = None;
            command.spawn()?
        }
    };
    i32::try_from(child.id())
        .map(Pid::from_raw)
        .map_err(io::Error::other)
}

/// The agent may be gone, or, by hand, nobody listens there: what matters is done all the same.
fn tell(agent: &mut File, line: &str) {
    let _ = agent.write_all(format!("{line}\n").as_bytes());
}

/// Turns what the agent says into events; the end of it is a `Kill`.
fn listen(agent: File, events: Sender<Event>) {
    std::thread::spawn(move || {
        for line in BufReader::new(agent).lines().map_while(Result::ok) {
            let event = match line.trim() {
                "term" => Event::Term,
                "kill" => Event::Kill,
                _ => continue,
            };
            if events.send(event).is_err() {
                return;
            }
        }
        let _ = events.send(Event::Kill);
    });
}

/// Reaps every child, the program and what was reparented to us, until there is none.
fn reap(events: Sender<Event>) {
    std::thread::spawn(move || {
        loop {
            let event = match waitpid(None::<Pid>, None) {
                Ok(WaitStatus::Exited(pid, code)) => Event::Ended(pid, Some(code), None),
                Ok(WaitStatus::Signaled(pid, signal, _)) => Event::Ended(pid, None, Some(signal as i32)),
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(_) => Event::NoneLeft,
            };
            let last = matches!(event, Event::NoneLeft);
            if events.send(event).is_err() || last {
                return;
            }
        }
    });
}

/// Waits for the program, obeys, and after it kills until no child is left, and nothing in its group.
fn keep(child: Pid, events: &Receiver<Event>, group: Option<Group>) -> Exit {
    let mut exit = Exit::default();
    let mut killing: Option<Instant> = None;
    loop {
        let event = match killing {
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(_) => events.recv_timeout(SWEEP_EVERY),
        };
        match event {
            Ok(Event::Term) => {
                let _ = killpg(child, Signal::SIGTERM);
            }
            Ok(Event::Ended(pid, code, signal)) if pid == child => {
                (exit.code, exit.signal) = (code, signal);
                killing.get_or_insert_with(Instant::now);
            }
            Ok(Event::Kill) => {
                killing.get_or_insert_with(Instant::now);
            }
            Ok(Event::Ended(..)) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Event::NoneLeft) | Err(RecvTimeoutError::Disconnected) => break,
        }
        if let Some(since) = killing {
            if since.elapsed() > SWEEP_MAX {
                break;
            }
            group.iter().for_each(Group::kill);
            kill_all(&Snapshot::take().descendants(nix::unistd::getpid().as_raw()));
        }
    }
    exit.max_rss_bytes = max_rss_bytes();
    if let Some(group) = group {
        exit.oom_kills = group.oom_kills();
        end(&group, killing.unwrap_or_else(Instant::now));
    }
    exit
}

/// What is in a group and none of our children was brought there by others.
#[expect(
    clippy::disallowed_methods,
    reason = "there is no runtime here, and nothing else to do"
)]
fn end(group: &Group, since: Instant) {
    while !group.end() && since.elapsed() < SWEEP_MAX {
        std::thread::sleep(SWEEP_EVERY);
    }
}

/// Linux counts in KiB.
fn max_rss_bytes() -> u64 {
    let kib = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| usage.max_rss());
    u64::try_from(kib).unwrap_or(0).saturating_mul(1024)
}

fn write_atomically(path: &Path, text: &str) -> io::Result<()> {
    let part = path.with_extension("part");
    std::fs::write(&part, text)?;
    std::fs::rename(part, path)
}
