//! A node that is like all others competes for the lock of its attempt's master, and keeps it while it is the master.
//!
//! Each attempt has a lock of its own: one that a dead or paused master still holds stands in nobody's way. The lock is
//! advice. What this node learns here it claims in its reports, and the coordinator decides.

use std::time::Duration;

use mayfly_kit::admin::Loop;
use mayfly_kit::backoff::{Backoff, jitter};
use mayfly_kit::consul::{Consul, ConsulError, SessionId};
use mayfly_proto::{Attempt, NodeId, RunId};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::{RETRY, TURN_MAX};
use crate::config::NodeConfig;
use crate::node::Event;

/// A third of the session's life.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// Another node has the lock: the coordinator says so soon, or that node is dead.
const TAKEN: Duration = Duration::from_secs(1);
/// How long giving the lock back may take; Consul takes it back by itself.
const RETURN_MAX: Duration = Duration::from_millis(400);

pub(super) struct Elect {
    consul: Consul,
    run: RunId,
    node: NodeId,
    attempt: watch::Receiver<Option<Attempt>>,
    events: mpsc::Sender<Event>,
    pulse: Loop,
}

/// What this node has in Consul.
#[derive(Default)]
struct Held {
    session: Option<SessionId>,
    lock: bool,
}

impl Elect {
    pub(super) fn new(
        consul: Consul,
        config: &NodeConfig,
        node: &NodeId,
        attempt: watch::Receiver<Option<Attempt>>,
        events: mpsc::Sender<Event>,
        pulse: Loop,
    ) -> Self {
        Self {
            consul,
            run: config.run.clone(),
            node: node.clone(),
            attempt,
            events,
            pulse,
        }
    }

    /// Until the node has ended.
    pub(super) async fn run(self) {
        let mut attempt = self.attempt.clone();
        loop {
            let wanted = *attempt.borrow_and_update();
            let changed = match wanted {
                Some(wanted) => {
                    let mut held = Held::default();
                    let changed = tokio::select! {
                        changed = attempt.changed() => changed,
                        () = self.compete(wanted, &mut held) => return,
                    };
                    self.give_back(held).await;
                    changed
                }
                None => self.rest(&mut attempt).await,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    async fn rest(
        &self,
        attempt: &mut watch::Receiver<Option<Attempt>>,
    ) -> Result<(), watch::error::RecvError> {
        loop {
            self.pulse.status("not a candidate");
            tokio::select! {
                changed = attempt.changed() => return changed,
                () = sleep(TURN_MAX / 2) => {}
            }
        }
    }

    /// Takes the lock when it is free, and keeps it, until it is dropped or nobody listens.
    async fn compete(&self, attempt: Attempt, held: &mut Held) {
        let mut waits = Backoff::new(RETRY, jitter as fn() -> u64);
        while !self.events.is_closed() {
            let wait = match self.turn(attempt, held).await {
                Ok(()) => {
                    waits.reset();
                    if held.lock { RENEW_EVERY } else { TAKEN }
                }
                Err(error) => {
                    let wait = waits.next().unwrap_or(RETRY.cap);
                    self.pulse.status(format!("{error}; again in {wait:?}"));
                    tracing::debug!(error = &error as &dyn std::error::Error, "no lock from Consul");
                    sleep(wait).await;
                    continue;
                }
            };
            let what = if held.lock { "holds" } else { "waits for" };
            self.pulse
                .status(format!("{what} the lock of attempt {attempt}'s master"));
            sleep(wait).await;
        }
    }

    async fn turn(&self, attempt: Attempt, held: &mut Held) -> Result<(), ConsulError> {
        if let Some(session) = &held.session
            && !self.consul.renew_session(session).await?
        {
            *held = Held::default();
        }
        let session = match &held.session {
            Some(session) => session,
            None => {
                let name = format!("{}-{}", self.run, self.node);
                held.session.insert(self.consul.create_session(&name).await?)
            }
        };
        if held.lock {
            return Ok(());
        }
        let key = format!("runs/{}/master/{attempt}", self.run);
        let value = self.node.as_str().as_bytes().to_vec();
        held.lock = self.consul.acquire(&key, value, session).await?;
        if held.lock {
            // Without a driver the node has ended.
            let _ = self.events.send(Event::Locked(attempt)).await;
        }
        Ok(())
    }

    /// Ends the session, and with it the lock and its key.
    async fn give_back(&self, held: Held) {
        let Some(session) = &held.session else {
            return;
        };
        match timeout(RETURN_MAX, self.consul.destroy_session(session)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(error = &error as &dyn std::error::Error, "end a session"),
            Err(_) => tracing::debug!("Consul ends the session of this node by itself"),
        }
    }
}
