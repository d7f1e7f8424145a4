//! The driver's second compiler gives way to everything else of the node.
//!
//! While a driver starts, its second compiler (C2) takes almost half of all processor time for code that will mostly not run
//! again, on the cores that Python, executors and the driver itself wait for. Higher thresholds cure that and cost a driver
//! that computes a fifth of its speed for minutes. With a lower priority, the compiler has what nobody else wants: little
//! while a cluster starts, all that it needs as soon as a core is idle.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, setpriority_process};
use tokio::time::{Instant, sleep};

/// Linux keeps the first 15 bytes of `C2 CompilerThread0`. Threads that the JVM adds later inherit the priority.
const THREAD: &str = "C2 CompilerThre";
/// A tenth of the weight of a thread with the usual priority (sched(7): each step is about 1.25).
const NICE: i32 = 10;
/// The thread appears some 50 ms after the program's start.
const LOOK: Duration = Duration::from_millis(10);
/// A JVM without the thread has none: another virtual machine, or an option of the job's own.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// Waits for the compiler of the JVM `pid` and lowers its priority; what does not work leaves everything as it is.
pub(super) async fn give_way(pid: u32) {
    let end = Instant::now() + LOOK_MAX;
    while Instant::now() < end {
        match thread(pid, THREAD) {
            Ok(Some(thread)) => {
                if let Err(error) = setpriority_process(Some(thread), NICE) {
                    tracing::debug!(%error, "the driver's compiler keeps its priority");
                }
                return;
            }
            Ok(None) => sleep(LOOK).await,
            Err(_) => return,
        }
    }
}

/// The thread of that name; an error when there is no such process.
fn thread(pid: u32, name: &str) -> std::io::Result<Option<Pid>> {
    let mut found = None;
    for task in fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task"))? {
        let task = task?;
        if fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name) {
            found = task
                .file_name()
                .to_str()
                .and_then(|id| id.parse().ok())
                .and_then(Pid::from_raw);
        }
    }
    Ok(found)
}
