//! What the kernel counts for the whole machine.

use std::fs;

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
    fn interfaces_are_added_up_but_for_the_one_to_itself() {
        let table = "Inter-| Receive | Transmit\n face |bytes packets\n    lo: 9 9 0 0 0 0 0 0 9 9 0\n  eth0: 100 2 0 0 0 0 0 0 30 4 0\n  eth1:1 1 0 0 0 0 0 0 2 1 0\n";
        assert_eq!(sum(table), (101, 32));
        assert_eq!(sum("eth0: x"), (0, 0));
    }
}
