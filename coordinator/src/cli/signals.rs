//! Signals of a command that goes on for a while.

use mayfly_kit::shutdown::{Level, Pardon, Signals};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::failure::Failure;

/// Counts the signals of this process until it is dropped.
pub(crate) struct Counting {
    /// How far they have come.
    pub(crate) level: watch::Receiver<Level>,
    hung_up: watch::Receiver<bool>,
    pardon: Pardon,
    _task: JoinSet<()>,
}

impl Counting {
    /// Whether the terminal was closed.
    pub(crate) fn hung_up(&self) -> bool {
        *self.hung_up.borrow()
    }

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
    let (pardon, hung_up) = (signals.pardon(), signals.hung_up());
    let mut task = JoinSet::new();
    task.spawn(signals.count());
    Ok(Counting {
        level,
        hung_up,
        pardon,
        _task: task,
    })
}
