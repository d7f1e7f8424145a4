//! Nodes that are alike, and Consul.

use super::{Event, World};
use crate::product::agent::node::Event as NodeEvent;
use crate::time::SEC;

impl World {
    /// Nodes that are alike take the lock of the master, and find who has it.
    pub(super) fn consul(&mut self) {
        self.after(2 * SEC, Event::Consul);
        if self.active.consul_down.by(self.now) > 0 {
            return;
        }
        let lives: Vec<bool> = (0..self.machines.len())
            .map(|number| self.lives(number))
            .collect();
        self.locks
            .end(|holder| !lives.get(holder).copied().unwrap_or(false));
        for number in (0..self.machines.len()).filter(|&number| lives.get(number) == Some(&true)) {
            let node = self
                .machines
                .get(number)
                .and_then(|machine| machine.agent.as_ref()?.node.as_ref());
            let Some(node) = node else { continue };
            let (standing, seeking) = (node.standing_for(), node.seeking());
            if let Some(attempt) = standing
                && self.locks.holder(attempt).is_none()
                && self.locks.take(attempt, number)
            {
                self.with_agent(number, |agent, now, wants| {
                    agent.step(now, NodeEvent::Locked(attempt), wants);
                });
            }
            if let Some(attempt) = seeking
                && let Some(holder) = self.locks.holder(attempt)
            {
                let serves = self
                    .machines
                    .get(holder)
                    .and_then(|machine| machine.agent.as_ref()?.serves());
                if let Some(address) = serves.map(str::to_owned) {
                    let event = NodeEvent::Found(attempt, address);
                    self.with_agent(number, |agent, now, wants| agent.step(now, event, wants));
                }
            }
        }
    }
}
