//! The stage in which what nodes hold is uploaded: to be committed, or saved without a commit.

use std::time::Duration;

use super::{Collection, Effects, JobEnd, NodePhase, Role, Run, Stage};
use crate::record::Outcome;

impl Run {
    pub(super) fn committing(
        &mut self,
        now: Duration,
        since: Duration,
        end: &JobEnd,
        committing: bool,
        effects: &mut Effects,
    ) {
        if self.node_failed(now, effects) || self.master_missing(effects) {
            return;
        }
        let phase = self.master().and_then(|master| master.phase_in(self.attempt));
        if phase == Some(NodePhase::Committed) {
            return self.job_done(now, end, effects);
        }
        if now >= self.spec.deadline + self.spec.timing.overtime {
            let reason = "the results were not uploaded before the deadline and its overtime passed";
            return self.conclude(now, Outcome::TimedOut, reason, effects);
        }
        if !committing && self.all_collected() {
            if let Some(reason) = self.results_may_be_missing() {
                return self.give_up(reason, effects);
            }
            let what = Collection::Commit {
                end: end.clone(),
                committing: true,
            };
            self.enter(now, Stage::Collecting { since, what }, effects);
        }
    }

    fn all_collected(&self) -> bool {
        let mut nodes = self
            .present()
            .filter(|node| node.attempt == self.attempt || node.role == Role::Master);
        nodes.all(|node| {
            matches!(
                node.phase_in(self.attempt),
                Some(NodePhase::Collected | NodePhase::Committed)
            )
        })
    }

    /// A worker that is gone may have held files that exist nowhere else. Unless it is plain that executors wrote
    /// none, the results are not complete and must not be committed as if they were.
    fn results_may_be_missing(&self) -> Option<String> {
        let executors_wrote = self
            .workers()
            .any(|node| node.attempt == self.attempt && node.results_files > 0)
            || self
                .master()
                .is_some_and(|master| master.report.success_markers > 0);
        self.nodes
            .values()
            .filter(|node| !node.is_present() && node.role == Role::Worker && node.private_results)
            .filter(|node| node.attempt == self.attempt && node.took_part)
            .find(|node| executors_wrote || node.results_files > 0)
            .map(|node| format!("{} was lost and may have held a part of the results", node.id))
    }

    pub(super) fn salvaging(&mut self, now: Duration, since: Duration, results: bool, effects: &mut Effects) {
        let saved = self.present().all(|node| {
            matches!(
                node.phase_in(self.attempt),
                Some(NodePhase::Collected | NodePhase::Committed | NodePhase::Failed | NodePhase::Leaving)
            )
        });
        let limit = if results {
            self.spec.timing.salvage
        } else {
            self.spec.timing.lost_after
        };
        // Whoever takes a run over begins to count anew: its end stands.
        let over = now >= self.spec.deadline + self.spec.timing.overtime;
        if saved || over || now.saturating_sub(since) >= limit {
            self.let_go(now, effects);
        }
    }
}
