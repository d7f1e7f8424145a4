//! Which of nodes that are alike is the master of an attempt.
//!
//! Nodes compete for a lock in Consul and claim the attempt whose lock they hold. The lock is advice: here it is decided,
//! once in each attempt. The first claim stands; when none comes in time, the first of the nodes is taken. What makes it
//! safe is the attempt: only its one master is ever told to commit, and an older attempt never wins.

use std::time::Duration;

use mayfly_proto::NodeId;

use super::{Effect, Node, Role, Run, Stage};

/// How long claims are waited for, from when the first node could have made one. Longer than it takes Consul to notice
/// that a session of ten seconds has ended would only hold up those whose Consul is away.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

impl Run {
    /// A new attempt: every node may become its master, also the one that was given up, should it come back.
    pub(super) fn open_election(&mut self) {
        if !self.spec.alike {
            return;
        }
        for node in self.nodes.values_mut().filter(|node| node.gone_at.is_none()) {
            node.role = Role::Auto;
        }
    }

    /// The first claim in an attempt stands.
    pub(super) fn claimed(&mut self, id: &NodeId, effects: &mut Vec<Effect>) {
        let claims = |node: &Node| self.may_be_elected(node) && node.report.claims == Some(self.attempt);
        if self.is_electing() && self.nodes.get(id).is_some_and(claims) {
            self.elect(id, effects);
        }
    }

    /// Nobody waits for Consul for ever.
    pub(super) fn elect_in_time(&mut self, now: Duration, since: Duration, effects: &mut Vec<Effect>) {
        if !self.is_electing() {
            return;
        }
        let first = self.present().map(|node| node.since).min();
        if first.is_none_or(|first| now.saturating_sub(first.max(since)) < PATIENCE) {
            return;
        }
        let chosen = self.present().find(|node| self.may_be_elected(node));
        if let Some(id) = chosen.map(|node| node.id.clone()) {
            self.notice(format!(
                "{id} was chosen as the master of attempt {}: no node has claimed its lock in Consul within {} s",
                self.attempt,
                PATIENCE.as_secs()
            ));
            self.elect(&id, effects);
        }
    }

    /// What a node that comes now is: once the master is decided, all others are workers.
    pub(super) fn role_of_new(&self, role: Role) -> Role {
        match role {
            Role::Auto if self.has_elected() => Role::Worker,
            Role::Auto | Role::Master | Role::Worker => role,
        }
    }

    fn is_electing(&self) -> bool {
        self.spec.alike && matches!(self.stage, Stage::Forming { .. }) && !self.has_elected()
    }

    /// Whether this attempt has, or had, its master.
    fn has_elected(&self) -> bool {
        let of_now = |node: &Node| node.role == Role::Master && node.attempt == self.attempt;
        self.nodes.values().any(of_now)
    }

    fn may_be_elected(&self, node: &Node) -> bool {
        let fit = node.is_present() && node.report.failure.is_none();
        fit && node.role == Role::Auto && node.attempt == self.attempt
    }

    fn elect(&mut self, id: &NodeId, effects: &mut Vec<Effect>) {
        for node in self.nodes.values_mut().filter(|node| node.role == Role::Auto) {
            node.role = if node.id == *id {
                Role::Master
            } else {
                Role::Worker
            };
        }
        // The next coordinator must not choose another one.
        effects.push(Effect::Save);
    }
}
