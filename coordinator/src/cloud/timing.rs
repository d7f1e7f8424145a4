//! The intervals of each cloud.

use std::time::Duration;

use crate::run::Timing;

/// How long nodes live without a word of the coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Once they have been answered.
    pub lease: Duration,
    /// Before.
    pub alone: Duration,
}

impl Patience {
    /// For a coordinator in a command, which takes the store along when it dies: nobody comes back. With what an agent takes
    /// to leave, all is gone within the 20 s that are promised.
    pub const COMMAND: Self = Self {
        lease: Duration::from_secs(8),
        alone: Duration::from_secs(11),
    };
    /// For a coordinator that is started again when it dies.
    pub const SERVER: Self = Self {
        lease: Duration::from_secs(120),
        alone: Duration::from_secs(120),
    };
}

/// Intervals that suit one machine, where a report costs nothing.
#[must_use]
pub fn local(patience: Patience) -> Timing {
    Timing {
        sync: Duration::from_millis(200),
        sync_fast: Duration::from_millis(50),
        // Nothing parts the processes of one machine: who is silent for so long is lost.
        silent_after: Duration::from_secs(8),
        lost_after: Duration::from_secs(8),
        lease: patience.lease,
        grace: Duration::from_secs(5),
        salvage: Duration::from_secs(60),
        overtime: Duration::from_secs(240),
        without_workers: Duration::from_secs(60),
        nodes_leave: true,
    }
}

/// Intervals that suit machines that boot for a minute and are paid for by the second.
#[cfg(feature = "aws")]
#[must_use]
pub fn aws() -> Timing {
    Timing {
        sync: Duration::from_secs(2),
        sync_fast: Duration::from_millis(500),
        silent_after: Duration::from_secs(8),
        // A partition of half a minute, and the report after it, are no loss.
        lost_after: Duration::from_secs(45),
        lease: Duration::from_secs(120),
        grace: Duration::from_secs(20),
        salvage: Duration::from_secs(180),
        // With the image's own timer: gone within five minutes of the deadline, whatever happens.
        overtime: Duration::from_secs(180),
        without_workers: Duration::from_secs(300),
        nodes_leave: false,
    }
}
