//! What this machine can offer to a job.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// What the system, the agent and the page cache need at least, and what they need at most.
const SYSTEM_MIN_BYTES: u64 = 256 << 20;
const SYSTEM_MAX_BYTES: u64 = 2 << 30;

/// Cores and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    /// Of the machine, or of the part of it that this process may use.
    pub(super) cores: u32,
    /// The same, without what the system needs.
    pub(super) memory_bytes: u64,
}

/// Looks.
///
/// # Errors
/// The system does not say.
pub(super) fn offer() -> Result<Offer, sysinfo::Error> {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory)?;
    // A limit of a control group counts as the machine.
    let limit = system.cgroup_limits().map(|limits| limits.total_memory);
    let total = limit
        .filter(|limit| *limit > 0)
        .unwrap_or(u64::MAX)
        .min(system.total_memory());
    let cores = std::thread::available_parallelism()
        .map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
    Ok(Offer {
        cores,
        memory_bytes: for_jobs(total),
    })
}

/// An eighth is the system's.
fn for_jobs(total: u64) -> u64 {
    total.saturating_sub((total / 8).clamp(SYSTEM_MIN_BYTES, SYSTEM_MAX_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_keeps_a_part_of_the_memory() {
        const GIB: u64 = 1 << 30;
        assert_eq!(for_jobs(0), 0);
        assert_eq!(for_jobs(GIB), 768 << 20);
        assert_eq!(for_jobs(8 * GIB), 7 * GIB);
        assert_eq!(for_jobs(256 * GIB), 254 * GIB);
        let offer = offer().unwrap();
        assert!(offer.cores > 0 && offer.memory_bytes > 0);
    }
}
