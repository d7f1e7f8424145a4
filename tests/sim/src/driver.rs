//! The owner of one run, as `coordinator/src/driver.rs`: it feeds the product's state machine and carries out its effects,
//! with the product's own decisions about machines, budget and record.

mod keep;
mod save;

use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_proto::{Attempt, NodeId};

use crate::call::{If, Out, Req, Res, Ticket, Work};
use crate::plan::Site;
use crate::product::coordinator::cloud::{Machine, Sight};
use crate::product::coordinator::driver::decide::{Call, Decide, Next, Reply};
use crate::product::coordinator::driver::{budget, past, task};
use crate::product::coordinator::record::{Ended, RunRecord};
use crate::product::coordinator::run::{Cancel, Commit, Desired, Effect, Event, Node, Report, Run, Stage};
use crate::product::kit::{layout, records};
use crate::time::{Ms, SEC, long, skewed};
use keep::Keeper;
use save::Saver;

/// Between two tries.
const RETRY: Ms = SEC;
/// How long a receipt is tried to be written.
const RECEIPT_LIMIT: Ms = 3_600 * SEC;
/// How long the end of a run waits for its record at most.
const FLUSH: Ms = 3_600 * SEC;

/// What a coordinator's clocks show.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The one that nobody sets.
    pub now: Ms,
    /// How far the other one is ahead of the true time, in milliseconds.
    pub skew: i64,
}

impl Clock {
    /// What people call the time.
    #[must_use]
    pub fn wall(self) -> Timestamp {
        skewed(self.now, self.skew)
    }
}

/// What a driver works with.
#[derive(Debug, Clone)]
pub struct Context {
    /// Which cloud.
    pub site: Site,
    /// What the run may cost.
    pub cents: u64,
    /// Workers that suffice.
    pub min_workers: u32,
}

/// Where a driver begins.
pub struct Start {
    /// The run's state.
    pub run: Run,
    /// What is to be done first.
    pub effects: Vec<Effect>,
    /// For how long the run has lasted.
    pub elapsed: Duration,
    /// The record as it is in the store.
    pub record: RunRecord,
    /// Which version that is.
    pub etag: u64,
    /// What has armed the killer, if anything has.
    pub keeper: Option<Keeper>,
}

/// Why a driver has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The run is closed.
    Closed,
    /// Another coordinator owns it.
    Superseded,
}

/// What the receipt says.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Receipt {
    /// How the run ended.
    pub ended: Option<Ended>,
    /// What it cost, in millionths of a dollar.
    pub cost_micros: u64,
    /// Machines that were started.
    pub machines: usize,
}

/// A step of a piece of work that is under way.
#[derive(Debug, Default, Clone, Copy)]
struct Step {
    number: u32,
    open: bool,
}

impl Step {
    fn next(&mut self, work: Work) -> Ticket {
        self.number += 1;
        self.open = true;
        Ticket {
            work,
            step: self.number,
        }
    }

    fn is(self, ticket: Ticket) -> bool {
        self.open && self.number == ticket.step
    }
}

/// The owner of one run.
pub struct Driver {
    context: Context,
    /// The state machine.
    pub run: Run,
    record: RunRecord,
    began: Ms,
    before: Duration,
    /// What the last look showed.
    pub machines: Vec<Machine>,
    saver: Saver,
    keeper: Keeper,
    arming: Step,
    armed_for: Option<(Attempt, u64)>,
    begins: Option<(Attempt, u64)>,
    gives_up: Option<(Attempt, u64)>,
    /// What is asked about the attempt, and what was asked last.
    decide: Option<Decide>,
    reading: Step,
    receipt: Step,
    receipt_began: Ms,
    draft: Option<Receipt>,
    /// What the store had as the commit when the receipt was written.
    committed: Option<Commit>,
    stopping: Option<Ms>,
    /// Set once it has stopped.
    pub stop: Option<Stop>,
    /// Set when machines are given back.
    pub released: Option<Ms>,
}

impl Driver {
    /// A driver for a run whose record is in the store.
    pub fn new(context: Context, clock: Clock, start: Start, out: &mut Out) -> Self {
        let end = start.record.deadline + start.run.spec.timing.overtime;
        let mut driver = Self {
            run: start.run,
            began: clock.now,
            before: start.elapsed,
            machines: Vec::new(),
            saver: Saver::new(start.etag),
            keeper: start.keeper.unwrap_or_else(|| Keeper::new(&context, end)),
            record: start.record,
            arming: Step::default(),
            armed_for: None,
            begins: None,
            gives_up: None,
            decide: None,
            reading: Step::default(),
            receipt: Step::default(),
            receipt_began: 0,
            draft: None,
            committed: None,
            stopping: None,
            stop: None,
            released: None,
            context,
        };
        for effect in start.effects {
            driver.carry_out(clock, effect, out);
        }
        driver.follow(clock, out);
        driver
    }

    fn now(&self, clock: Clock) -> Duration {
        self.before + long(clock.now - self.began)
    }

    /// The record as it stands.
    #[must_use]
    pub fn record(&self) -> RunRecord {
        past::record_of(&self.run, &self.record)
    }

    fn is_busy(&self) -> bool {
        self.stop.is_none() && self.stopping.is_none()
    }

    /// A node is taken in.
    pub fn enrol(&mut self, clock: Clock, mut node: Node, out: &mut Out) {
        node.since = self.now(clock);
        self.apply(clock, Event::Enrolled(node), out);
    }

    /// A node reports; what it shall do, unless it speaks of an attempt that has not begun.
    pub fn sync(
        &mut self,
        clock: Clock,
        id: &NodeId,
        said: Attempt,
        report: Report,
        out: &mut Out,
    ) -> Option<Desired> {
        if said > self.run.attempt {
            return None;
        }
        self.apply(clock, Event::Reported(id.clone(), said, Box::new(report)), out);
        Some(self.run.desired(self.now(clock), id))
    }

    /// Somebody wants the run to end.
    pub fn cancel(&mut self, clock: Clock, fast: bool, out: &mut Out) {
        let level = if fast { Cancel::Fast } else { Cancel::Graceful };
        self.apply(clock, Event::CancelAsked(level), out);
    }

    /// Time has passed.
    pub fn tick(&mut self, clock: Clock, out: &mut Out) {
        if self.is_busy() {
            self.apply(clock, Event::Tick, out);
        }
        if self
            .stopping
            .is_some_and(|since| self.saver.is_idle() || clock.now >= since + FLUSH)
        {
            self.stop = Some(Stop::Closed);
        }
    }

    fn apply(&mut self, clock: Clock, event: Event, out: &mut Out) {
        if !self.is_busy() {
            return;
        }
        let before = (self.run.phase(), self.run.attempt);
        let known = self.run.notices.len();
        let spare = Run::new(self.run.spec.clone());
        let (run, effects) = std::mem::replace(&mut self.run, spare).step(self.now(clock), event);
        self.run = run;
        for text in self.run.notices.iter().skip(known) {
            out.note(format!("notice: {text}"));
        }
        if (self.run.phase(), self.run.attempt) != before {
            out.note(format!(
                "attempt {} {:?} {:?}",
                self.run.attempt,
                self.run.phase(),
                self.run.ended.as_ref().map(|e| (e.outcome, e.reason.clone()))
            ));
        }
        for effect in effects {
            self.carry_out(clock, effect, out);
        }
        self.follow(clock, out);
        if self.run.stage == Stage::Closed {
            self.stopping = Some(clock.now);
        }
    }

    /// Tells the keeper of the fleet what follows from the state.
    fn follow(&mut self, clock: Clock, out: &mut Out) {
        let spec = &self.run.spec;
        let end = past::at(&self.record, spec.deadline + spec.timing.overtime);
        let now = self.now(clock);
        let mut next = task::Task::of(&self.run, now, end);
        if next == task::Task::Release {
            if task::may_release(&self.run, now, self.saver.is_idle()) {
                self.released.get_or_insert(clock.now);
                self.armed_for = None;
                self.arming.open = false;
            } else {
                next = task::Task::Idle;
            }
        }
        self.keeper.follow(next, out);
    }

    fn carry_out(&mut self, clock: Clock, effect: Effect, out: &mut Out) {
        match effect {
            Effect::Save => self.save(out),
            Effect::Arm(attempt) => {
                self.save(out);
                self.armed_for = Some((attempt, self.saver.version()));
            }
            Effect::Begin(attempt) => self.begins = Some((attempt, self.saver.version())),
            Effect::ReadCommit => {
                self.save(out);
                self.gives_up = Some((self.run.attempt, self.saver.version()));
            }
            Effect::WriteReceipt => {
                let cost = budget::spent(&self.machines, clock.wall());
                self.draft = Some(Receipt {
                    ended: self.run.ended.clone(),
                    cost_micros: cost,
                    machines: self.machines.len(),
                });
                self.receipt_began = clock.now;
                (self.reading.open, self.gives_up) = (false, None);
                self.decide(Work::Receipt, out);
            }
        }
    }

    fn save(&mut self, out: &mut Out) {
        let text = serde_json::to_vec(&self.record()).unwrap_or_default();
        self.saver.save(&self.record.run, text, out);
    }

    /// The attempt is given up once the record is durable.
    fn give_up_in_time(&mut self, out: &mut Out) {
        let due = self
            .gives_up
            .filter(|(_, version)| self.saver.saved() >= *version);
        if due.is_some() && !self.reading.open {
            self.decide(Work::Read, out);
        }
    }

    /// Asks from the beginning what becomes of the attempt.
    fn decide(&mut self, work: Work, out: &mut Out) {
        let attempt = self.gives_up.map_or(self.run.attempt, |(attempt, _)| attempt);
        self.decided(work, Decide::begin(self.record.run.clone(), attempt), out);
    }

    /// The next question; or the answer.
    fn decided(&mut self, work: Work, next: Next, out: &mut Out) -> Option<Option<records::Commit>> {
        match next {
            Next::Done(commit) => Some(commit),
            Next::Ask(decide, call) => {
                self.decide = Some(decide);
                let step = if work == Work::Read {
                    &mut self.reading
                } else {
                    &mut self.receipt
                };
                let ticket = step.next(work);
                out.call(
                    ticket,
                    match call {
                        Call::Get(key) => Req::Get(key),
                        Call::PutNew(key, bytes) => Req::Put(key, bytes.into(), If::Absent),
                    },
                );
                None
            }
        }
    }

    /// What the store answers to the question about the attempt; `None` while there is another one.
    fn answered(&mut self, work: Work, res: Res, out: &mut Out) -> Option<Option<records::Commit>> {
        let decide = self.decide.take()?;
        let reply = match res {
            Res::Got(object) => Reply::Got(object.map(|(bytes, _)| bytes.to_vec())),
            Res::Stored(_) => Reply::Put(true),
            _ => Reply::Put(false),
        };
        self.decided(work, decide.take(reply), out)
    }

    fn write_receipt(&mut self, out: &mut Out) {
        let Some(draft) = &mut self.draft else { return };
        let commit = self.committed.as_ref();
        let commit = commit.map(|commit| Ended::committed(commit.exit_code, &commit.cause));
        draft.ended = Ended::settled(draft.ended.take(), commit);
        let text = serde_json::to_vec(draft).unwrap_or_default();
        let ticket = self.receipt.next(Work::Receipt);
        out.call(
            ticket,
            Req::Put(layout::receipt(&self.record.run), text.into(), If::Any),
        );
    }

    /// The killer is armed once the record is durable.
    fn arm_in_time(&mut self, clock: Clock, out: &mut Out) {
        let due = self
            .armed_for
            .is_some_and(|(_, version)| self.saver.saved() >= version);
        if due && !self.arming.open {
            let ticket = self.arming.next(Work::Arm);
            if self.keeper.arm(&self.record.run, clock, ticket, out) {
                self.armed(clock, out);
            }
        }
    }

    /// The job begins once the record says so.
    fn begin_in_time(&mut self, clock: Clock, out: &mut Out) {
        let due = self.begins.filter(|(_, version)| self.saver.saved() >= *version);
        if let Some((attempt, _)) = due {
            self.begins = None;
            self.apply(clock, Event::Begun(attempt), out);
        }
    }

    fn armed(&mut self, clock: Clock, out: &mut Out) {
        self.arming.open = false;
        if let Some((attempt, _)) = self.armed_for.take() {
            self.apply(clock, Event::Armed(attempt), out);
        }
    }

    /// An answer.
    pub fn reply(&mut self, clock: Clock, ticket: Ticket, res: Res, out: &mut Out) {
        match ticket.work {
            Work::Save => {
                if !self.saver.reply(&self.record.run, ticket, res, out) {
                    out.note("superseded");
                    self.stop = Some(Stop::Superseded);
                }
                self.arm_in_time(clock, out);
                self.begin_in_time(clock, out);
                self.give_up_in_time(out);
            }
            Work::Arm => self.arm_goes_on(clock, ticket, &res, out),
            Work::Read if self.reading.is(ticket) => {
                self.reading.open = false;
                if matches!(res, Res::Failed) {
                    out.wake(self.reading.next(Work::Read), RETRY);
                } else if let Some(found) = self.answered(Work::Read, res, out) {
                    self.gives_up = None;
                    self.apply(clock, Event::CommitRead(found.map(of_record)), out);
                }
            }
            Work::Receipt if self.receipt.is(ticket) => match res {
                res if self.decide.is_some() && !matches!(res, Res::Failed) => {
                    if let Some(found) = self.answered(Work::Receipt, res, out) {
                        self.committed = found.map(of_record);
                        self.write_receipt(out);
                    }
                }
                Res::Stored(_) => self.receipt_done(clock, out),
                _ if clock.now >= self.receipt_began + RECEIPT_LIMIT => self.receipt_done(clock, out),
                _ => out.wake(self.receipt.next(Work::Receipt), RETRY),
            },
            Work::Keep => self.keep_goes_on(clock, ticket, res, out),
            Work::Read | Work::Receipt | Work::Launch | Work::Adopt | Work::Upload | Work::Gc => {}
        }
    }

    fn receipt_done(&mut self, clock: Clock, out: &mut Out) {
        self.receipt.open = false;
        let commit = self.committed.take();
        self.apply(clock, Event::ReceiptWritten(commit), out);
    }

    /// It has waited long enough.
    pub fn woken(&mut self, clock: Clock, ticket: Ticket, out: &mut Out) {
        match ticket.work {
            Work::Save => self.saver.again(&self.record.run, ticket, out),
            Work::Arm if self.arming.is(ticket) => {
                self.arming.open = false;
                self.arm_in_time(clock, out);
            }
            Work::Read if self.reading.is(ticket) => self.decide(Work::Read, out),
            Work::Receipt if self.receipt.is(ticket) => self.decide(Work::Receipt, out),
            Work::Keep => self.keeper.begin(&self.record.run, clock, ticket, out),
            _ => {}
        }
    }

    fn arm_goes_on(&mut self, clock: Clock, ticket: Ticket, res: &Res, out: &mut Out) {
        if !self.arming.is(ticket) {
            return;
        }
        if matches!(res, Res::Failed) {
            out.wake(self.arming.next(Work::Arm), RETRY);
        } else if self.keeper.armed(&self.record.run, clock, ticket, out) {
            self.armed(clock, out);
        }
    }

    fn keep_goes_on(&mut self, clock: Clock, ticket: Ticket, res: Res, out: &mut Out) {
        match self.keeper.reply(&self.record.run, clock, ticket, res, out) {
            None => {}
            Some(keep::News::Failed(reason)) => self.apply(clock, Event::CloudFailed(reason), out),
            Some(keep::News::Looked(sight, released)) => self.take_sight(clock, sight, released, out),
        }
    }

    fn take_sight(&mut self, clock: Clock, sight: Sight, released: bool, out: &mut Out) {
        let Sight {
            machines, trouble, ..
        } = sight;
        if let Some(trouble) = trouble {
            self.apply(clock, Event::Troubled(trouble), out);
        }
        for node in task::newly_ended(&self.machines, &machines) {
            self.apply(clock, Event::MachineGone(node), out);
        }
        self.machines = machines;
        let timing = &self.run.spec.timing;
        if let Some(reason) = budget::exceeded(&self.machines, self.context.cents, timing, clock.wall()) {
            self.apply(clock, Event::OverBudget(reason), out);
        }
        if task::is_gone(&self.run, released, &self.machines) {
            self.apply(clock, Event::FleetGone, out);
        }
    }
}

/// A commit as the run knows it.
#[must_use]
pub fn known(bytes: &Rc<[u8]>) -> Option<Commit> {
    serde_json::from_slice(bytes).ok().map(of_record)
}

fn of_record(commit: records::Commit) -> Commit {
    Commit {
        attempt: commit.attempt,
        exit_code: commit.exit_code,
        cause: commit.cause,
    }
}

pub use keep::{HOURLY, Keeper as FleetKeeper};
