//! Signals, counted: one means finish and leave, two means hurry, three means exit now.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How urgently the program has been asked to end: 0 (not at all) to [`LEVEL_MAX`].
pub type Level = u8;

/// No signal counts beyond this.
pub const LEVEL_MAX: Level = 3;

/// Counts INT, TERM and HUP.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    level: watch::Sender<Level>,
}

/// Sets the count back, for whoever has asked what was meant and heard that it was nothing.
pub struct Pardon(watch::Sender<Level>);

impl Pardon {
    /// The next signal is the first one.
    pub fn forget(&self) {
        self.0.send_replace(0);
    }
}

impl Signals {
    /// Takes over the signals of this process and returns the level they have reached. Counting happens in
    /// [`Signals::count`], which the caller runs in a task of its own.
    ///
    /// # Errors
    /// The system does not let us listen.
    pub fn listen() -> std::io::Result<(Self, watch::Receiver<Level>)> {
        let (level, reached) = watch::channel(0);
        let signals = Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            level,
        };
        Ok((signals, reached))
    }

    /// What sets the count back, until it is at [`LEVEL_MAX`].
    #[must_use]
    pub fn pardon(&self) -> Pardon {
        Pardon(self.level.clone())
    }

    /// Counts until [`LEVEL_MAX`].
    pub async fn count(mut self) {
        while *self.level.borrow() < LEVEL_MAX {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
                _ = self.hangup.recv() => {}
            }
            self.level.send_modify(|level| *level += 1);
        }
    }
}

/// Waits until the level is at least `wanted`. Never returns when nobody counts any more.
pub async fn reached(level: &mut watch::Receiver<Level>, wanted: Level) {
    if level.wait_for(|level| *level >= wanted).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn signals_count_up_to_three_and_begin_anew_when_they_are_forgiven() {
        let (signals, mut level) = Signals::listen().unwrap();
        let me = std::process::id().to_string();
        let kill = async |name: &str| {
            let kill = tokio::process::Command::new("kill")
                .args([name, &me])
                .status()
                .await;
            assert!(kill.unwrap().success());
        };
        let pardon = signals.pardon();
        let sending = async {
            kill("-INT").await;
            reached(&mut level, 1).await;
            pardon.forget();
            for (n, name) in [(1, "-HUP"), (2, "-TERM")] {
                kill(name).await;
                reached(&mut level, n).await;
                assert_eq!(*level.borrow(), n);
            }
            kill("-INT").await;
        };
        tokio::join!(signals.count(), sending);
        assert_eq!(*level.borrow(), LEVEL_MAX);
    }
}
