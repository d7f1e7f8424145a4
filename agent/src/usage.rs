//! CPU and memory of this node's processes: the agent and everything below it, and nothing else of the machine.

mod kernel;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use mayfly_kit::admin::Loop;
use mayfly_proto::v1::Usage;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Often enough for a receipt, rare enough to cost nothing.
const EVERY: Duration = Duration::from_secs(2);

/// Samples until nobody reads the values any more.
///
/// `alone` says that nobody else uses this machine's network.
pub async fn watch_usage(folder: PathBuf, alone: bool, samples: watch::Sender<Usage>, pulse: Loop) {
    let Ok(mut sampler) = Sampler::new(folder, alone) else {
        return tracing::warn!("this system does not tell what its processes use");
    };
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !samples.is_closed() {
        tick.tick().await;
        let now = sampler.sample();
        pulse.status(format!(
            "{:.2} cores, {} MB",
            now.cpu_cores,
            now.memory_bytes / 1_000_000
        ));
        samples.send_replace(now);
        let killed = kernel::killed();
        if killed > sampler.killed {
            // Told as evidence: the processes themselves cannot.
            tracing::warn!(
                "the kernel killed {} of this machine's processes because memory ran out",
                killed - sampler.killed
            );
            sampler.killed = killed;
        }
    }
}

struct Sampler {
    system: System,
    me: Pid,
    folder: PathBuf,
    /// CPU time of each process at the last sample, in milliseconds.
    known: HashMap<Pid, u64>,
    total_ms: u64,
    peak_bytes: u64,
    disk_read: u64,
    disk_written: u64,
    /// Bytes that the machine had received and sent when the node began; `None` where others use it too.
    network: Option<(u64, u64)>,
    /// Processes that the kernel had killed for want of memory.
    killed: u64,
    last: Instant,
}

impl Sampler {
    fn new(folder: PathBuf, alone: bool) -> Result<Self, sysinfo::Error> {
        Ok(Self {
            system: System::new()?,
            me: sysinfo::get_current_pid()?,
            folder,
            known: HashMap::new(),
            total_ms: 0,
            peak_bytes: 0,
            disk_read: 0,
            disk_written: 0,
            network: alone.then(kernel::network),
            killed: kernel::killed(),
            last: Instant::now(),
        })
    }

    /// A process that began and ended between two samples is not seen; everything else is, to its last sample.
    fn sample(&mut self) -> Usage {
        let pids = family(self.me);
        let what = ProcessRefreshKind::nothing()
            .with_cpu()
            .with_memory()
            .with_disk_usage()
            .without_tasks();
        self.system
            .refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, what);
        let (mut memory, mut spent, mut known) = (0, 0, HashMap::new());
        let (mut read, mut written) = (0, 0);
        for (pid, process) in pids
            .iter()
            .filter_map(|pid| Some((*pid, self.system.process(*pid)?)))
        {
            let cpu = process.accumulated_cpu_time();
            // A pid that was given to another process begins below what was known.
            spent += cpu
                .checked_sub(self.known.get(&pid).copied().unwrap_or(0))
                .unwrap_or(cpu);
            memory += process.memory();
            let disk = process.disk_usage();
            read += disk.total_read_bytes;
            written += disk.total_written_bytes;
            known.insert(pid, cpu);
        }
        self.known = known;
        self.total_ms += spent;
        self.peak_bytes = self.peak_bytes.max(memory);
        // The kernel adds what an ended process did to its parent, which is one of ours: the sum is that of all there
        // ever were, but for those that nobody has waited for yet.
        self.disk_read = self.disk_read.max(read);
        self.disk_written = self.disk_written.max(written);
        let elapsed = self.last.elapsed().as_secs_f64();
        self.last = Instant::now();
        let cores = if elapsed > 0.1 {
            Duration::from_millis(spent).as_secs_f64() / elapsed
        } else {
            0.0
        };
        let (received, sent) = self.network.map_or((0, 0), |(received, sent)| {
            let now = kernel::network();
            (now.0.saturating_sub(received), now.1.saturating_sub(sent))
        });
        Usage {
            cpu_cores: cores,
            memory_bytes: memory,
            cpu_core_secs: Duration::from_millis(self.total_ms).as_secs_f64(),
            peak_memory_bytes: self.peak_bytes,
            disk_free_bytes: disk_free(&self.folder),
            disk_read_bytes: self.disk_read,
            disk_written_bytes: self.disk_written,
            network_received_bytes: received,
            network_sent_bytes: sent,
        }
    }
}

fn disk_free(folder: &std::path::Path) -> u64 {
    rustix::fs::statvfs(folder).map_or(0, |s| s.f_bavail.saturating_mul(s.f_frsize))
}

/// A process and everything below it, from the kernel's own lists of children: no scan of the whole machine.
fn family(root: Pid) -> Vec<Pid> {
    let mut pids = vec![root];
    let mut next = 0;
    while let Some(pid) = pids.get(next).copied() {
        next += 1;
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for task in tasks.flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            pids.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<Pid>().ok()),
            );
        }
    }
    pids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_child_counts_and_strangers_do_not() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
            .unwrap();
        let pids = family(sysinfo::get_current_pid().unwrap());
        let mut sampler = Sampler::new(std::env::temp_dir(), false).unwrap();
        let busy = std::time::Instant::now();
        let mut usage = sampler.sample();
        while usage.cpu_core_secs < 0.05 && busy.elapsed() < Duration::from_secs(20) {
            usage = sampler.sample();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(pids.contains(&Pid::from_u32(child.id())));
        assert!(!pids.contains(&Pid::from_u32(1)));
        assert!(
            usage.cpu_core_secs >= 0.05 && usage.memory_bytes > 0 && usage.disk_free_bytes > 0,
            "{usage:?}"
        );
        assert!(usage.peak_memory_bytes >= usage.memory_bytes);
    }
}
