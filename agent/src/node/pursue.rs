//! From where the node stands towards what is wanted; every effect is given once, where the stage changes.

use std::time::Duration;

use mayfly_proto::Attempt;

use super::{Desired, Effect, Engine, Goal, Job, JobEnd, Node, Role, Stage, What, Why};

impl Node {
    /// Goes as far as it can without another fact; every round but the last changes the stage, and stages end.
    pub(super) fn pursue(&mut self, effects: &mut Vec<Effect>) {
        loop {
            let before = self.stage.clone();
            self.round(effects);
            if self.stage == before {
                return;
            }
        }
    }

    fn round(&mut self, effects: &mut Vec<Effect>) {
        let Some(wish) = self.wish.clone() else {
            return self.part(effects);
        };
        if !self.is_leaving() {
            self.obey(&wish, effects);
        }
        self.advance(&wish, effects);
        self.part(effects);
    }

    /// What interrupts any stage: a newer attempt, and the order to leave.
    fn obey(&mut self, wish: &Desired, effects: &mut Vec<Effect>) {
        if wish.goal == Goal::Leave {
            return self.leave(Why::Told, wish.grace, effects);
        }
        let resetting = matches!(self.stage, Stage::Resetting { .. });
        if let Some(old) = self.attempt.filter(|old| *old < wish.attempt && !resetting) {
            self.stage = Stage::Resetting { ended: false };
            effects.push(Effect::Stop(old, wish.grace));
        }
    }

    fn advance(&mut self, wish: &Desired, effects: &mut Vec<Effect>) {
        let may_commit = self.may_commit(wish);
        // A job cannot outlive its driver's machine: what it wrote is saved while there is time.
        let salvage = self.interrupted && self.role == Role::Master;
        match &mut self.stage {
            Stage::Waiting => self.begin(wish.attempt, effects),
            Stage::Resetting { ended: true } => {
                effects.extend(self.attempt.map(Effect::SetAside));
                self.begin(wish.attempt, effects);
            }
            Stage::Forming { .. } if wish.goal >= Goal::Collect || salvage => {
                self.stage = Stage::Stopping {
                    grace: wish.grace,
                    ended: false,
                };
                effects.push(Effect::Stop(wish.attempt, wish.grace));
            }
            Stage::Stopping { ended: true, .. } => self.collect(wish, effects),
            Stage::Stopping { grace, ended: false } if wish.grace < *grace => {
                *grace = wish.grace;
                effects.push(Effect::Stop(wish.attempt, wish.grace));
            }
            Stage::Collecting(What::All) if !wish.save_results => self.collect(wish, effects),
            Stage::Collected if may_commit => {
                self.stage = Stage::Committing;
                let end = match &self.job {
                    Job::Ended(end) => end.clone(),
                    Job::None | Job::Running => JobEnd::default(),
                };
                effects.push(Effect::WriteCommit(wish.attempt, wish.commit_nodes.clone(), end));
            }
            Stage::Forming { .. }
            | Stage::Stopping { .. }
            | Stage::Resetting { .. }
            | Stage::Collecting(_)
            | Stage::Collected
            | Stage::Committing
            | Stage::Committed
            | Stage::Stuck
            | Stage::Leaving { .. }
            | Stage::Salvaging { .. }
            | Stage::Parting { .. }
            | Stage::Gone => {}
        }
        self.form_up(wish, effects);
    }

    fn may_commit(&self, wish: &Desired) -> bool {
        self.role() == Role::Master && wish.goal >= Goal::Commit && !wish.commit_nodes.is_empty()
    }

    fn begin(&mut self, attempt: Attempt, effects: &mut Vec<Effect>) {
        self.attempt = Some(attempt);
        self.job = Job::None;
        self.failure = None;
        self.stage = Stage::Forming {
            prepared: false,
            engine: Engine::None,
            decommissioned: false,
        };
        effects.push(Effect::Prepare(attempt));
    }

    /// The engine starts beside the preparation; the job after both. Nothing new starts after a failure.
    fn form_up(&mut self, wish: &Desired, effects: &mut Vec<Effect>) {
        let role = self.role();
        let Stage::Forming {
            prepared,
            engine,
            decommissioned,
        } = &mut self.stage
        else {
            return;
        };
        if self.failure.is_some() || wish.goal >= Goal::Collect {
            return;
        }
        if self.interrupted {
            // Only a worker is still here.
            if *engine == Engine::Running && !*decommissioned {
                *decommissioned = true;
                effects.push(Effect::Decommission(wish.attempt));
            }
            return;
        }
        let address = match &self.found {
            Some((n, found)) if *n == wish.attempt && wish.master_address.is_empty() => found,
            Some(_) | None => &wish.master_address,
        };
        let none = *engine == Engine::None || self.started_as != role;
        let start = match role {
            Role::Master => none,
            // It runs with what Consul said, which was wrong or has changed.
            Role::Worker => !address.is_empty() && (none || self.master != *address),
            Role::Auto => false,
        };
        if start {
            *engine = Engine::Starting;
            self.started_as = role;
            self.master.clone_from(address);
            effects.push(Effect::StartEngine(wish.attempt, address.clone()));
        }
        let ready = *prepared && *engine == Engine::Running;
        if ready && wish.goal == Goal::Work && role == Role::Master && self.job == Job::None {
            self.job = Job::Running;
            effects.push(Effect::StartJob(wish.attempt));
        }
    }

    fn collect(&mut self, wish: &Desired, effects: &mut Vec<Effect>) {
        let what = if wish.save_results {
            What::All
        } else {
            What::LogsOnly
        };
        self.stage = Stage::Collecting(what);
        effects.push(Effect::Collect(wish.attempt, what));
    }

    pub(super) fn leave(&mut self, why: Why, grace: Duration, effects: &mut Vec<Effect>) {
        self.go(why, grace, None, effects);
    }

    /// The same when nobody has answered in time. What runs is killed at once, since another attempt may begin elsewhere.
    pub(super) fn leave_alone(&mut self, now: Duration, why: Why, effects: &mut Vec<Effect>) {
        let unsaved = matches!(
            self.stage,
            Stage::Forming { .. } | Stage::Stopping { .. } | Stage::Collecting(What::All) | Stage::Stuck
        );
        // Only one that follows a dead process has something to save before anybody has said how.
        let wanted = self.wish.as_ref().is_none_or(|wish| wish.save_results);
        let saves = unsaved && wanted && !self.salvage.is_zero();
        let save_until = saves.then(|| now.saturating_add(self.salvage));
        self.go(why, Duration::ZERO, save_until, effects);
    }

    fn go(&mut self, why: Why, grace: Duration, save_until: Option<Duration>, effects: &mut Vec<Effect>) {
        self.stage = Stage::Leaving {
            why,
            ended: self.attempt.is_none(),
            save_until,
        };
        effects.extend(self.attempt.map(|attempt| Effect::Stop(attempt, grace)));
    }

    pub(super) fn say_farewell(&mut self, why: Why, effects: &mut Vec<Effect>) {
        self.stage = Stage::Parting { why, done: false };
        effects.push(Effect::Farewell);
    }

    /// The last steps, which nothing interrupts.
    fn part(&mut self, effects: &mut Vec<Effect>) {
        match self.stage {
            Stage::Leaving {
                why,
                ended: true,
                save_until,
            } => match save_until.zip(self.attempt) {
                Some((until, attempt)) => {
                    self.stage = Stage::Salvaging { why, until };
                    effects.push(Effect::Collect(attempt, What::All));
                }
                None => self.say_farewell(why, effects),
            },
            Stage::Parting { why, done: true } => {
                self.stage = Stage::Gone;
                effects.push(Effect::Exit(why));
            }
            Stage::Waiting
            | Stage::Forming { .. }
            | Stage::Stopping { .. }
            | Stage::Collecting(_)
            | Stage::Collected
            | Stage::Committing
            | Stage::Committed
            | Stage::Stuck
            | Stage::Resetting { .. }
            | Stage::Leaving { .. }
            | Stage::Salvaging { .. }
            | Stage::Parting { .. }
            | Stage::Gone => {}
        }
    }
}
