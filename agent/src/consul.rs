//! This node and Consul: what it registers there ([`announce`]), what a worker looks for there ([`search`]), and the
//! lock that nodes which are alike compete for ([`elect`]).
//!
//! Loops beside the others, where the configuration names a Consul. Nothing waits for them: the coordinator's answers
//! carry the same facts and win, and a Consul that is absent, slow or wrong costs a line in the log.

mod announce;
mod elect;
mod search;

use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::admin::Admin;
use mayfly_kit::backoff::Policy;
use mayfly_kit::consul::Consul;
use mayfly_proto::engine::Definition;
use mayfly_proto::{Attempt, NodeId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{NodeConfig, RoleName};
use crate::node::Event;
use crate::sync::Report;

/// To be taken out at the end; most of it has happened while the node was leaving.
pub(crate) const FAREWELL_MAX: Duration = Duration::from_millis(500);
/// A turn of a loop is a few requests with bounds of their own, or a query that blocks.
const TURN_MAX: Duration = Duration::from_secs(90);
/// Between two tries of a loop: Consul may be away for as long as it likes.
const RETRY: Policy = Policy {
    base: Duration::from_millis(500),
    cap: Duration::from_secs(5),
    budget: Duration::MAX,
};

/// What the loops are told.
pub struct Sources {
    /// What the engine is.
    pub definition: Arc<Definition>,
    /// Phase and attempt; its end is the node's.
    pub node: watch::Receiver<Report>,
    /// The attempt whose master is looked for.
    pub seeking: watch::Receiver<Option<Attempt>>,
    /// The attempt whose master's lock is to be held.
    pub standing_for: watch::Receiver<Option<Attempt>>,
    /// Where what is found goes.
    pub events: mpsc::Sender<Event>,
    /// Liveness, and lines on `/status`.
    pub admin: Admin,
}

/// The loops of a node that has a Consul.
pub struct Loops(JoinSet<()>);

/// Starts the loops. Settings that cannot be used cost a line in the log, not the node.
#[must_use]
pub fn start(config: &NodeConfig, node: &NodeId, sources: Sources) -> Loops {
    let mut loops = Loops(JoinSet::new());
    let Some(settings) = &config.consul else {
        return loops;
    };
    let consul = match Consul::open(settings) {
        Ok(consul) => consul,
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "this node does without Consul"
            );
            return loops;
        }
    };
    let Sources {
        definition,
        node: report,
        seeking,
        standing_for,
        events,
        admin,
    } = sources;
    if config.role == RoleName::Auto {
        let pulse = admin.watch("election", TURN_MAX);
        let elect = elect::Elect::new(consul.clone(), config, node, standing_for, events.clone(), pulse);
        loops.0.spawn(elect.run());
    }
    if config.role != RoleName::Master {
        let pulse = admin.watch("master", TURN_MAX);
        let search = search::Search::new(consul.clone(), config, seeking, events, pulse);
        loops.0.spawn(search.run());
    }
    let announce = announce::Announce::new(consul, config, node, definition, report, admin);
    loops.0.spawn(announce.run());
    loops
}

impl Loops {
    /// Gives the registration a moment to be taken out, once the node has ended.
    pub async fn farewell(mut self) {
        let done = async { while self.0.join_next().await.is_some() {} };
        if timeout(FAREWELL_MAX, done).await.is_err() {
            tracing::warn!(
                "Consul did not answer in time: it forgets this node by itself in a minute or two"
            );
        }
    }
}
