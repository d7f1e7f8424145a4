//! Registers this node, and says every few seconds that it is alive and what it does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::admin::{Admin, Loop};
use mayfly_kit::consul::{Consul, Health, Kind, Presence, Service};
use mayfly_proto::engine::Definition;
use mayfly_proto::v1::NodePhase;
use mayfly_proto::{NodeId, RunId};
use tokio::sync::watch;
use tokio::time::sleep;

use super::TURN_MAX;
use crate::config::NodeConfig;
use crate::node::Role;
use crate::run::ADMIN_PORT;
use crate::sync::Report;

/// Between two turns, however fast the news come.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) struct Announce {
    presence: Presence,
    run: RunId,
    node: NodeId,
    config: NodeConfig,
    definition: Arc<Definition>,
    report: watch::Receiver<Report>,
    admin: Admin,
    pulse: Loop,
}

impl Announce {
    pub(super) fn new(
        consul: Consul,
        config: &NodeConfig,
        node: &NodeId,
        definition: Arc<Definition>,
        report: watch::Receiver<Report>,
        admin: Admin,
    ) -> Self {
        Self {
            presence: Presence::new(consul),
            run: config.run.clone(),
            node: node.clone(),
            config: config.clone(),
            definition,
            report,
            pulse: admin.watch("consul", TURN_MAX),
            admin,
        }
    }

    /// Until the node has ended and is taken out.
    pub(super) async fn run(mut self) {
        loop {
            let now = self.report.borrow_and_update().clone();
            let report = &now.report;
            let wanted = self.wanted(&now);
            let stuck = self.admin.stuck();
            let (health, line) = if stuck.is_empty() {
                (Health::Passing, report.status.clone())
            } else {
                (Health::Critical, format!("stuck: {}", stuck.join(", ")))
            };
            let wait = self.presence.turn(wanted.as_ref(), health, &line).await;
            self.pulse.status(self.presence.status());
            if !self.pause(wait, &now).await {
                break;
            }
        }
        self.presence.turn(None, Health::Critical, "").await;
    }

    /// Until the next turn is due, or there is news; false when the node has ended.
    async fn pause(&mut self, wait: Duration, told: &Report) -> bool {
        sleep(PAUSE).await;
        let shown = |report: &Report| (report.attempt, report.role, report.report.phase);
        let news = |next: &Report| shown(next) != shown(told);
        tokio::select! {
            changed = self.report.wait_for(news) => changed.is_ok(),
            () = sleep(wait.saturating_sub(PAUSE)) => true,
        }
    }

    /// What others shall see: nothing before there is an attempt and the node has its role in it, and nothing of a node
    /// that leaves.
    fn wanted(&self, now: &Report) -> Option<Service> {
        let Report {
            attempt,
            role,
            report,
        } = now;
        if *attempt == 0 || report.phase() == NodePhase::Leaving {
            return None;
        }
        let (kind, role, is_master) = match (*role)? {
            Role::Master => (Kind::Master, "master", true),
            Role::Worker => (Kind::Worker, "worker", false),
            Role::Auto => return None,
        };
        let port = self.definition.port(is_master).unwrap_or(ADMIN_PORT);
        Some(Service {
            kind,
            name: format!("{}-{}", self.run, self.node),
            address: SocketAddr::new(self.config.address, port),
            tags: vec![
                ("run", self.run.to_string()),
                ("role", role.into()),
                ("engine", self.definition.name.clone()),
                ("attempt", attempt.to_string()),
            ],
            ready: Some(SocketAddr::new(self.config.address, ADMIN_PORT)),
            admin_port: Some(ADMIN_PORT),
            ui_port: self.definition.ui_port(is_master),
        })
    }
}
