//! How the memory of a node is shared out under Spark. The agent sets it so, and the coordinator refuses what cannot fit.

const MIB: u64 = 1024 * 1024;
/// Of a node's memory: the Master's or Worker's JVM and the agent.
const DAEMON_BYTES: u64 = 384 * MIB;
/// Spark refuses a driver or executor with less than 450 MiB of heap.
pub const HEAP_MIN_BYTES: u64 = 512 * MIB;

/// Heap of the one JVM that works on a node. The rest is for its own stacks, code and buffers (10 %), and for a Python
/// job's interpreters, which hold their data outside of the heap (another 20 %).
#[must_use]
pub fn heap_bytes(node_bytes: u64, python: bool) -> u64 {
    let percent = if python { 70 } else { 90 };
    (node_bytes.saturating_sub(DAEMON_BYTES) / 100 * percent).max(HEAP_MIN_BYTES)
}

/// What a Worker offers: the largest heap that an executor may ask for.
#[must_use]
pub fn worker_offer_mib(node_bytes: u64) -> u64 {
    heap_bytes(node_bytes, false) / MIB
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heaps_leave_room_and_are_never_too_small_for_spark() {
        assert_eq!(heap_bytes(0, true), HEAP_MIN_BYTES);
        assert_eq!(heap_bytes(4096 * MIB, true) / MIB, 2598);
        for mib in [0, 1024, 1100, 4096, 1 << 20] {
            let node = mib * MIB;
            assert!(worker_offer_mib(node) >= heap_bytes(node, true) / MIB, "{mib}");
            let daemons = heap_bytes(node, false) + DAEMON_BYTES;
            assert!(
                daemons <= node || heap_bytes(node, false) == HEAP_MIN_BYTES,
                "{mib}"
            );
        }
    }
}
