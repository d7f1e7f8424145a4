//! The task that owns one run: it feeds [`Run`] with events and carries out its effects.
//!
//! Three tasks work for it, each level-triggered: `saver` makes the record durable, `fleet` keeps the machines as
//! wanted and looks at them, and each effect that waits for something (arming, reading the commit, the receipt) is a
//! child task that answers with an event.

mod budget;
pub(crate) mod effects;
mod fleet;
mod past;
pub(crate) mod receipt;
mod saver;
mod view;

pub use effects::commit_of;
pub(crate) use effects::known;
pub(crate) use past::{elapsed, past_of, since};
pub(crate) use receipt::phase_times;

use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::store::Store;
use mayfly_proto::{Attempt, NodeId, v1};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::cloud::{Cloud, Machine, Order, Sight};
use crate::home::Home;
use crate::logs::Output;
use crate::record::RunRecord;
use crate::run::{Cancel, Desired, Effect, Event, Node, Report, Run, Stage};

/// How often time itself is looked at.
const TICK: Duration = Duration::from_millis(100);
/// Messages that wait for the owner of a run at most; senders wait beyond that.
const QUEUE: usize = 1_024;

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
    /// The deadline is moved to so long from now.
    Extend(Duration),
    /// An effect is done.
    Done(Event),
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

/// What others see of a run.
#[derive(Debug, Clone)]
pub struct Handle {
    /// To its owner.
    pub messages: mpsc::Sender<Message>,
    /// Its projection for people.
    pub view: watch::Receiver<v1::RunView>,
    /// The job's output.
    pub output: Arc<Output>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The run is closed.
    Closed,
    /// Another coordinator owns the run: its machines are left to that one.
    Superseded,
}

/// The owner of one run.
pub struct Driver {
    context: Arc<Context>,
    run: Run,
    record: RunRecord,
    began: Instant,
    before: Duration,
    machines: Vec<Machine>,
    budget_cents: u64,
    inbox: mpsc::Receiver<Message>,
    outbox: mpsc::Sender<Message>,
    view: watch::Sender<v1::RunView>,
    saver: saver::Saver,
    wanted: watch::Sender<fleet::Task>,
    children: JoinSet<()>,
    receipt: watch::Sender<String>,
}

impl Driver {
    /// A driver for a run whose record is in the store, and the handle to it.
    #[must_use]
    pub fn new(context: Context, start: Start) -> (Self, Handle) {
        let Start {
            run,
            effects,
            elapsed,
            record,
        } = start;
        let budget_cents = context.order.job.limits.cost_cents;
        let context = Arc::new(context);
        let (outbox, inbox) = mpsc::channel(QUEUE);
        let mut children = JoinSet::new();
        let saver = saver::Saver::start(&context, &mut children);
        let (wanted, watch_wanted) = watch::channel(fleet::Task::Idle);
        children.spawn(fleet::keep(Arc::clone(&context), watch_wanted, outbox.clone()));
        let (view, watch_view) = watch::channel(v1::RunView::default());
        let handle = Handle {
            messages: outbox.clone(),
            view: watch_view,
            output: Arc::default(),
        };
        let mut driver = Self {
            context,
            run,
            record,
            began: Instant::now(),
            before: elapsed,
            machines: Vec::new(),
            budget_cents,
            inbox,
            outbox,
            view,
            saver,
            wanted,
            children,
            receipt: watch::Sender::default(),
        };
        driver.follow();
        for effect in effects {
            driver.carry_out(effect);
        }
        driver.publish();
        (driver, handle)
    }

    /// Runs until the run is closed and its record says so, or until it is another's.
    pub async fn drive(mut self) -> Stop {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let superseded = self.saver.superseded();
        while self.run.stage != Stage::Closed {
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => self.answer(message),
                    None => break,
                },
                _ = tick.tick() => {
                    self.apply(Event::Tick);
                    self.publish();
                }
                () = superseded.cancelled() => break,
                Some(ended) = self.children.join_next() => report_panic(ended),
            }
        }
        self.wanted.send_replace(fleet::Task::Stop);
        if !superseded.is_cancelled() {
            self.saver.flush().await;
        }
        let stop = if superseded.is_cancelled() {
            Stop::Superseded
        } else {
            self.show();
            Stop::Closed
        };
        self.children.shutdown().await;
        stop
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
            Message::Extend(from_now) => self.apply(Event::Extended(self.now() + from_now)),
            Message::Done(event) => self.apply(event),
            Message::Looked { sight, released } => self.take_sight(sight, released),
        }
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
        let Sight { machines, trouble } = sight;
        if let Some(trouble) = trouble {
            self.apply(Event::Troubled(trouble));
        }
        for ended in machines.iter().filter(|machine| machine.ended.is_some()) {
            let known = self
                .machines
                .iter()
                .any(|machine| machine.id == ended.id && machine.ended.is_some());
            if !known {
                self.apply(Event::MachineGone(ended.node.clone()));
            }
        }
        self.machines = machines;
        if let Some(reason) = budget::exceeded(&self.machines, self.budget_cents, &self.run.spec.timing) {
            self.apply(Event::OverBudget(reason));
        }
        let releasing = matches!(self.run.stage, Stage::Releasing { gone: false });
        if releasing && released && self.machines.iter().all(|machine| machine.ended.is_some()) {
            self.apply(Event::FleetGone);
        }
    }

    fn apply(&mut self, event: Event) {
        let now = self.now();
        let before = self.run.phase();
        let spare = Run::new(self.run.spec.clone());
        let (run, effects) = std::mem::replace(&mut self.run, spare).step(now, event);
        self.run = run;
        self.follow();
        for effect in effects {
            self.carry_out(effect);
        }
        if self.run.phase() != before {
            tracing::debug!(run = %self.record.run, attempt = %self.run.attempt, phase = ?self.run.phase(), "phase");
            self.publish();
        }
    }

    /// Tells the keeper of the fleet what follows from the state.
    fn follow(&self) {
        let spec = &self.run.spec;
        let end = past::at(&self.record, spec.deadline + spec.timing.overtime);
        let next = fleet::Task::of(&self.run, self.now(), end);
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
                    self.outbox.clone(),
                );
                self.children.spawn(task);
            }
            Effect::ReadCommit => {
                self.children.spawn(effects::read_commit(
                    Arc::clone(&self.context),
                    self.outbox.clone(),
                ));
            }
            Effect::WriteReceipt => {
                let receipt = receipt::Draft::of(&self.run, self.current_record(), self.machines.clone());
                let context = Arc::clone(&self.context);
                let slot = self.receipt.clone();
                self.children.spawn(effects::write_receipt(
                    context,
                    receipt,
                    slot,
                    self.outbox.clone(),
                ));
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
        );
        self.view.send_if_modified(|shown| {
            let changed = *shown != view;
            *shown = view;
            changed
        });
    }
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a task of a run's driver panicked");
    }
}
