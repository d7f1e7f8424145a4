//! How a run ends: its outcome is fixed, what there is is saved, machines are given back, the receipt is written.

use std::time::Duration;

use super::{Cancel, Collection, Commit, Effect, Effects, JobEnd, Run, Stage};
use crate::record::{Ended, Outcome};

impl Run {
    /// The job's end is durable.
    pub(super) fn job_done(&mut self, now: Duration, end: &JobEnd, effects: &mut Effects) {
        if end.exit_code == Some(0) && end.signal.is_none() {
            self.end(Outcome::Succeeded, "", Some(end));
        } else {
            let cause = if end.cause.is_empty() {
                "the job failed"
            } else {
                end.cause.as_str()
            };
            self.end(Outcome::JobFailed, cause, Some(end));
        }
        self.let_go(now, effects);
    }

    /// The run ends without a commit: save what there is, then release.
    pub(super) fn conclude(&mut self, now: Duration, outcome: Outcome, reason: &str, effects: &mut Effects) {
        if matches!(self.stage, Stage::Releasing { .. } | Stage::Closed) {
            return;
        }
        self.giving_up = None;
        self.end(outcome, reason, None);
        let salvaged = matches!(
            self.stage,
            Stage::Collecting {
                what: Collection::Salvage { .. },
                ..
            }
        );
        let overtime = now >= self.spec.deadline + self.spec.timing.overtime;
        if salvaged || overtime || self.present().next().is_none() {
            return self.let_go(now, effects);
        }
        let results = self.cancel != Some(Cancel::Fast);
        self.enter(
            now,
            Stage::Collecting {
                since: now,
                what: Collection::Salvage { results },
            },
            effects,
        );
    }

    /// Everything that can be saved is saved.
    pub(super) fn let_go(&mut self, now: Duration, effects: &mut Effects) {
        let failed = self
            .ended
            .as_ref()
            .is_some_and(|ended| ended.outcome == Outcome::JobFailed);
        let hold = self.spec.hold;
        if failed && hold > Duration::ZERO && self.cancel.is_none() && self.present().next().is_some() {
            return self.enter(now, Stage::Held { until: now + hold }, effects);
        }
        self.enter(now, Stage::Releasing { gone: false }, effects);
    }

    pub(super) fn fleet_gone(&mut self, now: Duration, effects: &mut Effects) {
        if self.stage == (Stage::Releasing { gone: false }) {
            for node in self.nodes.values_mut() {
                node.gone_at.get_or_insert(now);
            }
            self.stage = Stage::Releasing { gone: true };
            effects.push(Effect::WriteReceipt);
        }
    }

    pub(super) fn receipt_written(&mut self, now: Duration, commit: Option<Commit>, effects: &mut Effects) {
        if self.stage == (Stage::Releasing { gone: true }) {
            let committed = commit.map(|commit| Ended::committed(commit.exit_code, &commit.cause));
            let thought = self.ended.clone();
            self.ended = Ended::settled(self.ended.take(), committed);
            if let (Some(thought), true) = (&thought, thought != self.ended) {
                self.notice(format!(
                    "a commit was found at the end; before: {}",
                    thought.reason
                ));
            }
            self.enter(now, Stage::Closed, effects);
        }
    }
}
