//! A worker looks for its master while the coordinator has not named it: queries that block, answers that are checked.

use std::net::IpAddr;
use std::time::Duration;

use mayfly_kit::admin::Loop;
use mayfly_kit::backoff::{Backoff, jitter};
use mayfly_kit::consul::{Consul, Found, Kind, Query};
use mayfly_proto::{Attempt, RunId};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::RETRY;
use crate::config::NodeConfig;
use crate::node::Event;

/// How long Consul may hold a query back.
const WAIT: Duration = Duration::from_secs(30);
/// Between two queries, however fast the answers come.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) struct Search {
    consul: Consul,
    run: RunId,
    from: IpAddr,
    seeking: watch::Receiver<Option<Attempt>>,
    events: mpsc::Sender<Event>,
    pulse: Loop,
}

impl Search {
    pub(super) fn new(
        consul: Consul,
        config: &NodeConfig,
        seeking: watch::Receiver<Option<Attempt>>,
        events: mpsc::Sender<Event>,
        pulse: Loop,
    ) -> Self {
        Self {
            consul,
            run: config.run.clone(),
            from: config.address,
            seeking,
            events,
            pulse,
        }
    }

    /// Until the node has ended.
    pub(super) async fn run(self) {
        let mut seeking = self.seeking.clone();
        loop {
            let wanted = *seeking.borrow_and_update();
            let changed = match wanted {
                Some(attempt) => tokio::select! {
                    changed = seeking.changed() => changed,
                    () = self.find(attempt) => return,
                },
                None => self.rest(&mut seeking).await,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    async fn rest(
        &self,
        seeking: &mut watch::Receiver<Option<Attempt>>,
    ) -> Result<(), watch::error::RecvError> {
        loop {
            self.pulse.status("the coordinator has named the master");
            tokio::select! {
                changed = seeking.changed() => return changed,
                () = sleep(WAIT) => {}
            }
        }
    }

    /// Tells of each change, until it is dropped or nobody listens.
    async fn find(&self, attempt: Attempt) {
        let query = Query {
            kind: Kind::Master,
            tags: vec![("run", self.run.to_string()), ("role", "master".into())],
            from: self.from,
        };
        let mut waits = Backoff::new(RETRY, jitter as fn() -> u64);
        let mut index = 0;
        let mut told = None;
        self.pulse
            .status(format!("looking for the master of attempt {attempt}"));
        while !self.events.is_closed() {
            match self.consul.healthy(&query, index, WAIT).await {
                Ok(found) => {
                    index = found.index;
                    waits.reset();
                    let master = master(&found, attempt);
                    self.pulse.status(status(&found, master.as_deref()));
                    if master.is_some() && master != told {
                        told.clone_from(&master);
                        let event = Event::Found(attempt, master.unwrap_or_default());
                        // Without a driver the node has ended.
                        let _ = self.events.send(event).await;
                    }
                    // An answer without a usable index comes at once.
                    sleep(if index == 0 { RETRY.cap } else { PAUSE }).await;
                }
                Err(error) => {
                    index = 0;
                    let wait = waits.next().unwrap_or(RETRY.cap);
                    self.pulse.status(format!("{error}; again in {wait:?}"));
                    tracing::debug!(error = &error as &dyn std::error::Error, "no master from Consul");
                    sleep(wait).await;
                }
            }
        }
    }
}

/// The one master of this attempt; none when there are two, of which one must be wrong.
fn master(found: &Found, attempt: Attempt) -> Option<String> {
    let number = attempt.number().to_string();
    let mut masters = found
        .instances
        .iter()
        .filter(|instance| instance.tag("attempt") == Some(&number));
    let one = masters.next()?;
    masters.next().is_none().then(|| one.address.to_string())
}

fn status(found: &Found, master: Option<&str>) -> String {
    let odd = match found.refused.first() {
        Some(why) => format!("; not believed: {why}"),
        None => String::new(),
    };
    match master {
        Some(address) => format!("the master is at {address}{odd}"),
        None => format!(
            "{} masters of this run, none for this attempt alone{odd}",
            found.instances.len()
        ),
    }
}
