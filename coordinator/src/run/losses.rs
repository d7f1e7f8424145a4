//! Nodes that are lost: silent, failed, taken away, or gone with their machine; and what of that a run cannot go on
//! without.

use std::time::Duration;

use mayfly_proto::NodeId;

use super::{Effects, FailureKind, NodePhase, Role, Run, Stage};
use crate::record::Outcome;

impl Run {
    pub(super) fn machine_gone(&mut self, now: Duration, id: &NodeId) {
        let releasing = matches!(self.stage, Stage::Releasing { .. } | Stage::Closed);
        let Some(node) = self.nodes.get_mut(id).filter(|node| node.gone_at.is_none()) else {
            return;
        };
        node.gone_at = Some(now);
        if !releasing && !node.lost {
            node.lost = true;
            self.notice(format!("{id} is gone: its machine ended"));
        }
    }

    pub(super) fn notice_silence(&mut self, now: Duration) {
        if matches!(self.stage, Stage::Releasing { .. } | Stage::Closed) {
            return;
        }
        let (told, limit) = (self.spec.timing.silent_after, self.spec.timing.lost_after);
        let mut news = Vec::new();
        for node in self.nodes.values_mut().filter(|node| node.is_present()) {
            let silence = now.saturating_sub(node.heard);
            let secs = silence.as_secs();
            if silence > limit {
                node.lost = true;
                self.silent.remove(&node.id);
                news.push(format!("{} is lost: silent for {secs} s", node.id));
            } else if silence > told && self.silent.insert(node.id.clone()) {
                let limit = limit.as_secs();
                news.push(format!(
                    "{} is silent for {secs} s; it is given up after {limit} s",
                    node.id
                ));
            }
        }
        for text in news {
            self.notice(text);
        }
    }

    /// A node that says it failed: the job's doing ends the run, a worker's own trouble only that worker.
    pub(super) fn node_failed(&mut self, now: Duration, effects: &mut Effects) -> bool {
        let failed = self
            .present()
            .filter(|node| node.attempt == self.attempt)
            .find_map(|node| Some((node.id.clone(), node.role, node.report.failure.clone()?)));
        let Some((id, role, failure)) = failed else {
            return false;
        };
        match (failure.kind, role) {
            (FailureKind::Job, _) => {
                self.conclude(now, Outcome::JobFailed, &failure.message, effects);
                true
            }
            (FailureKind::Infra, Role::Master) => {
                self.drop_node(&id, format!("{id} failed: {}", failure.message));
                false
            }
            (FailureKind::Infra, Role::Worker | Role::Auto) => {
                self.drop_node(&id, format!("{id} failed and is given up: {}", failure.message));
                false
            }
        }
    }

    fn drop_node(&mut self, id: &NodeId, notice: String) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.lost = true;
        }
        self.notice(notice);
    }

    /// Whether this attempt had a master and has it no more. Another one that has come meanwhile does not take its place:
    /// the job began, and what it wrote is, on the one that is lost.
    pub(super) fn master_missing(&mut self, effects: &mut Effects) -> bool {
        let lost = self
            .nodes
            .values()
            .rfind(|node| node.role == Role::Master && node.attempt == self.attempt && !node.is_present());
        let Some(id) = lost.map(|node| node.id.clone()) else {
            return false;
        };
        let why = self
            .notices
            .iter()
            .rfind(|notice| notice.starts_with(id.as_str()));
        let reason = why.cloned().unwrap_or_else(|| format!("{id} was lost"));
        self.give_up(reason, effects);
        true
    }

    /// Whether the master's machine is being taken away while its job is not done. It ends the job and saves what there is
    /// by itself; when it has, or cannot, the attempt is given up. A job that had ended before is collected as ever.
    pub(super) fn master_goes(&mut self, now: Duration, effects: &mut Effects) -> bool {
        let attempt = self.attempt;
        let Some(master) = self
            .master()
            .filter(|node| node.is_going() && node.attempt == attempt)
        else {
            return false;
        };
        if master.report.job.as_ref().is_some_and(|end| !end.stopped) {
            return false;
        }
        let id = master.id.clone();
        let saved = matches!(
            master.report.phase,
            NodePhase::Collected | NodePhase::Committed | NodePhase::Failed | NodePhase::Leaving
        );
        if saved {
            self.drop_node(
                &id,
                format!("{id} was taken away: its spot instance is interrupted"),
            );
            self.master_missing(effects);
        } else {
            self.check_deadline(now, effects);
        }
        true
    }
}
