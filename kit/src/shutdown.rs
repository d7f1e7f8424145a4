//! Signals, counted: one means finish and leave, two means hurry, three means exit now. Of a hangup it is known that it was
//! one: whoever closes a terminal may mean something else than who presses Ctrl-C.

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
    hangup: Option<Signal>,
    hung_up: watch::Sender<bool>,
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
        // Whoever is started by `nohup` is to stay when the terminal is closed.
        let hangup = (!ignores_hangup()).then(|| signal(SignalKind::hangup()));
        let signals = Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: hangup.transpose()?,
            hung_up: watch::Sender::new(false),
            level,
        };
        Ok((signals, reached))
    }

    /// What sets the count back, until it is at [`LEVEL_MAX`].
    #[must_use]
    pub fn pardon(&self) -> Pardon {
        Pardon(self.level.clone())
    }

    /// Whether a hangup was among them; true before the level rises.
    #[must_use]
    pub fn hung_up(&self) -> watch::Receiver<bool> {
        self.hung_up.subscribe()
    }

    /// Counts until [`LEVEL_MAX`].
    pub async fn count(mut self) {
        while *self.level.borrow() < LEVEL_MAX {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
                () = next(self.hangup.as_mut()) => { self.hung_up.send_replace(true); }
            }
            self.level.send_modify(|level| *level += 1);
        }
    }
}

async fn next(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => {
            let _ = signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether this process was started with SIGHUP ignored. Where the system does not say it was not.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores(&status, SignalKind::hangup())
}

fn ignores(status: &str, kind: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| (mask >> (kind.as_raw_value() - 1)) & 1 == 1)
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
        let (pardon, hung_up) = (signals.pardon(), signals.hung_up());
        // Whoever started these tests may have it ignored, as `nohup` does.
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let hangs_up = !ignores(&status, SignalKind::hangup());
        let second = if hangs_up { "-HUP" } else { "-INT" };
        let sending = async {
            kill("-INT").await;
            reached(&mut level, 1).await;
            assert!(!*hung_up.borrow());
            pardon.forget();
            for (n, name) in [(1, second), (2, "-TERM")] {
                kill(name).await;
                reached(&mut level, n).await;
                assert_eq!(*level.borrow(), n);
            }
            kill("-INT").await;
        };
        tokio::join!(signals.count(), sending);
        assert_eq!(*level.borrow(), LEVEL_MAX);
        assert_eq!(*hung_up.borrow(), hangs_up);
    }

    #[test]
    fn what_the_starter_ignores_is_read_from_the_mask_of_the_process() {
        for (mask, is_ignored) in [
            ("0000000000000001", true),
            ("0000000000001000", false),
            ("0000000001001003", true),
            ("none", false),
        ] {
            let status = format!("Name:\tx\nSigIgn:\t{mask}\nSigCgt:\t0000000000000001\n");
            assert_eq!(ignores(&status, SignalKind::hangup()), is_ignored, "{mask}");
        }
    }
}
