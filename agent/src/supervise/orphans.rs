//! What a killed keeper leaves behind.
//!
//! The agent is a subreaper too, so the tree of a keeper that dies becomes a tree of the agent's own children. Which of its
//! children are keepers is known here; the others are orphans.

use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tokio::process::{ChildStderr, ChildStdout, Command};

use crate::cgroup;
use crate::proctree::{Snapshot, kill_all};

/// Children belong to the whole process, hence a static.
static KEEPERS: Mutex<Option<HashSet<i32>>> = Mutex::new(None);

const SWEEP_EVERY: Duration = Duration::from_millis(20);
const SWEEP_MAX: Duration = Duration::from_secs(10);

fn keepers() -> MutexGuard<'static, Option<HashSet<i32>>> {
    KEEPERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes this process adopt what its children leave behind. To be called once, before the first [`super::Child`].
///
/// # Errors
/// The system does not know subreapers (Linux before 3.4).
pub fn become_subreaper() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// A keeper that is known, so that it is not taken for an orphan.
pub(super) struct Keeper {
    child: tokio::process::Child,
    pid: i32,
}

/// Starts a keeper; the lock is held so that no sweep sees it before it is known.
pub(super) fn spawn_keeper(mut command: Command) -> io::Result<Keeper> {
    let mut known = keepers();
    let child = command.spawn()?;
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .unwrap_or_default();
    known.get_or_insert_with(HashSet::new).insert(pid);
    Ok(Keeper { child, pid })
}

impl Keeper {
    pub(super) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(super) fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits for the end of the keeper, and ends it when it does not come.
    pub(super) async fn reap(&mut self) {
        if tokio::time::timeout(Duration::from_secs(2), self.child.wait())
            .await
            .is_err()
        {
            let _ = self.child.kill().await;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(known) = keepers().as_mut() {
            known.remove(&self.pid);
        }
    }
}

/// Kills every child that is not a keeper, with its tree, and what is in the control groups of dead keepers, until there is
/// nothing.
pub async fn sweep() {
    let began = Instant::now();
    while began.elapsed() < SWEEP_MAX && sweep_once() {
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

/// True when there was something to kill.
fn sweep_once() -> bool {
    let known = keepers();
    let snapshot = Snapshot::take();
    let children = snapshot.children(nix::unistd::getpid().as_raw());
    let is_keeper = |pid: &i32| known.as_ref().is_some_and(|known| known.contains(pid));
    let orphans: Vec<i32> = children.iter().copied().filter(|pid| !is_keeper(pid)).collect();
    for &orphan in &orphans {
        kill_all(&[orphan]);
        kill_all(&snapshot.descendants(orphan));
        // Nobody else waits for it.
        let _ = waitpid(Pid::from_raw(orphan), Some(WaitPidFlag::WNOHANG));
    }
    drop(known);
    // First of all, whatever the others were.
    cgroup::sweep() || !orphans.is_empty()
}
