//! Starting a Worker's JVM beside the Master's, and holding it back before it registers.
//!
//! A Worker that comes before its Master is turned away or not answered (a Master that only just started is in standby),
//! and asks again 5 to 15 s later. Started after the Master it is late by the whole start of a JVM. So it is started at
//! once and stopped (SIGSTOP) when its own port is open, which comes before its page and its registration, until the
//! Master is alive.

use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::sleep;

use super::poll::Page;
use super::{WORKER_PORT, listens};
use crate::supervise::Child;

/// Between two looks at the Worker's port: the rest of its start up to the registration takes many times as long.
const LOOK: Duration = Duration::from_millis(10);
/// Between two looks at the Master's page.
const LOOK_MASTER: Duration = Duration::from_millis(25);

/// A process that is stopped for as long as this lives.
struct Held(Pid);

impl Held {
    fn new(child: &Child) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(child.pid()).ok()?);
        // It may have died by itself: whoever waits for it is told.
        kill(pid, Signal::SIGSTOP).ok().map(|()| Self(pid))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _gone = kill(self.0, Signal::SIGCONT);
    }
}

/// Returns when the Worker may register. Dropped before that, it lets go of the Worker too.
pub(super) async fn back(worker: &Child, address: std::net::IpAddr, master: &Page) {
    let own = SocketAddr::new(address, WORKER_PORT).to_string();
    while !listens(&own).await {
        sleep(LOOK).await;
    }
    if master.alive_workers().await.is_some() {
        return;
    }
    let _held = Held::new(worker);
    while master.alive_workers().await.is_none() {
        sleep(LOOK_MASTER).await;
    }
}
