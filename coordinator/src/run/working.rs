//! The stage in which the job runs: until it has ended, hangs, or has had no workers for too long.

use std::time::Duration;

use super::{Collection, Effects, Run, Stage};
use crate::record::Outcome;

impl Run {
    pub(super) fn working(
        &mut self,
        now: Duration,
        no_workers_since: Option<Duration>,
        effects: &mut Effects,
    ) {
        if self.node_failed(now, effects) || self.master_missing(effects) || self.master_goes(now, effects) {
            return;
        }
        let ended = self
            .master()
            .filter(|master| master.attempt == self.attempt)
            .and_then(|m| m.report.job.clone());
        if ended.as_ref().is_some_and(|end| end.stopped) {
            // Another coordinator has told it to, and either does not own the run or died before it could say why.
            return self.give_up(
                "the job was ended, and not by this coordinator".to_owned(),
                effects,
            );
        }
        if let Some(end) = ended {
            let what = Collection::Commit {
                end,
                committing: false,
            };
            return self.enter(now, Stage::Collecting { since: now, what }, effects);
        }
        self.check_deadline(now, effects);
        if self.ended.is_none() {
            self.mind_workers(now, no_workers_since, effects);
        }
    }

    fn mind_workers(&mut self, now: Duration, since: Option<Duration>, effects: &mut Effects) {
        let since = if self.spec.workers == 0 || self.workers().next().is_some() {
            None
        } else {
            Some(since.unwrap_or(now))
        };
        if let Stage::Working { no_workers_since, .. } = &mut self.stage {
            *no_workers_since = since;
        }
        let limit = self.spec.timing.without_workers;
        match since {
            None => self.check_life(now, effects),
            // It waits for them.
            Some(since) if now.saturating_sub(since) < limit => {}
            Some(_) => {
                let secs = limit.as_secs();
                self.give_up(
                    format!("all workers were lost and none came back within {secs} s"),
                    effects,
                );
            }
        }
    }

    fn check_life(&mut self, now: Duration, effects: &mut Effects) {
        if let Some(why) = self.hangs(now) {
            self.conclude(now, Outcome::TimedOut, &why, effects);
        }
    }
}
