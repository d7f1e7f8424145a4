//! How a run moves: first what an event says (`take`), then what follows from the state (`advance`).

use std::time::Duration;

use mayfly_proto::Attempt;

use super::{Collection, Effect, Effects, Event, Run, Stage};
use crate::record::Outcome;

impl Run {
    pub(super) fn take(&mut self, now: Duration, event: Event, effects: &mut Effects) {
        match event {
            Event::Recorded => self.recorded(now, effects),
            Event::Armed(attempt) => self.armed(now, attempt, effects),
            Event::CloudFailed(reason) => self.conclude(now, Outcome::InfraFailed, &reason, effects),
            Event::Begun(attempt) => self.begun(attempt),
            Event::Enrolled(node) => self.enrolled(now, node),
            Event::Reported(id, attempt, report) => self.reported(now, &id, attempt, *report, effects),
            Event::Troubled(what) => self.troubled(what),
            Event::MachineGone(id) => self.machine_gone(now, &id),
            Event::CancelAsked(level) => self.cancel_asked(now, level, effects),
            Event::Extended(deadline) => self.extended(now, deadline, effects),
            Event::CommitRead(commit) => self.commit_read(now, commit, effects),
            Event::FleetGone => self.fleet_gone(now, effects),
            Event::ReceiptWritten(commit) => self.receipt_written(now, commit, effects),
            Event::OverBudget(reason) => self.over_budget(now, &reason, effects),
            Event::Tick => {}
        }
    }

    /// The same trouble is told once.
    fn troubled(&mut self, what: String) {
        if self.notices.last() != Some(&what) {
            self.notice(what);
        }
    }

    fn recorded(&mut self, now: Duration, effects: &mut Effects) {
        if self.stage == Stage::Accepted {
            self.enter(now, Stage::Arming, effects);
            effects.push(Effect::Arm(self.attempt));
        }
    }

    fn armed(&mut self, now: Duration, attempt: Attempt, effects: &mut Effects) {
        if self.stage == Stage::Arming && attempt == self.attempt {
            self.enter(now, Stage::Forming { since: now }, effects);
        }
    }

    fn begun(&mut self, attempt: Attempt) {
        if let Stage::Working { recorded, .. } = &mut self.stage
            && attempt == self.attempt
        {
            *recorded = true;
        }
    }

    /// What follows from the state and the time, whatever the event was.
    pub(super) fn advance(&mut self, now: Duration, effects: &mut Effects) {
        self.notice_silence(now);
        self.notice_overdue(now);
        if self.giving_up.is_some() {
            return self.give_up_in_time(now, effects);
        }
        match self.stage.clone() {
            Stage::Arming => self.check_deadline(now, effects),
            Stage::Forming { since } => self.forming(now, since, effects),
            Stage::Working { no_workers_since, .. } => self.working(now, no_workers_since, effects),
            Stage::Collecting {
                since,
                what: Collection::Commit { end, committing },
            } => {
                self.committing(now, since, &end, committing, effects);
            }
            Stage::Collecting {
                since,
                what: Collection::Salvage { results },
            } => {
                self.salvaging(now, since, results, effects);
            }
            Stage::Held { until } => {
                if now >= until.min(self.spec.deadline) {
                    self.enter(now, Stage::Releasing { gone: false }, effects);
                }
            }
            Stage::Accepted | Stage::Releasing { .. } | Stage::Closed => {}
        }
    }
}
