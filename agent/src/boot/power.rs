//! The last word.

use std::cell::Cell;
use std::process::Stdio;
use std::time::Duration;

use mayfly_kit::backoff::{Backoff, Policy, jitter};
use mayfly_kit::crash::{self, Point};
use mayfly_kit::shutdown::{Level, reached};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::watchdog;

/// A service manager takes the order within this time.
const CALL_MAX: Duration = Duration::from_secs(10);
/// From this try on the service manager is not asked to end its services first.
const FORCE_FROM: u32 = 4;
const AGAIN: Policy = Policy {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(5),
    budget: Duration::MAX,
};

/// Calls `poweroff` until the machine is gone: this returns only when it is told to end by the shutdown that follows.
#[expect(
    clippy::print_stderr,
    reason = "the outer process has no logs but the service manager's"
)]
pub(super) async fn off(why: &str, level: &mut watch::Receiver<Level>) {
    eprintln!("{why}; powering off");
    let told = *level.borrow();
    let ordered = Cell::new(false);
    let trying = async {
        let mut waits = Backoff::new(AGAIN, jitter);
        let mut tries = 0_u32;
        loop {
            tries = tries.saturating_add(1);
            watchdog::alive();
            match crash::around(Point::PowerOff, call(tries >= FORCE_FROM)).await {
                Ok(()) => ordered.set(true),
                Err(why) => eprintln!("{why}; again soon"),
            }
            sleep(waits.next().unwrap_or(AGAIN.cap)).await;
        }
    };
    // A signal is a part of the shutdown only if there is one.
    let shut_down = async {
        reached(level, told.saturating_add(1)).await;
        while !ordered.get() {
            sleep(AGAIN.base).await;
        }
    };
    tokio::select! {
        () = trying => {}
        () = shut_down => {}
    }
}

async fn call(force: bool) -> Result<(), String> {
    let mut command = Command::new("poweroff");
    if force {
        command.arg("--force");
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    match timeout(CALL_MAX, command.status()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("poweroff failed: {status}")),
        Ok(Err(error)) => Err(format!("poweroff cannot be started: {error}")),
        Err(_) => Err(format!("poweroff did not end in {} s", CALL_MAX.as_secs())),
    }
}
