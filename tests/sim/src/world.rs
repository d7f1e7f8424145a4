//! The world: everything that there is, and what happens in it, one event after the other.

mod aws;
mod calls;
mod consul;
mod coordinators;
mod faults;
mod gc;
mod judge;
mod local;
mod machines;
mod nodes;

use std::rc::Rc;

use mayfly_configs::{AdHoc, ad_hoc};
use mayfly_proto::{Attempt, RunId};

use crate::agent::{self, Alarm, Down, Up};
use crate::call::{Call, Res, Ticket, Who};
use crate::chance::Chance;
use crate::coordinator::{Brief, Coordinator};
use crate::driver::Context;
use crate::lock::Locks;
use crate::machine::Machine;
use crate::oracle::Oracle;
use crate::plan::{Plan, Setup, Site, secs};
use crate::product::coordinator::cloud::timing;
use crate::product::coordinator::record::{PhaseMark, PhaseName, RunRecord, SCHEMA};
use crate::product::coordinator::run::Spec;
use crate::queue::Queue;
use crate::store::Store;
use crate::time::{MIN, Ms, SEC, ms, wall};
use aws::Cloud;
use faults::Active;
use gc::Gc;

/// Chance in the world is another than in its plan.
const WORLD: u64 = 0x5eed_0fc4_a9ce;
/// How long a world lasts at least.
const LASTS: Ms = 30 * MIN;
/// How long after the run's last moment it is still looked at.
const AFTER: Ms = 25 * MIN;
/// Every so often it is looked at, whatever happens.
const CHECK: Ms = 5 * SEC;
/// A coordinator looks at the time so often.
const TICK: Ms = 500;

/// What happens.
#[derive(Debug)]
enum Event {
    Fault(usize),
    Arrive(Box<Call>),
    Answer(Who, Ticket, Box<Res>),
    Wake(Who, Ticket),
    Alarm(usize, Alarm),
    Up {
        coordinator: usize,
        machine: usize,
        call: u64,
        sent: Ms,
        up: Up,
    },
    Down {
        machine: usize,
        call: u64,
        sent: Ms,
        down: Down,
    },
    Tick(usize, u32),
    Launch(usize),
    Start(usize, bool),
    Running(usize),
    AgentStarts(usize),
    BootTimer(usize),
    DeadlineTimer(usize),
    Ended(usize),
    Reclaimed(usize),
    Group(String, bool),
    Lease(String, Ms),
    Consul,
    Gc(usize),
    Killed(usize),
    Check,
}

/// Everything.
pub struct World {
    now: Ms,
    chance: Chance,
    queue: Queue<Event>,
    plan: Rc<Plan>,
    active: Active,
    store: Store,
    cloud: Cloud,
    machines: Vec<Machine>,
    coordinators: Vec<Coordinator>,
    /// Who holds the lock of the run: a coordinator in one of its lives.
    lock: Option<(usize, u32)>,
    locks: Locks,
    gcs: Vec<Gc>,
    run: RunId,
    agents: Rc<agent::Brief>,
    spec: Spec,
    launched: bool,
    ends: Ms,
    oracle: Oracle,
    trace: Option<Vec<String>>,
}

/// What a world comes to.
#[derive(Debug)]
pub struct Ending {
    /// What was promised and not kept, if anything.
    pub broken: Option<crate::oracle::Broken>,
    /// What was seen on the way.
    pub seen: crate::oracle::Seen,
    /// What happened, line by line, if that was asked for.
    pub trace: Vec<String>,
}

fn spec_of(setup: &Setup) -> Spec {
    let timing = match setup.site {
        Site::Aws => timing::aws(),
        Site::Server => timing::local(timing::Patience::SERVER),
        Site::Command => timing::local(timing::Patience::COMMAND),
    };
    Spec {
        workers: setup.workers,
        min_workers: setup.min_workers,
        alike: setup.alike,
        counts_nodes: false,
        names_workers: false,
        deadline: secs(setup.deadline),
        stall: (setup.stall > 0).then(|| secs(setup.stall)),
        form: secs(setup.form),
        retries: setup.retries,
        hold: secs(setup.hold),
        timing,
    }
}

thread_local! {
    /// A job is read from its compiled-in defaults, which takes as long as a whole world does.
    static JOB: Option<mayfly_configs::Job> = ad_hoc(
        &AdHoc { entry: "main.py".to_owned(), ..AdHoc::default() },
        &|_| None,
    )
    .ok();
}

fn record_of(run: &RunId, job: mayfly_configs::Job) -> RunRecord {
    let created = wall(0);
    RunRecord {
        schema: SCHEMA,
        run: run.clone(),
        request_id: "request".into(),
        job,
        commit: "0123456789abcdef0123456789abcdef01234567".into(),
        bundle_key: None,
        owner: "somebody".into(),
        cloud: "aws".into(),
        folder: None,
        coordinator: "https://coordinator:7070".into(),
        on_master: false,
        control: None,
        plan: None,
        claim: String::new(),
        created,
        deadline: created,
        attempt: Attempt::FIRST,
        phases: vec![PhaseMark {
            phase: PhaseName::Accepted,
            attempt: Attempt::FIRST,
            began: created,
        }],
        nodes: Vec::new(),
        job_ended: None,
        held_until: None,
        ended: None,
    }
}

impl World {
    /// A world as this plan makes it. `None` where the product's own defaults cannot be read.
    #[must_use]
    pub fn new(seed: u64, plan: Rc<Plan>, traced: bool) -> Option<Self> {
        let mut world = Self::bare(seed, plan, traced)?;
        world.begin();
        Some(world)
    }

    /// The same in which nothing has begun.
    #[must_use]
    pub fn bare(seed: u64, plan: Rc<Plan>, traced: bool) -> Option<Self> {
        let setup = &plan.setup;
        let job = JOB.with(Clone::clone)?;
        let run = RunId::derive("job", "request", "{}", "0123").ok()?;
        let spec = spec_of(setup);
        let brief = Rc::new(Brief {
            run: run.clone(),
            spec: spec.clone(),
            context: Context {
                site: setup.site,
                cents: setup.cents,
                min_workers: setup.min_workers,
            },
            record: record_of(&run, job),
        });
        let coordinators = (0..setup.coordinators)
            .map(|number| {
                Coordinator::new(
                    Rc::clone(&brief),
                    number,
                    setup.skew.get(number).copied().unwrap_or(0),
                )
            })
            .collect();
        let ends = LASTS.max(ms(spec.deadline + spec.timing.overtime) + AFTER);
        Some(Self {
            now: 0,
            chance: Chance::new(seed ^ WORLD),
            queue: Queue::default(),
            active: Active::default(),
            store: Store::default(),
            cloud: Cloud::default(),
            machines: Vec::new(),
            coordinators,
            lock: None,
            locks: Locks::default(),
            gcs: Vec::new(),
            agents: Rc::new(agent::Brief {
                run: run.clone(),
                job: setup.job.clone(),
            }),
            launched: false,
            ends,
            oracle: Oracle::new(&plan, &spec),
            trace: traced.then(Vec::new),
            run,
            spec,
            plan,
        })
    }

    /// How long it has lasted.
    #[must_use]
    pub fn now(&self) -> Ms {
        self.now
    }

    /// Lets everything happen that happens in this time.
    pub fn pass(&mut self, lasts: Ms) {
        let end = self.now + lasts;
        while self.queue.next_at().is_some_and(|at| at <= end) {
            if let Some((at, event)) = self.queue.pop() {
                self.now = at;
                self.happen(event);
            }
        }
        self.now = end;
    }

    fn begin(&mut self) {
        for (number, fault) in self.plan.faults.iter().enumerate() {
            self.queue.push(fault.at, 0, Event::Fault(number));
        }
        self.after(0, Event::Start(0, true));
        self.after(SEC, Event::Launch(0));
        if self.plan.setup.alike {
            self.after(SEC, Event::Consul);
        }
        self.after(CHECK, Event::Check);
    }

    fn after(&mut self, wait: Ms, event: Event) {
        let tie = self.chance.tie();
        self.queue.push(self.now + wait, tie, event);
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            let (min, sec, milli) = (now / MIN, now % MIN / SEC, now % SEC);
            trace.push(format!("{min:3}:{sec:02}.{milli:03} {}", text()));
        }
    }

    /// Lets everything happen, until a promise is broken or the end.
    #[must_use]
    pub fn run(mut self) -> Ending {
        while let Some((at, event)) = self.queue.pop() {
            if at > self.ends || self.oracle.is_broken() {
                break;
            }
            self.now = at;
            self.happen(event);
        }
        if !self.oracle.is_broken() {
            self.judge_end();
        }
        Ending {
            broken: self.oracle.broken.take(),
            seen: self.oracle.seen,
            trace: self.trace.unwrap_or_default(),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Fault(number) => self.fault(number),
            Event::Arrive(call) => self.arrive(*call),
            Event::Answer(who, ticket, res) => self.answer(who, ticket, *res),
            Event::Wake(who, ticket) => self.wake(who, ticket),
            Event::Alarm(machine, alarm) => self.alarm(machine, alarm),
            Event::Up {
                coordinator,
                machine,
                call,
                sent,
                up,
            } => self.up(coordinator, machine, call, sent, up),
            Event::Down {
                machine,
                call,
                sent,
                down,
            } => self.down(machine, call, sent, down),
            Event::Tick(coordinator, life) => self.tick(coordinator, life),
            Event::Launch(coordinator) => self.launch(coordinator),
            Event::Start(coordinator, locked) => self.start(coordinator, locked),
            Event::Running(machine) => self.running(machine),
            Event::AgentStarts(machine) => self.agent_starts(machine),
            Event::BootTimer(machine) => self.boot_timer(machine),
            Event::DeadlineTimer(machine) => self.deadline_timer(machine),
            Event::Ended(machine) => self.ended(machine),
            Event::Reclaimed(machine) => self.end_machine(machine, crate::machine::Cause::Fault),
            Event::Group(name, regular) => self.reconcile(&name, regular),
            Event::Lease(name, at) => self.lease(&name, at),
            Event::Consul => self.consul(),
            Event::Gc(number) => self.gc(number),
            Event::Killed(machine) => self.end_machine(machine, crate::machine::Cause::Ended),
            Event::Check => {
                self.check();
                self.after(CHECK, Event::Check);
            }
        }
    }

    /// The moment at which a true clock shows the run's deadline as its record has it; `None` while there is no record.
    fn deadline(&self) -> Option<Ms> {
        self.oracle
            .created
            .map(|created| created + ms(self.spec.deadline))
    }
}
