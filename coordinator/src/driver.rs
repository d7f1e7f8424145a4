//! The task that owns one run: it feeds [`Run`] with events and carries out its effects.
//!
//! Three tasks work for it, each level-triggered: `saver` makes the record durable, `fleet` keeps the machines as
//! wanted and looks at them, and each effect that waits for something (arming, reading the commit, the receipt) is a
//! child task that answers with an event.

mod budget;
mod decide;
pub(crate) mod effects;
mod fleet;
mod past;
pub(crate) mod receipt;
mod saver;
mod seat;
mod task;
mod told;
mod view;

pub use effects::commit_of;
pub(crate) use effects::{decided, known};
pub(crate) use past::{elapsed, past_of, since};
pub(crate) use receipt::{phase_times, step_times};
pub use seat::{Handle, Seat};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_kit::admin::Loop;
use mayfly_kit::clock::Watch;
use mayfly_kit::store::Store;
use mayfly_proto::{Attempt, NodeId};
use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::cloud::{Cloud, Machine, Order, Sight};
use crate::home::Home;
use crate::notify::{self, Notifier, Notify, What};
use crate::record::{PhaseName, RunRecord};
use crate::run::{Cancel, Desired, Effect, Event, Node, Report, Run, Stage};
use told::State;

/// How often time itself is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long webhooks are waited for at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// What others ask of the owner of a run.
#[derive(Debug)]
pub enum Message {
    /// A node enrolled; the answer is given once it counts.
    Enrol(Box<Node>, oneshot::Sender<()>),
    /// A node's report; the answer is what it shall do.
    Sync(
        NodeId,
        Attempt,
        Box<Report>,
        oneshot::Sender<Result<Desired, UnknownAttempt>>,
    ),
    /// Somebody wants the run to end.
    Cancel(Cancel),
    /// The deadline is moved to so long from now; answered once the record has it, with false if the run ends already.
    Extend(Duration, oneshot::Sender<bool>),
    /// An effect is done.
    Done(Event),
    /// The lease of the machines cannot be renewed, time and again; why.
    LeaseTrouble(String),
    /// The last machine, which this coordinator runs on, has been given back.
    Left,
    /// What the cloud says of the machines.
    Looked {
        /// What was seen.
        sight: Sight,
        /// Whether every group was gone by then: before that, that no machine is seen proves nothing.
        released: bool,
    },
}

/// A node speaks of an attempt that has not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("attempt {said} has not begun; the run is at attempt {current}")]
pub struct UnknownAttempt {
    said: Attempt,
    current: Attempt,
}

/// What a driver works with.
pub struct Context {
    /// The cloud the run is on.
    pub cloud: Arc<dyn Cloud>,
    /// The store.
    pub store: Store,
    /// Local folders.
    pub home: Home,
    /// What the machines are made for.
    pub order: Order,
    /// ETag of the record as it was made or read.
    pub etag: String,
    /// Whether another coordinator, on the fleet's own master, is to take the run over: until then this one does nothing
    /// to machines without having looked whether that has happened.
    pub yields: bool,
    /// Who is told of the run, beside those that its job names.
    pub notify: Notify,
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
}

/// Why a driver stopped.
#[derive(Debug)]
pub enum Stop {
    /// The run is closed.
    Closed,
    /// Another coordinator owns the run: its machines are left to that one. What this one sat on is for whoever follows.
    Superseded(Seat),
    /// The machine that this coordinator runs on is the last of the run, and is being taken away.
    Left,
}

/// The owner of one run.
pub struct Driver {
    context: Arc<Context>,
    run: Run,
    record: RunRecord,
    began: Instant,
    before: Duration,
    clock: Watch,
    machines: Vec<Machine>,
    budget_cents: u64,
    seat: Seat,
    saver: saver::Saver,
    wanted: watch::Sender<task::Task>,
    children: JoinSet<()>,
    arming: Option<AbortHandle>,
    receipt: watch::Sender<String>,
    usual: watch::Receiver<BTreeMap<PhaseName, f64>>,
    notifier: Notifier,
    posting: JoinSet<()>,
    leaving: bool,
}

impl Driver {
    /// A driver for a run whose record is in the store.
    #[must_use]
    pub fn new(context: Context, start: Start, seat: Seat) -> Self {
        let Start {
            run,
            effects,
            elapsed,
            record,
        } = start;
        let budget_cents = context.order.job.limits.cost_cents;
        let context = Arc::new(context);
        let mut children = JoinSet::new();
        let saver = saver::Saver::start(&context, &mut children);
        let (wanted, watch_wanted) = watch::channel(task::Task::Idle);
        children.spawn(fleet::keep(Arc::clone(&context), watch_wanted, seat.outbox()));
        let (told, usual) = watch::channel(BTreeMap::new());
        children.spawn(effects::look_back(Arc::clone(&context), told));
        let (notifier, posts) = notify::of(&context.notify, &context.order.job.notify);
        let mut posting = JoinSet::new();
        posting.spawn(posts);
        let mut driver = Self {
            context,
            run,
            record,
            began: Instant::now(),
            before: elapsed,
            clock: Watch::default(),
            machines: Vec::new(),
            budget_cents,
            seat,
            saver,
            wanted,
            children,
            arming: None,
            receipt: watch::Sender::default(),
            usual,
            notifier,
            posting,
            leaving: false,
        };
        // One that is taken over was told of by whoever began it.
        if elapsed.is_zero() {
            driver.tell(What::Started, "");
        }
        for effect in effects {
            driver.carry_out(effect);
        }
        driver.follow();
        driver.publish();
        driver
    }

    /// Runs until the run is closed and its record says so, or until it is another's; `pulse` is its line on `/status`.
    pub async fn drive(mut self, pulse: Loop) -> Stop {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let superseded = self.saver.superseded();
        let mut left = false;
        while self.run.stage != Stage::Closed && !left {
            tokio::select! {
                message = self.seat.next() => match message {
                    Message::Left => left = true,
                    message => self.answer(message),
                },
                _ = tick.tick() => {
                    self.mind_clock();
                    self.apply(Event::Tick);
                    self.publish();
                    pulse.status(self.status());
                }
                () = superseded.cancelled() => break,
                Some(ended) = self.children.join_next() => report_panic(ended),
            }
        }
        // What is left to be done takes as long as the store does.
        drop(pulse);
        self.wanted.send_replace(task::Task::Stop);
        if !superseded.is_cancelled() {
            self.saver.flush().await;
        }
        self.children.shutdown().await;
        if superseded.is_cancelled() {
            return Stop::Superseded(self.seat);
        }
        if !left {
            self.show();
        }
        // What was told last may still be on its way; nobody waits long for it.
        self.notifier = Notifier::default();
        let _late = tokio::time::timeout(FAREWELL, self.posting.join_next()).await;
        if left { Stop::Left } else { Stop::Closed }
    }

    fn status(&self) -> String {
        let nodes = self.run.present().count();
        format!(
            "{}, attempt {}, nodes {nodes}",
            self.run.phase().word(),
            self.run.attempt
        )
    }

    fn answer(&mut self, message: Message) {
        match message {
            Message::Enrol(mut node, reply) => {
                node.since = self.now();
                self.apply(Event::Enrolled(*node));
                // Whoever asked may have gone: then nobody waits for the answer.
                let _gone = reply.send(());
            }
            Message::Sync(id, attempt, report, reply) => {
                let answer = self.sync(&id, attempt, report);
                let _gone = reply.send(answer);
            }
            Message::Cancel(level) => self.apply(Event::CancelAsked(level)),
            Message::Extend(from_now, reply) => self.extend(from_now, reply),
            Message::Done(event) => self.apply(event),
            Message::LeaseTrouble(reason) => self.tell(What::LeaseTrouble, &reason),
            // Ends the loop that reads it.
            Message::Left => {}
            Message::Looked { sight, released } => self.take_sight(sight, released),
        }
    }

    fn extend(&mut self, from_now: Duration, reply: oneshot::Sender<bool>) {
        let deadline = self.now() + from_now;
        self.apply(Event::Extended(deadline));
        self.publish();
        let moved = self.run.spec.deadline == deadline;
        let saved = self.saver.watcher();
        self.children.spawn(async move {
            saved.wait().await;
            // Whoever asked may have gone: the record has it all the same.
            let _gone = reply.send(moved);
        });
    }

    fn sync(&mut self, id: &NodeId, said: Attempt, report: Box<Report>) -> Result<Desired, UnknownAttempt> {
        if said > self.run.attempt {
            return Err(UnknownAttempt {
                said,
                current: self.run.attempt,
            });
        }
        self.apply(Event::Reported(id.clone(), said, report));
        Ok(self.run.desired(self.now(), id))
    }

    fn take_sight(&mut self, sight: Sight, released: bool) {
        let Sight {
            machines,
            trouble,
            own,
        } = sight;
        if let Some(trouble) = trouble {
            self.apply(Event::Troubled(trouble));
        }
        for node in task::newly_ended(&self.machines, &machines) {
            self.apply(Event::MachineGone(node));
        }
        self.machines = machines;
        if let Some(reason) = budget::exceeded(
            &self.machines,
            self.budget_cents,
            &self.run.spec.timing,
            Timestamp::now(),
        ) {
            self.apply(Event::OverBudget(reason));
        }
        if task::is_gone(&self.run, released, &self.machines) {
            self.apply(Event::FleetGone);
        } else if task::is_last(&self.run, released, &self.machines, own.as_deref()) {
            self.leave();
        }
    }

    /// Of all machines only the one that this coordinator runs on is left. Nobody observes its end from here, so that the
    /// run is not closed: whoever looks next closes it.
    fn leave(&mut self) {
        if self.leaving {
            return;
        }
        self.leaving = true;
        let record = self.current_record();
        self.saver.save(record.clone());
        let receipt = receipt::Draft::of(&self.run, record, self.machines.clone());
        let context = Arc::clone(&self.context);
        self.children.spawn(effects::leave(
            context,
            receipt,
            self.saver.watcher(),
            self.seat.outbox(),
        ));
    }

    fn apply(&mut self, event: Event) {
        let now = self.now();
        let before = self.run.phase();
        let state = State::of(&self.run);
        let spare = Run::new(self.run.spec.clone());
        let (run, effects) = std::mem::replace(&mut self.run, spare).step(now, event);
        self.run = run;
        for effect in effects {
            self.carry_out(effect);
        }
        self.follow();
        if let Some(what) = told::between(state, State::of(&self.run)) {
            self.tell(what, told::reason(what, &self.run));
        }
        if self.run.phase() != before {
            tracing::debug!(run = %self.record.run, attempt = %self.run.attempt, phase = ?self.run.phase(), "phase");
            self.publish();
        }
    }

    /// The record tells times by this machine's clock: when somebody sets that, they go along, for whoever reads them and
    /// for whoever takes the run over. Nothing else follows.
    fn mind_clock(&mut self) {
        let Some(by) = self.clock.set_by() else { return };
        let secs = by.as_secs();
        tracing::warn!(run = %self.record.run, "this machine's clock was set by {secs} s: the run goes on by the time that passes");
        let created = self.record.created;
        self.record.created = created.saturating_add(by).unwrap_or(created);
        self.saver.save(self.current_record());
    }

    /// Tells whoever wants to be told of the run.
    fn tell(&self, what: What, reason: &str) {
        let event = notify::Event::of(what, &self.current_record(), reason, Timestamp::now());
        self.notifier.tell(&event);
    }

    /// Tells the keeper of the fleet what follows from the state.
    fn follow(&mut self) {
        let spec = &self.run.spec;
        let end = past::at(&self.record, spec.deadline + spec.timing.overtime);
        let now = self.now();
        let mut next = task::Task::of(&self.run, now, end);
        if next == task::Task::Release {
            if task::may_release(&self.run, now, self.saver.is_idle()) {
                // What still waits to be armed would make again what is being taken away.
                self.arming.take().iter().for_each(AbortHandle::abort);
            } else {
                // Nodes leave by themselves as soon as they are told: kept machines would be replaced.
                next = task::Task::Idle;
            }
        }
        self.wanted.send_if_modified(|task| {
            let changed = *task != next;
            *task = next;
            changed
        });
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Save => self.saver.save(self.current_record()),
            Effect::Arm(attempt) => {
                self.saver.save(self.current_record());
                let task = effects::arm(
                    Arc::clone(&self.context),
                    self.saver.watcher(),
                    attempt,
                    self.seat.outbox(),
                );
                self.arming = Some(self.children.spawn(task));
            }
            Effect::Begin(attempt) => {
                let saved = self.saver.watcher();
                self.children
                    .spawn(effects::begin(saved, attempt, self.seat.outbox()));
            }
            Effect::ReadCommit => {
                // The store refuses the record of a coordinator whose run is another's: that one gives nothing up.
                self.saver.save(self.current_record());
                self.children.spawn(effects::give_up(
                    Arc::clone(&self.context),
                    self.saver.watcher(),
                    self.run.attempt,
                    self.seat.outbox(),
                ));
            }
            Effect::WriteReceipt => {
                let receipt = receipt::Draft::of(&self.run, self.current_record(), self.machines.clone());
                let context = Arc::clone(&self.context);
                let slot = self.receipt.clone();
                self.children
                    .spawn(effects::write_receipt(context, receipt, slot, self.seat.outbox()));
            }
        }
    }

    fn current_record(&self) -> RunRecord {
        past::record_of(&self.run, &self.record)
    }

    fn now(&self) -> Duration {
        self.before + self.began.elapsed()
    }

    /// Shows the run as it is now. That it is closed is shown once its record says so.
    fn publish(&self) {
        if self.run.stage != Stage::Closed {
            self.show();
        }
    }

    fn show(&self) {
        let view = view::of(
            &self.run,
            &self.record,
            &self.context,
            &self.machines,
            &self.receipt.borrow(),
            &self.usual.borrow(),
        );
        self.seat.show(view);
    }
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a task of a run's driver panicked");
    }
}
