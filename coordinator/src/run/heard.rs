//! What nodes say: they introduce themselves and report, whether in time, late or anew.

use std::time::Duration;

use mayfly_proto::{Attempt, NodeId};

use super::{Effect, Effects, Node, NodePhase, Report, Role, Run, Stage};

impl Run {
    pub(super) fn enrolled(&mut self, now: Duration, mut node: Node) {
        match self.stage {
            Stage::Closed => return,
            // A node nobody had seen: the fleet is not gone yet.
            Stage::Releasing { gone: true } => self.stage = Stage::Releasing { gone: false },
            Stage::Accepted
            | Stage::Arming
            | Stage::Forming { .. }
            | Stage::Working { .. }
            | Stage::Collecting { .. }
            | Stage::Held { .. }
            | Stage::Releasing { gone: false } => {}
        }
        node.role = self.role_of_new(node.role);
        let known = self.nodes.entry(node.id.clone()).or_insert(node);
        known.heard = now;
    }

    pub(super) fn reported(
        &mut self,
        now: Duration,
        id: &NodeId,
        attempt: Attempt,
        report: Report,
        effects: &mut Effects,
    ) {
        let current = self.attempt;
        let spare = self.is_spare(id);
        let working = matches!(self.stage, Stage::Working { .. }) && !spare;
        let Some(node) = self.nodes.get_mut(id) else {
            return;
        };
        if node.gone_at.is_some() || attempt > current || attempt < node.attempt {
            return;
        }
        node.heard = now;
        let was_silent = self.silent.remove(id);
        if attempt > node.attempt {
            node.attempt = attempt;
            node.results_files = 0;
            node.took_part = false;
        }
        // One that has files there was at work, whether we had heard of it by then or not.
        if (working || report.results_files > 0) && !node.took_part {
            // Another coordinator must know that executors may have written files there.
            node.took_part = true;
            effects.push(Effect::Save);
        }
        node.results_files = node.results_files.max(report.results_files);
        let failed = report.phase == NodePhase::Failed;
        let known = node.report.interrupted;
        let left = report.interrupted.filter(|_| known.is_none());
        node.report = report;
        if node.lost && node.role != Role::Master && !failed {
            node.lost = false;
            self.notice(format!("{id} is back"));
        } else if was_silent {
            self.notice(format!("{id} is heard again"));
        }
        self.look_for_life(now, id);
        self.claimed(id, effects);
        if let Some(left) = left {
            let secs = left.as_secs();
            self.notice(format!(
                "{id} is being taken away, in {secs} s: its spot instance is interrupted"
            ));
        }
    }
}
