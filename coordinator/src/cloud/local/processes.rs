//! Processes of a run, found by what their environment says: evidence that does not depend on any record.

use std::fs;

use mayfly_proto::{NodeId, RunId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Every process of a run has this in its environment.
pub const RUN_VARIABLE: &str = "MAYFLY_RUN";
/// And the node it belongs to.
pub const NODE_VARIABLE: &str = "MAYFLY_NODE";

/// A process that belongs to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// The run.
    pub run: RunId,
    /// Its program.
    pub name: String,
}

fn numbered(entry: &fs::DirEntry) -> Option<i32> {
    entry.file_name().to_str()?.parse().ok()
}

/// A variable of another process's environment.
fn variable(pid: i32, name: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = format!("{name}=");
    let value = environment
        .split(|&byte| byte == 0)
        .find_map(|entry| entry.strip_prefix(prefix.as_bytes()))?;
    Some(std::str::from_utf8(value).ok()?.to_owned())
}

/// Processes of all runs that this user may see. The process that asks is not among them.
#[must_use]
pub fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let own = nix::unistd::getpid().as_raw();
    entries
        .flatten()
        .filter_map(|entry| numbered(&entry))
        .filter(|&pid| pid != own && began(pid).is_some())
        .filter_map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            Some(Process {
                pid,
                run: variable(pid, RUN_VARIABLE)?.parse().ok()?,
                name: name.trim().to_owned(),
            })
        })
        .collect()
}

/// The agent of a node, while it lives, and when it began (in ticks since boot, which tells it from a later process of
/// its number).
#[must_use]
pub fn agent_of(run: &RunId, node: &NodeId) -> Option<(i32, u64)> {
    let is_agent = |pid: i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        // Its keepers are the same program with another verb.
        line.split(|&byte| byte == 0).nth(1) == Some(b"run")
            && variable(pid, NODE_VARIABLE).as_deref() == Some(node.as_str())
    };
    let found = of(run)
        .into_iter()
        .find(|process| process.name == "agent" && is_agent(process.pid))?;
    Some((found.pid, began(found.pid)?))
}

/// Field 22 of `/proc/<pid>/stat`, proc(5); `None` when the process has ended.
#[must_use]
pub fn began(pid: i32) -> Option<u64> {
    const AFTER_NAME: usize = 19;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    if rest.starts_with('Z') {
        return None;
    }
    rest.split_ascii_whitespace().nth(AFTER_NAME)?.parse().ok()
}

/// Processes of one run.
#[must_use]
pub fn of(run: &RunId) -> Vec<Process> {
    all().into_iter().filter(|process| process.run == *run).collect()
}

/// Kills every process of a run, again for those that were just being started. Returns how many it met.
pub fn kill_all_of(run: &RunId) -> usize {
    const ROUNDS: usize = 100;
    let mut met = 0;
    for _ in 0..ROUNDS {
        let left = of(run);
        if left.is_empty() {
            break;
        }
        met += left.len();
        for process in left {
            // Gone in the meantime is what was wanted.
            let _gone = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        pause();
    }
    met
}

/// Killed processes take a moment to go.
#[expect(clippy::disallowed_methods, reason = "called on a blocking thread")]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(10));
}
