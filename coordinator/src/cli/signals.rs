//! Signals of a command that goes on for a while.

use mayfly_kit::shutdown::{Level, Pardon, Signals};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::failure::Failure;

/// Counts the signals of this process until it is dropped.
pub(crate) struct Counting {
    /// How far they have come.
    pub(crate) level: watch::Receiver<Level>,
    pardon: Pardon,
    _task: JoinSet<()>,
}

impl Counting {
    /// Begins anew: what was counted so far was not meant.
    pub(crate) fn forget(&mut self) {
        self.pardon.forget();
        self.level.mark_unchanged();
    }
}

/// Takes the signals over.
///
/// # Errors
/// The system does not let us.
pub(crate) fn counting() -> Result<Counting, Failure> {
    let (signals, level) = Signals::listen().map_err(|e| Failure::chain("listen for signals", &e))?;
    let pardon = signals.pardon();
    let mut task = JoinSet::new();
    task.spawn(signals.count());
    Ok(Counting {
        level,
        pardon,
        _task: task,
    })
}
