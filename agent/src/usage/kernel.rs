//! What the kernel counts, for the whole machine and for a process.

use std::fs;
use std::time::Duration;

use sysinfo::Pid;

/// What a tick of proc_pid_stat(5) is, on every machine that there is an agent for.
const TICK: Duration = Duration::from_millis(10);

/// Processor time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spent {
    /// Of a process itself.
    pub(super) own: Duration,
    /// Of its children that have ended, and theirs, as far as each was waited for.
    pub(super) children: Duration,
}

/// What a process has used; `None` when it has ended.
pub(super) fn spent(pid: Pid) -> Option<Spent> {
    times(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `<pid> (<name>) <state> …`: fields 14 to 17, of which the name may hold anything.
fn times(stat: &str) -> Option<Spent> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u32>);
    let mut both = || Some(TICK * ticks.next()?.ok()?.saturating_add(ticks.next()?.ok()?));
    Some(Spent {
        own: both()?,
        children: both()?,
    })
}

/// Processes that it killed because memory ran out, since it booted (`oom_kill` of `/proc/vmstat`); 0 where it does not say.
pub(super) fn killed() -> u64 {
    let table = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let line = table.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// Bytes received and sent by all interfaces but the one to itself.
pub(super) fn network() -> (u64, u64) {
    sum(&fs::read_to_string("/proc/net/dev").unwrap_or_default())
}

/// `eth0: <received bytes> … <sent bytes, the ninth number> …`, as proc_net_dev(5) has it.
fn sum(table: &str) -> (u64, u64) {
    let lines = table.lines().filter_map(|line| line.split_once(':'));
    let others = lines.filter(|(name, _)| name.trim() != "lo");
    others.fold((0, 0), |(received, sent), (_, numbers)| {
        let mut numbers = numbers.split_whitespace().map(|n| n.parse::<u64>().unwrap_or(0));
        let (first, ninth) = (numbers.next().unwrap_or(0), numbers.nth(7).unwrap_or(0));
        (received.saturating_add(first), sent.saturating_add(ninth))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_process_and_of_its_children_are_told_apart() {
        let stat = "7 (a) b 1) S 1 7 7 0 -1 4194560 100 0 0 0 12 3 400 50 20 0 1 0 99 1 1";
        let secs = |n| Duration::from_millis(n);
        let (own, children) = (secs(150), secs(4_500));
        assert_eq!(times(stat), Some(Spent { own, children }));
        assert_eq!(times("7 (a) S 1 7"), None);
    }

    #[test]
    fn interfaces_are_added_up_but_for_the_one_to_itself() {
        let table = "Inter-| Receive | Transmit\n face |bytes packets\n    lo: 9 9 0 0 0 0 0 0 9 9 0\n  eth0: 100 2 0 0 0 0 0 0 30 4 0\n  eth1:1 1 0 0 0 0 0 0 2 1 0\n";
        assert_eq!(sum(table), (101, 32));
        assert_eq!(sum("eth0: x"), (0, 0));
    }
}
