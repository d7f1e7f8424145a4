//! A node's agent: the product's state machine of a node, and a model of what carries out its effects.

mod upload;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use mayfly_proto::{Attempt, NodeId, RunId, v1};

use crate::call::{Req, Res, Ticket};
use crate::plan::{Job, JobEnding, Life};
use crate::product::agent::node::{
    Blame, Effect, Event, Failure, JobEnd, Node, Role, SALVAGE_MAX, Unsaved, Why,
};
use crate::product::agent::sync::answer::checked;
use crate::product::coordinator::run;
use crate::time::{Ms, SEC, long, ms};
use upload::Upload;

pub use upload::content;

/// How long a call to a coordinator may take.
pub const CALL_TIMEOUT: Ms = 5 * SEC;
/// The longest wait between two tries.
const RETRY_MAX: Ms = 2 * SEC;
/// The last logs get this long.
const FAREWELL_MAX: Ms = 5 * SEC;
/// Results are looked at so often while the job works.
const LOOK_EVERY: Ms = SEC;
/// What an engine takes that has nothing to do.
const IDLE_CORES: f64 = 0.05;

/// What every agent of a run is started with.
#[derive(Debug)]
pub struct Brief {
    /// The run.
    pub run: RunId,
    /// The job.
    pub job: Job,
}

/// What an agent says to a coordinator.
#[derive(Debug, Clone)]
pub enum Up {
    /// Asks to be taken in.
    Enrol,
    /// Reports.
    Sync(Box<v1::SyncRequest>),
}

/// What a coordinator answers.
#[derive(Debug, Clone)]
pub enum Down {
    /// Taken in; the first interval between reports.
    Enrolled(Ms),
    /// What the node shall do.
    Desired(Box<v1::Desired>),
    /// The session is not known.
    Unauthenticated,
    /// It will not be taken in, however often it asks.
    Never,
    /// Not now.
    Unavailable,
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

    /// Whether its job's process runs.
    #[must_use]
    pub fn works(&self) -> bool {
        self.attempting
            .as_ref()
            .is_some_and(|running| running.job.is_some())
    }

    /// Since when its job's process hangs.
    #[must_use]
    pub fn hangs(&self) -> Option<Ms> {
        let running = self.attempting.as_ref().filter(|running| running.job.is_some())?;
        running.hangs
    }

    /// The job lives here, or does not, as it has since the last look.
    pub fn lives(&mut self, now: Ms, lives: bool) {
        if lives && self.brief.job.life == Life::Speaks {
            self.lines += 1;
        } else if lives {
            self.computed += now.saturating_sub(self.looked);
        }
        self.looked = now;
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

    fn say(&mut self, up: Up, wants: &mut Wants) {
        self.call += 1;
        self.waiting = true;
        wants.says.push((self.call, up));
        wants.alarms.push((CALL_TIMEOUT, Alarm::Timeout(self.call)));
    }

    fn enrol(&mut self, now: Ms, wants: &mut Wants) {
        if self.waiting || !self.enrolling {
            return;
        }
        if self.node.is_none() && now >= self.taken_in_by {
            return self.end(None, wants);
        }
        self.say(Up::Enrol, wants);
    }

    fn end(&mut self, why: Option<Why>, wants: &mut Wants) {
        if !self.gone {
            wants.notes.push(format!("{} ends: {why:?}", self.id));
            self.why = why;
            self.gone = true;
            wants.alarms.push((1, Alarm::Off));
        }
    }

    fn unanswered(&mut self, wants: &mut Wants) {
        let wait = self.backoff;
        self.backoff = (self.backoff * 2).min(RETRY_MAX);
        let next = if self.enrolling {
            Alarm::Enrol
        } else {
            Alarm::Sync(self.call)
        };
        wants.alarms.push((wait, next));
    }

    /// A coordinator answers the call of this number.
    pub fn hear(&mut self, now: Ms, call: u64, sent: Ms, down: Down, wants: &mut Wants) {
        if self.gone || call != self.call || !self.waiting {
            return;
        }
        self.waiting = false;
        match down {
            Down::Enrolled(interval) => self.taken_in(now, interval, wants),
            Down::Desired(desired) => match checked(&desired) {
                Ok(told) => {
                    self.backoff = 200;
                    self.interval = desired.sync_interval_ms.clamp(100, 30 * SEC);
                    wants.alarms.push((self.interval, Alarm::Sync(self.call)));
                    let asked = long(sent.saturating_sub(self.began));
                    self.step(now, Event::Desired { asked, desired: told }, wants);
                }
                Err(_) => self.unanswered(wants),
            },
            Down::Never if self.node.is_none() => self.end(None, wants),
            Down::Unauthenticated => {
                self.enrolling = true;
                self.unanswered(wants);
            }
            Down::Never => {
                self.enrolling = false;
                self.unanswered(wants);
            }
            Down::Unavailable => self.unanswered(wants),
        }
    }

    fn taken_in(&mut self, now: Ms, interval: Ms, wants: &mut Wants) {
        self.enrolling = false;
        self.interval = interval;
        if self.node.is_none() {
            self.enrolled = true;
            let lease = self.age(now) + long(self.alone);
            // A machine of AWS, which knows when it ends, takes its disk along.
            let salvage = self.deadline.map_or(Duration::ZERO, |_| SALVAGE_MAX);
            let node = Node::new(self.role, lease)
                .until(self.deadline)
                .salvaging(salvage);
            self.node = Some(match self.unsaved.take() {
                Some(unsaved) => node.again(unsaved),
                None => node,
            });
            wants.notes.push(format!("{} is taken in", self.id));
            self.step(now, Event::Tick, wants);
        }
        wants.alarms.push((1, Alarm::Sync(self.call)));
    }

    fn sync(&mut self, now: Ms, workers: u32, wants: &mut Wants) {
        if self.enrolling {
            return self.enrol(now, wants);
        }
        let Some(node) = &self.node else { return };
        self.seq += 1;
        let request = v1::SyncRequest {
            run_id: self.brief.run.to_string(),
            node_id: self.id.to_string(),
            attempt: node.attempt().unwrap_or(Attempt::FIRST).number(),
            seq: self.seq,
            report: Some(self.report(now, node, workers)),
        };
        self.last_phase = node.phase().into();
        self.say(Up::Sync(Box::new(request)), wants);
    }

    fn report(&self, now: Ms, node: &Node, workers: u32) -> v1::NodeReport {
        let old = self.files.iter().filter(|(_, at)| **at + LOOK_EVERY <= now);
        let (mut files, mut markers) = (0, 0);
        for (path, _) in old {
            files += 1;
            markers += u64::from(path == "_SUCCESS");
        }
        let running = self.serves().is_some();
        v1::NodeReport {
            phase: node.phase().into(),
            status: node.status(),
            failure: node.failure(),
            job: Some(node.job()),
            claims_attempt: node.claims().map_or(0, Attempt::number),
            engine: Some(v1::EngineReport {
                running,
                address: if running && self.is_master() {
                    self.address.clone()
                } else {
                    String::new()
                },
                alive_workers: workers,
                ..v1::EngineReport::default()
            }),
            results_files: files,
            success_markers: markers,
            output_lines: Some(self.lines),
            usage: Some(v1::Usage {
                work_core_secs: Some(self.core_secs(now)),
                ..v1::Usage::default()
            }),
            notice: self.taken.map(|at| v1::Notice {
                kind: v1::NoticeKind::Interruption.into(),
                remaining_ms: at.saturating_sub(now),
            }),
            ..v1::NodeReport::default()
        }
    }

    /// What an engine takes that waits, and half a core of a job that computes.
    fn core_secs(&self, now: Ms) -> f64 {
        let idle = self.age(now).as_secs_f64() * IDLE_CORES;
        idle + long(self.computed).as_secs_f64() / 2.0
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

    fn perform(&mut self, now: Ms, effect: Effect, wants: &mut Wants) {
        wants.notes.push(format!("{} does {effect:?}", self.id));
        match effect {
            Effect::Prepare(attempt) => {
                let step = self.attempting.as_ref().map_or(0, |old| old.step + 1);
                self.attempting = Some(Attempting {
                    attempt,
                    step,
                    engine: Engine::None,
                    job: None,
                    hangs: None,
                    stops: None,
                    over: false,
                });
                wants.alarms.push((self.brief.job.prepare, Alarm::Prepared(step)));
            }
            Effect::StartEngine(_, master) => {
                if let Some(running) = &mut self.attempting {
                    running.engine = Engine::Starting(master);
                    wants.alarms.push((4 * SEC, Alarm::Engine(running.step)));
                }
            }
            Effect::StartJob(_) => {
                if let Some(running) = &mut self.attempting {
                    running.job = Some(0);
                    wants
                        .alarms
                        .push((self.brief.job.part, Alarm::Part(running.step)));
                }
            }
            Effect::Decommission(_) => {}
            Effect::Stop(attempt, grace) => self.stop(now, attempt, ms(grace), wants),
            Effect::SetAside(_) => self.files.clear(),
            Effect::Collect(attempt, what) => self.collect(attempt, what, wants),
            Effect::WriteCommit(attempt, nodes, end) => self.commit(now, attempt, nodes, &end, wants),
            Effect::Farewell => {
                self.upload = None;
                wants.alarms.push((FAREWELL_MAX / 5, Alarm::Farewell));
            }
            Effect::Exit(why) => self.end(Some(why), wants),
        }
    }

    fn stop(&mut self, now: Ms, attempt: Attempt, grace: Ms, wants: &mut Wants) {
        self.upload = None;
        let stubborn = self.brief.job.stubborn;
        let after = match &self.attempting {
            Some(running) if running.attempt == attempt && !running.over => {
                let job = if running.job.is_none() {
                    0
                } else if stubborn {
                    grace
                } else {
                    grace.min(500)
                };
                job + grace.min(SEC)
            }
            Some(_) | None => 1,
        };
        let step = self.attempting.as_ref().map_or(0, |running| running.step);
        if let Some(running) = &mut self.attempting {
            running.stops = Some(now + after);
        }
        wants.alarms.push((after, Alarm::Stopped(attempt, step)));
    }

    fn stopped(&mut self, now: Ms, attempt: Attempt, step: u32, wants: &mut Wants) {
        let Some(running) = self.attempting.as_mut().filter(|running| running.step == step) else {
            return self.step(now, Event::Stopped(attempt), wants);
        };
        running.engine = Engine::None;
        running.over = true;
        if running.job.take().is_some() {
            let end = JobEnd {
                signal: Some(15),
                cause: "ended by signal 15".into(),
                ..JobEnd::default()
            };
            self.step(now, Event::JobExited(attempt, end), wants);
        }
        self.step(now, Event::Stopped(attempt), wants);
    }

    fn prepared(&mut self, now: Ms, wants: &mut Wants) {
        let Some(running) = &self.attempting else { return };
        let attempt = running.attempt;
        let event = if self.brief.job.end == JobEnding::Unprepared && self.role != Role::Worker {
            let message = "the entry is not in the repository".to_owned();
            Event::Failed(
                attempt,
                Failure {
                    blame: Blame::Job,
                    message,
                },
            )
        } else {
            Event::Prepared(attempt)
        };
        self.step(now, event, wants);
    }

    fn engine_up(&mut self, now: Ms, wants: &mut Wants) {
        let Some(running) = &mut self.attempting else {
            return;
        };
        if let Engine::Starting(master) = &running.engine {
            running.engine = Engine::Running(master.clone());
            let attempt = running.attempt;
            self.step(now, Event::EngineReady(attempt), wants);
        }
    }

    /// The part that the job does now, if it is that step's job; `None` when it does none.
    #[must_use]
    pub fn part(&self, step: u32) -> Option<u32> {
        let running = self.attempting.as_ref().filter(|running| running.step == step)?;
        running.job.filter(|_| running.stops.is_none())
    }

    /// A part is done, or none was; the job goes on, or ends.
    pub fn part_done(&mut self, now: Ms, step: u32, done: bool, wants: &mut Wants) {
        let (end, parts, part) = (self.brief.job.end, self.brief.job.parts, self.brief.job.part);
        let Some(running) = &mut self.attempting else {
            return;
        };
        let Some(count) = &mut running.job else { return };
        *count += u32::from(done);
        let exit = match end {
            JobEnding::Well => (*count >= parts).then_some(0),
            JobEnding::Code(code, after) => (*count > after).then_some(code),
            JobEnding::Never | JobEnding::Unprepared => {
                *count = (*count).min(parts);
                if *count == parts {
                    running.hangs.get_or_insert(now);
                }
                None
            }
        };
        let Some(code) = exit else {
            return wants
                .alarms
                .push((if done { part } else { SEC }, Alarm::Part(step)));
        };
        running.job = None;
        let attempt = running.attempt;
        if code == 0 {
            self.files.insert("_SUCCESS".into(), now);
        }
        let end = JobEnd {
            exit_code: Some(code),
            cause: if code == 0 {
                String::new()
            } else {
                format!("exit code {code}")
            },
            ..JobEnd::default()
        };
        self.step(now, Event::JobExited(attempt, end), wants);
    }

    /// The store answers.
    pub fn reply(&mut self, now: Ms, ticket: Ticket, res: Res, wants: &mut Wants) {
        let Some(mut upload) = self.upload.take().filter(|upload| upload.step() == ticket.step) else {
            return;
        };
        match upload.reply(now, res, wants) {
            None => self.upload = Some(upload),
            Some(event) => self.step(now, event, wants),
        }
    }

    /// It has waited long enough to ask the store again.
    pub fn woken(&mut self, now: Ms, ticket: Ticket, wants: &mut Wants) {
        if let Some(upload) = self.upload.as_mut().filter(|upload| upload.step() == ticket.step) {
            upload.ask(now, wants);
        }
    }
}
