//! What a service manager is told: that the node runs, and again and again that every loop of it turns.
//!
//! A unit of `Type=notify` with `WatchdogSec=` kills an agent whose loops are stuck; contact with the coordinator has no part in
//! it. On EC2 the words come from the inner process of `agent boot`, so the unit needs `NotifyAccess=all`; and since the
//! first of them comes when the node knows who it is, `TimeoutStartSec=` must be longer than the time to be taken in. Without
//! a service manager nothing is told to anybody.

use std::time::Duration;

use mayfly_kit::admin::Admin;
use sd_notify::NotifyState;

/// A word may be late by this part of the watchdog's patience, twice.
const SHARE: u32 = 3;

/// Says that the node runs, and that its loops turn for as long as they do.
pub async fn feed(admin: Admin) {
    tell(NotifyState::Ready);
    let Some(patience) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        tokio::time::sleep(pause(patience)).await;
        let stuck = admin.stuck();
        if stuck.is_empty() {
            tell(NotifyState::Watchdog);
        } else {
            tracing::error!(?stuck, "the watchdog is not told that all is well");
        }
    }
}

/// Says that this process is alive, while it has nothing to do but to wait.
pub fn alive() {
    tell(NotifyState::Watchdog);
}

fn pause(patience: Duration) -> Duration {
    (patience / SHARE).max(Duration::from_millis(100))
}

fn tell(state: NotifyState<'_>) {
    // Nobody listens, or nobody any more.
    let _unheard = sd_notify::notify(&[state]);
}
