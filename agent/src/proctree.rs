//! Processes and their descendants, as `/proc` tells.

use std::collections::HashMap;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One look at all processes of this machine: who is whose child. Zombies are among them: somebody must reap them.
pub struct Snapshot {
    children: HashMap<i32, Vec<i32>>,
}

impl Snapshot {
    /// Reads `/proc`. A process that ends while we read is simply not there.
    #[must_use]
    pub fn take() -> Self {
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
            if let Some(parent) = parent_of(pid) {
                children.entry(parent).or_default().push(pid);
            }
        }
        Self { children }
    }

    /// Children of `pid`.
    #[must_use]
    pub fn children(&self, pid: i32) -> &[i32] {
        self.children.get(&pid).map_or(&[], Vec::as_slice)
    }

    /// All descendants of `pid`, parents before their children, without `pid` itself.
    #[must_use]
    pub fn descendants(&self, pid: i32) -> Vec<i32> {
        let mut found = self.children(pid).to_vec();
        let mut next = 0;
        while let Some(&parent) = found.get(next) {
            found.extend_from_slice(self.children(parent));
            next += 1;
        }
        found
    }
}

/// Parent of a process that is still there. The name may hold anything, so fields count from the last `)`.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// SIGKILL to each of `pids`; those already gone are no error.
pub fn kill_all(pids: &[i32]) {
    for &pid in pids.iter().filter(|pid| **pid > 1) {
        // ESRCH: it went by itself. EPERM cannot be for our own children unless they changed their user.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}
