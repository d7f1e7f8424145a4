//! What ends a run from outside: the deadline, the budget, somebody who cancels it.

use std::time::Duration;

use super::{Cancel, Collection, Effect, Effects, Run, Stage};
use crate::record::Outcome;

impl Run {
    pub(super) fn cancel_asked(&mut self, now: Duration, level: Cancel, effects: &mut Effects) {
        self.cancel = self.cancel.max(Some(level));
        match &self.stage {
            // The job has ended by itself: its results are saved unless that is refused too.
            Stage::Collecting {
                what: Collection::Commit { committing, .. },
                ..
            } => {
                if level == Cancel::Fast && !committing {
                    self.conclude(
                        now,
                        Outcome::Cancelled,
                        "cancelled while results were being uploaded",
                        effects,
                    );
                }
            }
            Stage::Collecting {
                what: Collection::Salvage { .. },
                since,
            } => {
                if level == Cancel::Fast {
                    let since = *since;
                    self.enter(
                        now,
                        Stage::Collecting {
                            since,
                            what: Collection::Salvage { results: false },
                        },
                        effects,
                    );
                }
            }
            Stage::Held { .. } => self.enter(now, Stage::Releasing { gone: false }, effects),
            Stage::Accepted | Stage::Arming | Stage::Forming { .. } | Stage::Working { .. } => {
                self.conclude(now, Outcome::Cancelled, "cancelled", effects);
            }
            Stage::Releasing { .. } | Stage::Closed => {}
        }
    }

    /// A run that is held for a look is held until then.
    pub(super) fn extended(&mut self, now: Duration, deadline: Duration, effects: &mut Effects) {
        if let Stage::Held { until } = &mut self.stage
            && deadline > now
        {
            *until = deadline;
            self.spec.deadline = deadline;
            effects.push(Effect::Save);
        } else if self.ended.is_none() && deadline > now {
            self.spec.deadline = deadline;
            effects.push(Effect::Save);
        }
    }

    /// A job that has ended is collected and committed all the same: that costs no more than to save it.
    pub(super) fn over_budget(&mut self, now: Duration, reason: &str, effects: &mut Effects) {
        match self.stage {
            Stage::Accepted | Stage::Arming | Stage::Forming { .. } | Stage::Working { .. } => {
                self.conclude(now, Outcome::OverBudget, reason, effects);
            }
            Stage::Held { .. } => self.enter(now, Stage::Releasing { gone: false }, effects),
            Stage::Collecting { .. } | Stage::Releasing { .. } | Stage::Closed => {}
        }
    }

    pub(super) fn check_deadline(&mut self, now: Duration, effects: &mut Effects) {
        if now >= self.spec.deadline {
            let reason = format!("the deadline of {} s passed", self.spec.deadline.as_secs());
            self.conclude(now, Outcome::TimedOut, &reason, effects);
        }
    }
}
