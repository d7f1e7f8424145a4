//! A node's agent: the product's state machine of a node, and a model of what carries out its effects.

mod job;
mod perform;
mod talk;
mod upload;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use mayfly_proto::{Attempt, NodeId, RunId};

use crate::call::{Req, Ticket};
use crate::plan::Job;
use crate::product::agent::node::{Event, Node, Role, Unsaved, Why};
use crate::product::coordinator::run;
use crate::time::{Ms, SEC, long, ms};
use upload::Upload;

pub use talk::{Down, Up};
pub use upload::content;

/// What every agent of a run is started with.
#[derive(Debug)]
pub struct Brief {
    /// The run.
    pub run: RunId,
    /// The job.
    pub job: Job,
}

/// What happens to an agent at a time that it has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// It asks to be taken in.
    Enrol,
    /// It reports.
    Sync(u64),
    /// The call of this number is given up.
    Timeout(u64),
    /// Lease or deadline may have passed.
    Due,
    /// The preparation is over.
    Prepared(u32),
    /// The engine runs.
    Engine(u32),
    /// Another part of the job is done.
    Part(u32),
    /// Nothing of the attempt runs any more.
    Stopped(Attempt, u32),
    /// The last logs are in the store, or not.
    Farewell,
    /// It has ended.
    Off,
}

/// What an agent wants.
#[derive(Default)]
pub struct Wants {
    /// Of the store.
    pub calls: Vec<(Ticket, Req)>,
    /// To be woken there.
    pub wakes: Vec<(Ticket, Ms)>,
    /// To be told of alarms, so much later.
    pub alarms: Vec<(Ms, Alarm)>,
    /// To say something to a coordinator, under this number.
    pub says: Vec<(u64, Up)>,
    /// For the trace.
    pub notes: Vec<String>,
}

/// The engine on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// Not started.
    None,
    /// On its way, with this master.
    Starting(String),
    /// Runs, with this master.
    Running(String),
}

/// What runs for an attempt.
struct Attempting {
    attempt: Attempt,
    /// Alarms of an earlier step mean nothing any more.
    step: u32,
    engine: Engine,
    /// Parts done by the job that runs.
    job: Option<u32>,
    /// Since when it hangs.
    hangs: Option<Ms>,
    /// When it is over.
    stops: Option<Ms>,
    over: bool,
}

/// An agent.
pub struct Agent {
    brief: Rc<Brief>,
    /// The node.
    pub id: NodeId,
    role: Role,
    address: String,
    began: Ms,
    alone: Ms,
    taken_in_by: Ms,
    deadline: Option<Duration>,
    /// Whether it was ever taken in.
    pub enrolled: bool,
    /// The state machine, once taken in.
    pub node: Option<Node>,
    /// What the process before this one has left to be saved.
    unsaved: Option<Unsaved>,
    /// Whether there is no process now.
    pub dead: bool,
    enrolling: bool,
    call: u64,
    waiting: bool,
    seq: u64,
    interval: Ms,
    backoff: Ms,
    last_phase: i32,
    attempting: Option<Attempting>,
    /// What the job has left here, and when.
    pub files: BTreeMap<String, Ms>,
    lines: u64,
    /// How long the job has computed here, and when that was looked at.
    computed: Ms,
    looked: Ms,
    upload: Option<Upload>,
    uploads: u32,
    /// When the machine is taken away.
    pub taken: Option<Ms>,
    /// Why it has ended.
    pub why: Option<Why>,
    /// It asked for an end that was not its own doing.
    pub gone: bool,
}

impl Agent {
    /// An agent that starts now, on a machine that is taken in within `alone`, and ends at `deadline` (since now) at the
    /// latest, if that is known.
    #[must_use]
    pub fn new(
        brief: Rc<Brief>,
        id: NodeId,
        role: run::Role,
        address: String,
        began: Ms,
        alone: Ms,
        deadline: Option<Duration>,
    ) -> Self {
        let role = match role {
            run::Role::Master => Role::Master,
            run::Role::Worker => Role::Worker,
            run::Role::Auto => Role::Auto,
        };
        Self {
            brief,
            id,
            role,
            address,
            began,
            alone,
            taken_in_by: began + alone,
            deadline,
            enrolled: false,
            node: None,
            unsaved: None,
            dead: false,
            enrolling: true,
            call: 0,
            waiting: false,
            seq: 0,
            interval: SEC,
            backoff: 200,
            last_phase: 0,
            attempting: None,
            files: BTreeMap::new(),
            lines: 0,
            computed: 0,
            looked: began,
            upload: None,
            uploads: 0,
            taken: None,
            why: None,
            gone: false,
        }
    }

    /// Its process dies, with all that it has started. True where another one follows it on the same machine.
    pub fn dies(&mut self) -> bool {
        if let Some(node) = self.node.take() {
            self.unsaved = node.unsaved();
        }
        self.dead = true;
        // What was on its way to it finds nobody.
        self.call += 1;
        self.waiting = false;
        self.upload = None;
        (self.lines, self.computed) = (0, 0);
        if let Some(running) = &mut self.attempting {
            running.step += 1;
            running.engine = Engine::None;
            running.job = None;
            running.stops = None;
            running.over = true;
        }
        self.unsaved.is_some()
    }

    /// Another process follows, which gets so long to be taken in.
    pub fn again(&mut self, now: Ms, alone: Ms) {
        self.dead = false;
        self.enrolling = true;
        self.backoff = 200;
        self.taken_in_by = now + alone;
    }

    fn age(&self, now: Ms) -> Duration {
        long(now.saturating_sub(self.began))
    }

    /// The attempt that it works on.
    #[must_use]
    pub fn attempt(&self) -> Option<Attempt> {
        self.node.as_ref().and_then(Node::attempt)
    }

    /// Where the engine's master is that runs here.
    #[must_use]
    pub fn serves(&self) -> Option<&str> {
        match &self.attempting.as_ref()?.engine {
            Engine::Running(_) if self.is_master() => Some(&self.address),
            Engine::Running(master) => Some(master),
            Engine::None | Engine::Starting(_) => None,
        }
    }

    /// Where it is reached.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether it is the master of its attempt.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.role() == Role::Master)
    }

    /// It is told of an alarm.
    pub fn alarm(&mut self, now: Ms, alarm: Alarm, workers: u32, wants: &mut Wants) {
        if self.gone || self.dead {
            return;
        }
        match alarm {
            Alarm::Enrol => self.enrol(now, wants),
            Alarm::Sync(call) if call == self.call && !self.waiting => self.sync(now, workers, wants),
            Alarm::Timeout(call) if call == self.call && self.waiting => {
                self.waiting = false;
                self.unanswered(wants);
            }
            Alarm::Due => self.due(now, wants),
            Alarm::Prepared(step) if self.is_step(step) => self.prepared(now, wants),
            Alarm::Engine(step) if self.is_step(step) => self.engine_up(now, wants),
            Alarm::Stopped(attempt, step) => self.stopped(now, attempt, step, wants),
            Alarm::Farewell => self.step(now, Event::Farewell, wants),
            Alarm::Sync(_)
            | Alarm::Timeout(_)
            | Alarm::Prepared(_)
            | Alarm::Engine(_)
            | Alarm::Part(_)
            | Alarm::Off => {}
        }
    }

    fn is_step(&self, step: u32) -> bool {
        self.attempting
            .as_ref()
            .is_some_and(|running| running.step == step && running.stops.is_none())
    }

    fn end(&mut self, why: Option<Why>, wants: &mut Wants) {
        if !self.gone {
            wants.notes.push(format!("{} ends: {why:?}", self.id));
            self.why = why;
            self.gone = true;
            wants.alarms.push((1, Alarm::Off));
        }
    }

    fn due(&mut self, now: Ms, wants: &mut Wants) {
        let Some(node) = &self.node else { return };
        let at = ms(node.wakes_at());
        if at > now.saturating_sub(self.began) {
            wants.alarms.push((at + self.began - now, Alarm::Due));
        } else {
            self.step(now, Event::Tick, wants);
        }
    }

    /// A fact for the state machine.
    pub fn step(&mut self, now: Ms, event: Event, wants: &mut Wants) {
        let Some(node) = self.node.take() else { return };
        let first = node.deadline_at().is_none() && matches!(event, Event::Tick);
        let (node, effects) = node.step(self.age(now), event);
        let phase: i32 = node.phase().into();
        if first {
            wants.alarms.push((1, Alarm::Due));
        }
        self.node = Some(node);
        for effect in effects {
            self.perform(now, effect, wants);
        }
        // News are told at once.
        if phase != self.last_phase && !self.waiting && !self.enrolling {
            self.last_phase = phase;
            wants.alarms.push((1, Alarm::Sync(self.call)));
        }
    }
}
