//! Whether what is promised is kept: at every write, at the end of every machine, and every few seconds.

use mayfly_proto::Attempt;

use super::World;
use crate::agent::content;
use crate::coordinator::{Coordinator, is_stall};
use crate::driver::{HOURLY, Receipt};
use crate::machine::{Cause, Machine};
use crate::oracle::Promise;
use crate::plan::{JobEnding, Site};
use crate::product::coordinator::plan::starts_max;
use crate::product::coordinator::record::{Ended, Outcome, PhaseName, Role, RunRecord};
use crate::product::kit::layout;
use crate::product::kit::records::Commit;
use crate::time::{MIN, Ms, SEC, ms};

/// After the end of its run, with a coordinator that can do something about it, a machine is gone within this time.
const AFTER_RELEASE: Ms = 60 * SEC;
/// With all coordinators gone for ever.
const ALONE: Ms = 10 * MIN;
/// On this machine: nodes of a server, and of a command.
const ALONE_SERVER: Ms = 150 * SEC;
const ALONE_COMMAND: Ms = 20 * SEC;
/// After the deadline, whatever happens.
const AFTER_DEADLINE: Ms = 5 * MIN;
/// If its agent never starts: five minutes, and what a machine takes to power off.
const NEVER_STARTED: Ms = 5 * MIN + 5 * SEC;
/// Beyond the time that it may hang, and the part of it in which something was still seen, until a job is ended.
const AFTER_STALL: Ms = 30 * SEC;
/// The clocks of coordinators are off by as much as this.
const CLOCKS: Ms = 40 * SEC;

fn end_of(commit: &Commit) -> Ended {
    Ended::committed(commit.exit_code, &commit.cause)
}

impl World {
    fn breaks(&mut self, promise: Promise, what: impl Into<String>) {
        let now = self.now;
        self.oracle.breaks(now, promise, what);
    }

    fn read<T: serde::de::DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_slice(self.store.get(key)?).ok()
    }

    pub(super) fn record(&self) -> Option<RunRecord> {
        self.read(&layout::record(&self.run))
    }

    fn committed(&self) -> Option<Commit> {
        self.read(&layout::commit(&self.run))
    }

    pub(super) fn judge_write(&mut self, key: &str, before: Option<&[u8]>) {
        if key == layout::record(&self.run) {
            self.judge_record(before);
        } else if key == layout::commit(&self.run) {
            self.judge_commit(before);
        } else if key.contains("/results/")
            && before.is_some_and(|bytes| self.store.get(key).is_none_or(|now| **now != *bytes))
        {
            self.breaks(
                Promise::Duplicate,
                format!("{key} was overwritten with something else"),
            );
        }
    }

    fn judge_record(&mut self, before: Option<&[u8]>) {
        let before: Option<RunRecord> = before.and_then(|bytes| serde_json::from_slice(bytes).ok());
        let Some(record) = self.record() else {
            return self.breaks(Promise::Lost, "the record cannot be read");
        };
        if before.is_none() {
            self.oracle.created = Some(self.now);
        }
        self.judge_writer(&record);
        let Some(before) = before else { return };
        if record.attempt < before.attempt {
            self.breaks(Promise::Duplicate, "the record went back to an older attempt");
        }
        self.oracle.attempt = self.oracle.attempt.max(record.attempt);
        if record.attempt.number() > self.plan.setup.retries + 1 {
            self.breaks(Promise::Orphan, format!("attempt {} was begun", record.attempt));
        }
        let settled = Ended::settled(
            before.ended.clone(),
            self.committed().map(|commit| end_of(&commit)),
        );
        if before.ended.is_some() && record.ended != before.ended && record.ended != settled {
            let what = format!("an outcome changed from {:?} to {:?}", before.ended, record.ended);
            self.breaks(Promise::Lost, what);
        }
        if before.is_closed() && !record.is_closed() {
            self.breaks(Promise::Duplicate, "a closed run was opened again");
        }
        let up = self.machines.iter().filter(|machine| machine.is_up()).count();
        if record.is_closed() && up > 0 {
            self.breaks(
                Promise::Orphan,
                format!("the run was closed with {up} machines up"),
            );
        }
    }

    /// Whoever was followed by another one has nothing more to say.
    fn judge_writer(&mut self, record: &RunRecord) {
        let writers = &mut self.oracle.writers;
        match writers.iter().position(|one| *one == record.claim) {
            None => {
                writers.push(record.claim.clone());
                // Whoever has ended the run before could not say so.
                let ends = record
                    .phases
                    .last()
                    .is_some_and(|mark| mark.phase >= PhaseName::Releasing);
                self.oracle.released = self.oracle.released.filter(|_| ends);
            }
            Some(place) if place + 1 < writers.len() => {
                let what = format!(
                    "the owner {} of the run writes after it was superseded",
                    record.claim
                );
                self.breaks(Promise::Duplicate, what);
            }
            Some(_) => {}
        }
    }

    fn judge_commit(&mut self, before: Option<&[u8]>) {
        let Some(commit) = self.committed() else {
            return self.breaks(Promise::Lost, "the commit cannot be read");
        };
        if before.is_some() {
            self.breaks(Promise::Duplicate, "there was a commit before this one");
        }
        self.oracle.seen.commits += 1;
        if commit.attempt < self.oracle.attempt {
            let what = format!(
                "a commit of attempt {} was made in attempt {}",
                commit.attempt, self.oracle.attempt
            );
            self.breaks(Promise::Duplicate, what);
        }
        self.judge_results(&commit);
    }

    /// A committed result is complete and what the job wrote.
    fn judge_results(&mut self, commit: &Commit) {
        let prefix = layout::results(&self.run, commit.attempt);
        let wrong = commit.files.iter().find(|file| {
            let there = self.store.get(&format!("{prefix}{}", file.path));
            there.is_none_or(|bytes| **bytes != *content(&file.path))
        });
        if let Some(file) = wrong.map(|file| file.path.clone()) {
            self.breaks(
                Promise::Lost,
                format!("{file} is committed, and not in the store as the job wrote it"),
            );
        }
        if commit.exit_code != Some(0) {
            return;
        }
        let parts = (0..self.plan.setup.job.parts).map(|part| format!("part-{part}"));
        let missing = parts
            .chain(["_SUCCESS".to_owned()])
            .find(|path| !commit.files.iter().any(|file| file.path == *path));
        if let Some(path) = missing {
            self.breaks(
                Promise::Lost,
                format!("the commit of a job that succeeded lacks {path}"),
            );
        }
    }

    pub(super) fn judge_lease(&mut self, at: Ms) {
        let Some(deadline) = self.deadline() else { return };
        let latest = deadline + ms(self.spec.timing.overtime) + 60 * SEC + CLOCKS;
        if at > latest.max(self.now + 60 * SEC + CLOCKS) {
            let over = (at - deadline) / SEC;
            self.breaks(
                Promise::Orphan,
                format!("a lease was put {over} s past the deadline"),
            );
        }
    }

    pub(super) fn judge_machine_end(&mut self, number: usize, cause: Cause) {
        self.worst(number);
        let over = self.oracle.over || self.deadline().is_some_and(|deadline| self.now >= deadline);
        if self.oracle.mild && cause != Cause::Fault && !over {
            self.breaks(
                Promise::FalseKill,
                format!("machine {number} was ended by us ({cause:?}) before its time"),
            );
        }
    }

    /// How long it was there although it should not be.
    fn worst(&mut self, number: usize) {
        let now = self.now;
        let Some(machine) = self.machines.get(number) else {
            return;
        };
        let (launched, running, bad) = (machine.launched, machine.running, machine.bad && !machine.hung);
        let since = |from: Option<Ms>| from.map_or(0, |from| now.saturating_sub(from.max(launched)));
        let release = self.responsible_since().filter(|_| !self.oracle.contested);
        let alone = self.oracle.alone;
        let deadline = self.deadline();
        let seen = &mut self.oracle.seen;
        seen.worst_release = seen.worst_release.max(since(release));
        seen.worst_alone = seen.worst_alone.max(since(alone));
        seen.worst_deadline = seen.worst_deadline.max(since(deadline));
        if bad {
            seen.worst_boot = seen.worst_boot.max(since(running));
        }
    }

    /// Since when a coordinator could have ended every machine of a run that is over; `None` while it is not, or none can.
    fn responsible_since(&self) -> Option<Ms> {
        let released = self.oracle.released?;
        let able = self
            .coordinators
            .iter()
            .filter(|one| one.up && one.serving && !one.superseded && one.paused <= self.now)
            .map(|one| one.since.max(one.paused))
            .min()?;
        Some(released.max(able).max(self.oracle.cloud_trouble))
    }

    /// Every few seconds.
    pub(super) fn check(&mut self) {
        let now = self.now;
        if self.active.is_cloud_troubled(now) {
            self.oracle.cloud_trouble = now;
        }
        let release = self.responsible_since().filter(|_| !self.oracle.contested);
        let (alone, deadline) = (self.oracle.alone, self.deadline());
        let local = self.plan.setup.site != Site::Aws;
        for number in 0..self.machines.len() {
            let Some(machine) = self.machines.get(number).filter(|machine| machine.is_up()) else {
                continue;
            };
            // A process of this machine that stands still has nobody but its coordinator.
            if local && (machine.hung || machine.frozen + 30 * SEC > now) {
                continue;
            }
            let alone_max = match self.plan.setup.site {
                Site::Aws => ALONE,
                Site::Server => ALONE_SERVER,
                Site::Command => ALONE_COMMAND,
            };
            let late = |from: Option<Ms>, bound: Ms| from.is_some_and(|from| now > from + bound);
            let never = machine.bad && !machine.hung && late(machine.running, NEVER_STARTED);
            let armed = local || self.is_armed(machine);
            let what = if late(release, AFTER_RELEASE) {
                "is there a minute after its run has ended"
            } else if late(alone, alone_max) {
                "is there long after the last coordinator has died"
            } else if late(deadline, AFTER_DEADLINE + CLOCKS) {
                "is there five minutes after the deadline"
            } else if never {
                "is there although its agent never started"
            } else if !armed {
                "has no lease that ends it"
            } else {
                continue;
            };
            self.breaks(Promise::Orphan, format!("machine {number} {what}"));
        }
        self.check_crowd();
        self.check_stall();
    }

    /// A job that hangs is ended in time, where somebody was there all the while who heard all of its nodes.
    fn check_stall(&mut self) {
        let stall = self.plan.setup.stall;
        let alive = self.machines.iter().filter(|machine| machine.is_alive(self.now));
        let since = alive.filter_map(|machine| machine.agent.as_ref()?.hangs()).min();
        let owner = self
            .coordinators
            .iter()
            .find(|one| one.up && one.serving && one.driver.is_some());
        let (Some(since), Some(owner)) = (since.filter(|_| stall > 0 && self.oracle.mild), owner) else {
            return;
        };
        let ends = owner
            .driver
            .as_ref()
            .is_some_and(|driver| driver.run.ended.is_some());
        let calm = since.max(owner.since).max(self.plan.disturbed_until(self.now));
        if !ends && self.now > calm + stall + stall / 16 + AFTER_STALL {
            let secs = (self.now - since) / SEC;
            self.breaks(
                Promise::Orphan,
                format!("a job that has hung for {secs} s goes on"),
            );
        }
    }

    /// A coordinator ends the run because its job hangs.
    pub(super) fn judge_stall(&mut self) {
        let (longest, stall) = (self.oracle.longest_stall(self.now), self.plan.setup.stall);
        if stall == 0 || longest < stall {
            let what = format!(
                "a job was ended as hanging that had shown no life for {} s",
                longest / SEC
            );
            self.breaks(Promise::FalseKill, what);
        }
    }

    fn is_armed(&self, machine: &Machine) -> bool {
        self.cloud
            .groups
            .get(&machine.group)
            .is_some_and(|group| group.lease.is_some())
    }

    /// There are never more machines than are wanted, but while some are on their way out.
    fn check_crowd(&mut self) {
        let (mut masters, mut others) = (0, 0);
        for machine in self.machines.iter().filter(|machine| machine.is_up()) {
            match machine.role {
                Role::Master => masters += 1,
                Role::Worker | Role::Auto => others += 1,
            }
        }
        let most = self.oracle.most() + u32::from(self.plan.setup.alike);
        if masters <= 1 && others <= most {
            self.oracle.crowded = None;
            return;
        }
        let since = *self.oracle.crowded.get_or_insert(self.now);
        if self.now > since + 60 * SEC {
            let what = format!("{masters} masters and {others} others are there, more than were ever wanted");
            self.breaks(Promise::Duplicate, what);
        }
    }

    /// A machine is started.
    pub(super) fn judge_start(&mut self, number: usize) {
        let Some(machine) = self.machines.get(number) else {
            return;
        };
        let (node, role) = (machine.node.clone(), machine.role);
        let armed = self.plan.setup.site != Site::Aws || self.is_armed(machine);
        // Then groups replace what ends, until they are gone.
        let over = self.oracle.over
            || self.oracle.contested
            || self.deadline().is_some_and(|deadline| self.now >= deadline);
        let twice = self.machines.iter().filter(|one| one.node == node).count() > 1;
        let started = self.machines.iter().filter(|one| one.role == role).count();
        let wanted = match role {
            Role::Master => 1,
            Role::Worker => self.oracle.most(),
            Role::Auto => self.oracle.most() + 1,
        };
        let most = starts_max(wanted) + wanted;
        if !armed {
            self.breaks(
                Promise::Orphan,
                format!("machine {number} was started before its killer was armed"),
            );
        } else if twice {
            self.breaks(Promise::Duplicate, format!("{node} is the name of two machines"));
        } else if started > most as usize && !over {
            self.breaks(
                Promise::Orphan,
                format!("{started} machines were started for {wanted}"),
            );
        }
    }

    /// A coordinator says that the run is closed.
    pub(super) fn judge_closed(&mut self, _number: usize) {
        let Some(record) = self.record() else { return };
        if !record.is_closed() {
            // The store did not take it in time; the next coordinator, or gc, closes it.
            return;
        }
        self.oracle.seen.closed += 1;
        self.judge_outcome(&record);
        self.judge_receipt(&record);
    }

    fn judge_outcome(&mut self, record: &RunRecord) {
        let commit = self.committed();
        let Some(ended) = &record.ended else {
            return self.breaks(Promise::Lost, "the run was closed without an outcome");
        };
        let succeeded = commit.as_ref().is_some_and(|commit| commit.exit_code == Some(0));
        let job = self.plan.setup.job.end;
        let deadline = self.deadline().unwrap_or(0);
        let wrong = match ended.outcome {
            Outcome::Succeeded => !succeeded,
            Outcome::JobFailed => succeeded || !matches!(job, JobEnding::Code(..) | JobEnding::Unprepared),
            Outcome::TimedOut if is_stall(ended) => succeeded || self.plan.setup.stall == 0,
            Outcome::TimedOut => succeeded || self.now + CLOCKS < deadline,
            Outcome::Cancelled => succeeded || !self.oracle.seen.cancelled,
            Outcome::OverBudget | Outcome::InfraFailed => succeeded,
        };
        if wrong {
            let what = format!(
                "the outcome {:?} ({}) is not true: commit {:?}, job {job:?}",
                ended.outcome,
                ended.reason,
                commit.map(|commit| (commit.attempt, commit.exit_code)),
            );
            self.breaks(Promise::Lost, what);
        }
    }

    fn judge_receipt(&mut self, record: &RunRecord) {
        let Some(receipt) = self.read::<Receipt>(&layout::receipt(&self.run)) else {
            return;
        };
        if receipt.ended != record.ended {
            return self.breaks(Promise::Lost, "the receipt and the record differ");
        }
        // A coordinator that took the run over knows only the machines that AWS still lists.
        // And what is not listed for a quarter of an hour is taken for gone.
        let long = self
            .oracle
            .released
            .is_some_and(|released| self.now > released + 15 * MIN);
        if self.plan.setup.site != Site::Aws || self.oracle.writers.len() > 1 || long {
            return;
        }
        let paid = |machine: &Machine| {
            let until = machine.ending.unwrap_or(self.now);
            HOURLY * until.saturating_sub(machine.launched).max(60 * SEC) / (60 * MIN)
        };
        // One that came and went before anybody saw it is on the bill alone.
        let seen = || self.machines.iter().filter(|machine| machine.shown);
        let bill: u64 = seen().map(paid).sum();
        let count = seen().count();
        // What is seen late is paid for until then: the look, the age of what it shows, the clocks.
        let late = 2 * self.oracle.looked.1 + 45 * SEC + CLOCKS;
        let slack = HOURLY * late / (60 * MIN) * count as u64;
        // What it takes to save what there is, and to end, is reserved.
        let reserved = HOURLY * (late + ms(self.spec.timing.salvage) + 2 * MIN) / (60 * MIN) * count as u64;
        // What a job that ended has left is committed all the same, however long the store is away.
        let committed = self.committed().is_some();
        if !committed && bill > self.plan.setup.cents * 10_000 + reserved {
            self.breaks(
                Promise::Orphan,
                format!(
                    "the run cost {bill} µ$, {} cents were allowed",
                    self.plan.setup.cents
                ),
            );
        }
        if receipt.machines != count || receipt.cost_micros.abs_diff(bill) > slack {
            let what = format!(
                "the receipt has {} machines and {} µ$, the bill {count} and {bill} µ$",
                receipt.machines, receipt.cost_micros
            );
            self.breaks(Promise::Lost, what);
        }
    }

    /// Whether a coordinator has heard of the run: one that looked before there was one looks again when it is started.
    fn knows(&self, coordinator: &Coordinator) -> bool {
        let looked = self
            .oracle
            .created
            .is_some_and(|created| coordinator.since > created);
        looked || coordinator.closed || coordinator.driver.is_some()
    }

    /// Faults have stopped long ago: everything must be at rest.
    pub(super) fn judge_end(&mut self) {
        self.oracle.seen.machines = self.machines.len() as u64;
        let up = self.machines.iter().filter(|machine| machine.is_up()).count();
        let local = self.plan.setup.site != Site::Aws;
        let hung = self
            .machines
            .iter()
            .any(|machine| machine.is_up() && machine.hung);
        if up > 0 && !(local && hung) {
            self.breaks(Promise::Orphan, format!("{up} machines are there at the end"));
        }
        let alive = self
            .coordinators
            .iter()
            .any(|one| one.up && one.serving && !one.superseded && self.knows(one));
        let Some(record) = self.record() else {
            if self.launched {
                self.breaks(Promise::Lost, "the run that was promised has no record");
            }
            return;
        };
        if alive && !record.is_closed() {
            let what = format!(
                "the run was forgotten in {:?}",
                record.phases.last().map(|mark| mark.phase)
            );
            return self.breaks(Promise::Lost, what);
        }
        if alive && !self.oracle.contested && !self.cloud.groups.is_empty() {
            self.breaks(Promise::Orphan, "groups are left at the end");
        }
        if self.oracle.mild && record.is_closed() {
            self.judge_mild(&record);
        }
    }

    /// Nothing disturbed the run: it ended as its job did.
    fn judge_mild(&mut self, record: &RunRecord) {
        let setup = &self.plan.setup;
        if self.oracle.seen.cancelled || setup.cents < 1_000 {
            return;
        }
        let Some(outcome) = record.ended.as_ref().map(|ended| ended.outcome) else {
            return;
        };
        let work = setup.job.part * Ms::from(setup.job.parts) * 11 / 10;
        let fits = work + 6 * MIN < setup.deadline;
        let right = match setup.job.end {
            JobEnding::Well => outcome == Outcome::Succeeded || (!fits && outcome == Outcome::TimedOut),
            JobEnding::Code(..) => outcome == Outcome::JobFailed || (!fits && outcome == Outcome::TimedOut),
            JobEnding::Never => outcome == Outcome::TimedOut,
            JobEnding::Unprepared => outcome == Outcome::JobFailed,
        };
        if !right || record.attempt > Attempt::FIRST {
            let reason = record
                .ended
                .as_ref()
                .map(|ended| ended.reason.clone())
                .unwrap_or_default();
            let what = format!(
                "nothing was wrong, and the run ended as {outcome:?} in attempt {}: {reason}",
                record.attempt
            );
            self.breaks(Promise::FalseKill, what);
        }
    }
}
