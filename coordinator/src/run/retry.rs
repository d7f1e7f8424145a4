//! An attempt that cannot go on: the store is asked for its commit, and without one the next attempt begins, if there
//! may be one.

use std::time::Duration;

use super::{Commit, Effect, Effects, Run, Stage};
use crate::record::Outcome;

impl Run {
    /// This attempt cannot go on; whether it had committed before is asked first.
    pub(super) fn give_up(&mut self, reason: String, effects: &mut Effects) {
        if self.giving_up.is_none() {
            self.giving_up = Some(reason);
            effects.push(Effect::ReadCommit);
        }
    }

    /// The store does not say whether there is a commit: that cannot be waited for beyond the deadline.
    pub(super) fn give_up_in_time(&mut self, now: Duration, effects: &mut Effects) {
        if now >= self.spec.deadline + self.spec.timing.overtime
            && let Some(reason) = self.giving_up.take()
        {
            self.conclude(now, Outcome::InfraFailed, &reason, effects);
        }
    }

    pub(super) fn commit_read(&mut self, now: Duration, commit: Option<Commit>, effects: &mut Effects) {
        let Some(reason) = self.giving_up.take() else {
            return;
        };
        match commit {
            Some(commit) => self.job_done(now, &commit.into(), effects),
            None if self.ended.is_none() && self.may_retry(now) => self.next_attempt(now, &reason, effects),
            None => self.conclude(now, Outcome::InfraFailed, &reason, effects),
        }
    }

    fn may_retry(&self, now: Duration) -> bool {
        self.attempt.number() <= self.spec.retries && now < self.spec.deadline
    }

    fn next_attempt(&mut self, now: Duration, reason: &str, effects: &mut Effects) {
        self.attempt = self.attempt.next();
        self.open_election();
        self.notice(format!("attempt {} begins: {reason}", self.attempt));
        self.enter(now, Stage::Arming, effects);
        effects.push(Effect::Arm(self.attempt));
    }
}
