//! CPU and memory of this node's processes: the agent and everything below it, and nothing else of the machine.

mod kernel;

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
    /// Processor time of all that there ever was, and of it the part that is not the agent's own.
    total: Grown,
    work: Grown,
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
            total: Grown::default(),
            work: Grown::default(),
            peak_bytes: 0,
            disk_read: 0,
            disk_written: 0,
            network: alone.then(kernel::network),
            killed: kernel::killed(),
            last: Instant::now(),
        })
    }

    /// Memory of a process that began and ended between two samples is not seen; everything else is.
    fn sample(&mut self) -> Usage {
        let pids = family(self.me);
        let what = ProcessRefreshKind::nothing()
            .with_memory()
            .with_disk_usage()
            .without_tasks();
        self.system
            .refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, what);
        let (mut memory, mut read, mut written) = (0, 0, 0);
        for process in pids.iter().filter_map(|pid| self.system.process(*pid)) {
            memory += process.memory();
            let disk = process.disk_usage();
            read += disk.total_read_bytes;
            written += disk.total_written_bytes;
        }
        let before = self.total.all;
        self.count_processors(&pids);
        self.peak_bytes = self.peak_bytes.max(memory);
        // The kernel adds what an ended process did to its parent, which is one of ours: the sum is that of all there
        // ever were. It may be read while that happens, and be too small for once.
        self.disk_read = self.disk_read.max(read);
        self.disk_written = self.disk_written.max(written);
        let elapsed = self.last.elapsed().as_secs_f64();
        self.last = Instant::now();
        let cores = if elapsed > 0.1 {
            (self.total.all - before).as_secs_f64() / elapsed
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
            cpu_core_secs: self.total.all.as_secs_f64(),
            peak_memory_bytes: self.peak_bytes,
            disk_free_bytes: disk_free(&self.folder),
            disk_read_bytes: self.disk_read,
            disk_written_bytes: self.disk_written,
            network_received_bytes: received,
            network_sent_bytes: sent,
            work_core_secs: Some(self.work.all.as_secs_f64()),
        }
    }

    /// The same holds for processor time.
    fn count_processors(&mut self, pids: &[Pid]) {
        let (mut total, mut agent) = (Duration::ZERO, Duration::ZERO);
        for (pid, spent) in pids.iter().filter_map(|pid| Some((pid, kernel::spent(*pid)?))) {
            total += spent.own + spent.children;
            if *pid == self.me {
                agent = spent.own;
            }
        }
        self.total.to(total);
        self.work.to(total.saturating_sub(agent));
    }
}

/// By how much a sum has grown in all. For once it may be too small; where it stays smaller, nobody waited for a process that
/// has ended.
#[derive(Debug, Default)]
struct Grown {
    all: Duration,
    sum: Duration,
    is_less: bool,
}

impl Grown {
    fn to(&mut self, sum: Duration) {
        let less = sum < self.sum;
        if !less || self.is_less {
            self.all += sum.saturating_sub(self.sum);
            self.sum = sum;
        }
        self.is_less = less && !self.is_less;
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
    fn what_is_lost_of_a_sum_hides_nothing_that_comes_later() {
        for (sums, all) in [
            (&[1, 5, 9][..], 9),
            // Read while a process ended.
            (&[5, 3, 7], 7),
            // Of one that nobody waited for.
            (&[5, 2, 2, 4], 7),
            (&[5, 2, 3, 1, 6, 0, 0, 1], 9),
        ] {
            let mut grown = Grown::default();
            sums.iter().for_each(|secs| grown.to(Duration::from_secs(*secs)));
            assert_eq!(grown.all, Duration::from_secs(all), "{sums:?}");
        }
    }

    #[test]
    fn a_child_that_came_and_went_between_two_samples_has_worked() {
        let mut sampler = Sampler::new(std::env::temp_dir(), false).unwrap();
        let work = |sampler: &mut Sampler| sampler.sample().work_core_secs.unwrap();
        let before = work(&mut sampler);
        let count = "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done";
        let ended = std::process::Command::new("sh").args(["-c", count]).status();
        assert!(ended.unwrap().success());
        let after = work(&mut sampler);
        assert!(after >= before + 0.02, "{before} s, then {after} s");
    }

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
