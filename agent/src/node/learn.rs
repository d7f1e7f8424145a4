//! Facts in. Stale ones change nothing.

use std::time::Duration;

use super::{Desired, Engine, Event, Failure, Job, JobEnd, Node, Role, Stage};

impl Node {
    pub(super) fn learn(&mut self, event: Event) {
        match event {
            Event::Desired { asked, desired } => self.wish(asked, desired),
            Event::Found(n, address) => self.found = Some((n, address)),
            Event::Locked(n) => self.locked = Some(n),
            Event::Prepared(n) if self.is_now(n) => self.form(|prepared, _| *prepared = true),
            Event::EngineReady(n) if self.is_now(n) => self.form(|_, engine| *engine = Engine::Running),
            Event::EngineLost(n) if self.is_now(n) => self.form(|_, engine| *engine = Engine::Starting),
            Event::JobExited(n, end) if self.is_now(n) => self.job_ended(end),
            Event::Failed(n, failure) if self.is_now(n) => self.failed(failure),
            Event::Stopped(n) if self.is_now(n) => self.stopped(),
            Event::Uploaded(n) if self.is_now(n) => self.uploaded(),
            Event::Committed(n) if self.is_now(n) && self.stage == Stage::Committing => {
                self.stage = Stage::Committed;
            }
            Event::Interrupted => self.interrupted = true,
            Event::Farewell => {
                if let Stage::Parting { done, .. } = &mut self.stage {
                    *done = true;
                }
            }
            Event::Prepared(_)
            | Event::EngineReady(_)
            | Event::EngineLost(_)
            | Event::JobExited(..)
            | Event::Failed(..)
            | Event::Stopped(_)
            | Event::Uploaded(_)
            | Event::Committed(_)
            | Event::Signal
            | Event::Tick => {}
        }
    }

    fn wish(&mut self, asked: Duration, desired: Desired) {
        if self
            .wish
            .as_ref()
            .is_some_and(|known| known.attempt > desired.attempt)
        {
            return;
        }
        // Of two answers the one to the later report counts, whichever comes last.
        if self.answered.is_none_or(|known| asked >= known) {
            self.answered = Some(asked);
            self.lease_until = asked.saturating_add(desired.lease);
            self.deadline_at = Some(asked.saturating_add(desired.deadline));
        }
        // Within an attempt goals do not go back, and what is known is not forgotten: the older of two answers may come
        // last, and a coordinator that was started anew may not have heard of the master yet.
        let next = match self.wish.take() {
            Some(known) if known.attempt == desired.attempt => Desired {
                goal: known.goal.max(desired.goal),
                master_address: if desired.master_address.is_empty() {
                    known.master_address
                } else {
                    desired.master_address
                },
                role: if desired.role == Role::Auto {
                    known.role
                } else {
                    desired.role
                },
                workers: if desired.workers.is_empty() {
                    known.workers
                } else {
                    desired.workers
                },
                ..desired
            },
            Some(_) | None => desired,
        };
        self.wish = Some(next);
    }

    fn form(&mut self, change: impl FnOnce(&mut bool, &mut Engine)) {
        if let Stage::Forming { prepared, engine, .. } = &mut self.stage {
            change(prepared, engine);
        }
    }

    fn job_ended(&mut self, end: JobEnd) {
        if self.job == Job::Running {
            let stopped = !matches!(self.stage, Stage::Forming { .. });
            self.job = Job::Ended(JobEnd { stopped, ..end });
        }
    }

    fn failed(&mut self, failure: Failure) {
        match &mut self.stage {
            Stage::Forming { .. } => {}
            Stage::Collecting(_) | Stage::Committing => self.stage = Stage::Stuck,
            // It goes as if its time were over.
            Stage::Salvaging { until, .. } => return *until = Duration::ZERO,
            // Once everything is being ended, or is done, that something fails is no news.
            Stage::Waiting
            | Stage::Stopping { .. }
            | Stage::Collected
            | Stage::Committed
            | Stage::Stuck
            | Stage::Resetting { .. }
            | Stage::Leaving { .. }
            | Stage::Parting { .. }
            | Stage::Gone => return,
        }
        // The first failure is the cause; what follows from it would only hide it.
        self.failure.get_or_insert(failure);
    }

    fn uploaded(&mut self) {
        match &mut self.stage {
            Stage::Collecting(_) => self.stage = Stage::Collected,
            Stage::Salvaging { until, .. } => *until = Duration::ZERO,
            _ => {}
        }
    }

    fn stopped(&mut self) {
        let ended = match &mut self.stage {
            Stage::Stopping { ended, .. } | Stage::Resetting { ended } | Stage::Leaving { ended, .. } => {
                ended
            }
            Stage::Waiting
            | Stage::Forming { .. }
            | Stage::Collecting(_)
            | Stage::Collected
            | Stage::Committing
            | Stage::Committed
            | Stage::Stuck
            | Stage::Salvaging { .. }
            | Stage::Parting { .. }
            | Stage::Gone => return,
        };
        *ended = true;
        if self.job == Job::Running {
            self.job = Job::Ended(JobEnd {
                stopped: true,
                ..JobEnd::default()
            });
        }
    }
}
