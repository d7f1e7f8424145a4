//! Processes of a run, found by what their environment says: evidence that does not depend on any record.

use std::fs;

use mayfly_proto::RunId;
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

fn run_of(pid: i32) -> Option<RunId> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = format!("{RUN_VARIABLE}=");
    let value = environment
        .split(|&byte| byte == 0)
        .find_map(|entry| entry.strip_prefix(prefix.as_bytes()))?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_none_or(|(_, rest)| rest.starts_with('Z'))
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
        .filter(|&pid| pid != own && !is_zombie(pid))
        .filter_map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            Some(Process {
                pid,
                run: run_of(pid)?,
                name: name.trim().to_owned(),
            })
        })
        .collect()
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
