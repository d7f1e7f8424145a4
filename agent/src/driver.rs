//! The one task that owns the node's state: takes events in, runs the effects that come out.

use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::admin::{Latch, Loop};
use mayfly_kit::crash::{self, Point};
use mayfly_kit::shutdown::Level;
use mayfly_proto::Attempt;
use mayfly_proto::v1::{NodePhase, NodeReport};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::again::Keep;
use crate::attempt::{self, Order};
use crate::collect::Collector;
use crate::metrics::Standing;
use crate::node::{Effect, Event, Node, Role, Unsaved, Why};
use crate::sync::Report;

/// Orders that wait for the task of an attempt; there are never more than one of each kind and a few stops.
const ORDERS: usize = 16;
/// The last logs get this long.
pub(crate) const FAREWELL_MAX: Duration = Duration::from_secs(5);
/// How often the loop turns without events, for `/live`.
const TURN_MAX: Duration = Duration::from_secs(5);

/// The driver's parts.
pub struct Driver {
    /// The state.
    pub node: Node,
    /// Time zero of the node.
    pub boot: Instant,
    /// Facts from everywhere.
    pub events: mpsc::Receiver<Event>,
    /// Uploads and commits.
    pub collector: Collector,
    /// The node's own part of the report.
    pub report: watch::Sender<Report>,
    /// The attempt whose master is looked for in Consul.
    pub seeking: watch::Sender<Option<Attempt>>,
    /// The attempt that this node would be, or is, the master of by election.
    pub standing_for: watch::Sender<Option<Attempt>>,
    /// Signals to this process.
    pub signals: watch::Receiver<Level>,
    /// Dropped when the node is ready for the first time.
    pub ready: Option<Latch>,
    /// Line on `/status`.
    pub pulse: Loop,
    /// Phase, lease and deadline.
    pub standing: watch::Sender<Standing>,
    /// Where it is noted what a process after this one would have to save.
    pub keep: Option<Keep>,
}

/// What runs on behalf of the driver.
struct Tasks {
    /// The attempt that runs, and where its orders go.
    attempt: Option<(Attempt, mpsc::Sender<Order>)>,
    attempts: JoinSet<()>,
    /// Uploads, commits, farewells: each ends in an event.
    works: JoinSet<Event>,
}

impl Driver {
    /// Runs the node to its end and returns why it ended.
    pub async fn run(mut self) -> Why {
        let mut tasks = Tasks {
            attempt: None,
            attempts: JoinSet::new(),
            works: JoinSet::new(),
        };
        let mut next = Event::Tick;
        loop {
            let unsaved = self.unsaved();
            let (node, effects) = self.node.step(self.boot.elapsed(), next);
            self.node = node;
            self.note(unsaved);
            self.publish();
            for effect in effects {
                tracing::debug!(?effect, "do");
                if let Effect::Exit(why) = effect {
                    return why;
                }
                self.perform(effect, &mut tasks).await;
            }
            next = self.wait(&mut tasks).await;
        }
    }

    async fn wait(&mut self, tasks: &mut Tasks) -> Event {
        let due = (self.boot + self.node.wakes_at()).min(Instant::now() + TURN_MAX);
        loop {
            tokio::select! {
                Some(event) = self.events.recv() => return event,
                Some(done) = tasks.works.join_next() => if let Ok(event) = done { return event },
                // An attempt that ends says so through the events; a panic in it is everyone's end.
                Some(ended) = tasks.attempts.join_next() => if ended.is_err() {
                    tracing::error!("the attempt's task broke off");
                    return Event::Signal;
                },
                changed = self.signals.changed() => match changed {
                    Ok(()) => return Event::Signal,
                    Err(_) => sleep_until(due).await,
                },
                () = sleep_until(due.max(Instant::now() + Duration::from_millis(1))) => return Event::Tick,
            }
        }
    }

    async fn perform(&mut self, effect: Effect, tasks: &mut Tasks) {
        match effect {
            Effect::Prepare(attempt) => {
                let (orders, receiver) = mpsc::channel(ORDERS);
                let common = Arc::clone(&self.collector.common);
                tasks.attempts.spawn(attempt::run(common, attempt, receiver));
                tasks.attempt = Some((attempt, orders));
                tasks.order(attempt, Order::Prepare);
            }
            Effect::StartEngine(attempt, master) => {
                tasks.order(attempt, Order::Engine(self.node.role(), master));
            }
            Effect::StartJob(attempt) => {
                tasks.order(attempt, Order::Job(self.node.workers()));
            }
            Effect::Stop(attempt, grace) => {
                tasks.works.abort_all();
                if !tasks.order(attempt, Order::Stop(grace)) {
                    // It has ended before, or is ending with the shortest of graces.
                    tasks.works.spawn(async move { Event::Stopped(attempt) });
                }
            }
            Effect::Decommission(attempt) => {
                tasks.order(attempt, Order::Decommission);
            }
            Effect::SetAside(attempt) => {
                crash::around(Point::ResultsAside, self.collector.set_aside(attempt)).await;
            }
            Effect::Collect(attempt, what) => {
                tasks.works.abort_all();
                let is_master = self.node.role() == Role::Master;
                let collector = self.collector.clone();
                tasks.works.spawn(collector.collect(attempt, what, is_master));
            }
            Effect::WriteCommit(attempt, nodes, end) => {
                tasks
                    .works
                    .spawn(self.collector.clone().commit(attempt, nodes, end));
            }
            Effect::Farewell => {
                tasks.works.abort_all();
                let collector = self.collector.clone();
                tasks.works.spawn(async move {
                    if timeout(FAREWELL_MAX, collector.flush_logs()).await.is_err() {
                        tracing::warn!("the last logs stay in the node's folder: the store does not answer");
                    }
                    Event::Farewell
                });
            }
            // The caller ends.
            Effect::Exit(_) => {}
        }
    }

    /// What a process after this one would have to save, where there may be one.
    fn unsaved(&self) -> Option<Unsaved> {
        self.keep.as_ref().and_then(|_| self.node.unsaved())
    }

    /// Before anything follows from it, and before anybody is told.
    fn note(&self, before: Option<Unsaved>) {
        let now = self.unsaved();
        if let Some(keep) = self.keep.as_ref().filter(|_| now != before) {
            keep.set_unsaved(now.as_ref());
        }
    }

    fn publish(&mut self) {
        let phase = self.node.phase();
        if phase == NodePhase::Ready {
            self.ready = None;
        }
        set(&self.seeking, self.node.seeking());
        set(&self.standing_for, self.node.standing_for());
        let status = self.node.status();
        self.pulse.status(&status);
        self.standing.send_replace(Standing {
            phase,
            lease_until: self.node.lease_until(),
            deadline_at: self.node.deadline_at(),
        });
        let report = NodeReport {
            phase: phase.into(),
            status,
            failure: self.node.failure(),
            job: Some(self.node.job()),
            claims_attempt: self.node.claims().map_or(0, Attempt::number),
            ..NodeReport::default()
        };
        let next = Report {
            attempt: self.node.attempt().map_or(0, Attempt::number),
            role: Some(self.node.role()),
            report,
        };
        set(&self.report, next);
    }
}

/// Only a change is news.
fn set<T: PartialEq>(sender: &watch::Sender<T>, next: T) {
    sender.send_if_modified(|known| {
        let news = *known != next;
        if news {
            *known = next;
        }
        news
    });
}

impl Tasks {
    /// False when the attempt's task does not take orders any more.
    fn order(&self, attempt: Attempt, order: Order) -> bool {
        let running = self.attempt.as_ref().filter(|(n, _)| *n == attempt);
        running.is_some_and(|(_, orders)| orders.try_send(order).is_ok())
    }
}
