//! A coordinator that serves: it launches the run, takes it over after a death, and answers nodes, as
//! `coordinator/src/server/launch.rs`, `server/adopt.rs` and `grpc/agents.rs`.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use mayfly_proto::{Attempt, NodeId, RunId};

use crate::agent::{Down, Up};
use crate::call::{If, Out, Req, Res, Ticket, Work};
use crate::driver::{Clock, Context, Driver, FleetKeeper, Start, known};
use crate::product::coordinator::driver::past::{elapsed, past_of, since};
use crate::product::coordinator::grpc::encode::wire;
use crate::product::coordinator::record::{Ended, Role, RunRecord};
use crate::product::coordinator::run::{Commit, Event, NO_SIGN, Node, Report, Run, Spec};
use crate::product::coordinator::server::session::Session;
use crate::product::kit::layout;
use crate::time::{Ms, SEC, ms};

/// After a failure to take runs over, it is started again.
const RESTART: Ms = 5 * SEC;

/// What it works with.
pub struct Brief {
    /// The run.
    pub run: RunId,
    /// What does not change while the run lasts.
    pub spec: Spec,
    /// Of its driver.
    pub context: Context,
    /// The record as it is made; `created`, `deadline` and the first phase are those of the launch.
    pub record: RunRecord,
}

/// What is under way beside the driver.
enum Doing {
    Nothing,
    /// The record is being made; the second time it is looked whether what is there is ours.
    Launching(Box<RunRecord>, Rc<[u8]>),
    /// The record is being read.
    Reading,
    /// The killer is being armed.
    Arming(Box<RunRecord>, u64, Box<FleetKeeper>),
    /// The commit is being read.
    Committed(Box<RunRecord>, u64, Box<FleetKeeper>),
}

/// How a launch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launched {
    /// The run is there.
    Yes,
    /// Try again.
    No,
}

/// A coordinator.
pub struct Coordinator {
    brief: Rc<Brief>,
    /// Its number among those that there may be.
    pub number: usize,
    /// Whether its process is there.
    pub up: bool,
    /// How many processes there were.
    pub life: u32,
    /// It stands still until then.
    pub paused: Ms,
    /// How far its clock is ahead.
    pub skew: i64,
    /// Whether it answers: runs were taken over.
    pub serving: bool,
    /// Since when.
    pub since: Ms,
    /// The owner of the run, while it is open here.
    pub driver: Option<Driver>,
    /// Whether the run was closed here.
    pub closed: bool,
    /// Whether another coordinator has taken it over: this one does not look for it again.
    pub superseded: bool,
    claims: u32,
    sessions: BTreeMap<NodeId, Session>,
    doing: Doing,
    step: u32,
    /// What is said to those who launched.
    pub answer: Option<Launched>,
    /// Whether it is asked to launch when it can.
    pub wanted: bool,
}

impl Coordinator {
    /// One that was never started.
    #[must_use]
    pub fn new(brief: Rc<Brief>, number: usize, skew: i64) -> Self {
        Self {
            brief,
            number,
            up: false,
            life: 0,
            paused: 0,
            skew,
            serving: false,
            since: 0,
            driver: None,
            closed: false,
            superseded: false,
            claims: 0,
            sessions: BTreeMap::new(),
            doing: Doing::Nothing,
            step: 0,
            answer: None,
            wanted: false,
        }
    }

    /// Its clocks.
    #[must_use]
    pub fn clock(&self, now: Ms) -> Clock {
        Clock { now, skew: self.skew }
    }

    /// Whether it ends the run because its job hangs.
    #[must_use]
    pub fn found_hanging(&self) -> bool {
        let ended = self.driver.as_ref().and_then(|driver| driver.run.ended.as_ref());
        ended.is_some_and(is_stall)
    }

    /// Its process is started; it takes over what is open.
    pub fn start(&mut self, out: &mut Out) {
        self.up = true;
        self.life += 1;
        self.paused = 0;
        self.serving = false;
        self.driver = None;
        self.closed = false;
        self.superseded = false;
        self.sessions.clear();
        self.wanted = false;
        self.read(out);
    }

    /// Its process is gone.
    pub fn die(&mut self) {
        self.up = false;
        self.serving = false;
        self.driver = None;
        self.sessions.clear();
        self.doing = Doing::Nothing;
        self.life += 1;
    }

    fn ticket(&mut self, work: Work) -> Ticket {
        self.step += 1;
        Ticket {
            work,
            step: self.step,
        }
    }

    fn read(&mut self, out: &mut Out) {
        self.doing = Doing::Reading;
        let ticket = self.ticket(Work::Adopt);
        out.call(ticket, Req::Get(layout::record(&self.brief.run)));
    }

    /// Somebody asks for the run.
    pub fn launch(&mut self, now: Ms, out: &mut Out) {
        if !self.serving || !matches!(self.doing, Doing::Nothing) {
            self.wanted = true;
            return;
        }
        self.wanted = false;
        if self.driver.is_some() || self.closed {
            self.answer = Some(Launched::Yes);
            return;
        }
        let record = self.new_record(now);
        let text: Rc<[u8]> = serde_json::to_vec(&record).unwrap_or_default().into();
        self.doing = Doing::Launching(Box::new(record), Rc::clone(&text));
        let ticket = self.ticket(Work::Launch);
        let key = layout::record(&self.brief.run);
        out.call(ticket, Req::Put(key, text, If::Absent));
    }

    fn new_record(&mut self, now: Ms) -> RunRecord {
        let mut record = self.brief.record.clone();
        record.created = self.clock(now).wall();
        record.claim = self.claim();
        record.deadline = record.created + self.brief.spec.deadline;
        if let Some(mark) = record.phases.first_mut() {
            mark.began = record.created;
        }
        record
    }

    /// Unlike any other.
    fn claim(&mut self) -> String {
        self.claims += 1;
        format!("{}.{}", self.number, self.claims)
    }

    fn drive(&mut self, now: Ms, start: Start, out: &mut Out) {
        let clock = self.clock(now);
        self.driver = Some(Driver::new(self.brief.context.clone(), clock, start, out));
    }

    /// An answer from outside.
    pub fn reply(&mut self, now: Ms, ticket: Ticket, res: Res, out: &mut Out) {
        match ticket.work {
            Work::Launch if ticket.step == self.step => self.launching(now, res, out),
            Work::Adopt if ticket.step == self.step => self.adopting(now, ticket, res, out),
            Work::Launch | Work::Adopt | Work::Upload | Work::Gc => {}
            Work::Save | Work::Arm | Work::Read | Work::Receipt | Work::Keep => {
                let clock = self.clock(now);
                if let Some(driver) = &mut self.driver {
                    driver.reply(clock, ticket, res, out);
                }
            }
        }
    }

    /// It has waited long enough.
    pub fn woken(&mut self, now: Ms, ticket: Ticket, out: &mut Out) {
        if ticket.work == Work::Adopt {
            if ticket.step == self.step {
                self.read(out);
            }
            return;
        }
        let clock = self.clock(now);
        if let Some(driver) = &mut self.driver {
            driver.woken(clock, ticket, out);
        }
    }

    fn launching(&mut self, now: Ms, res: Res, out: &mut Out) {
        let Doing::Launching(record, text) = std::mem::replace(&mut self.doing, Doing::Nothing) else {
            return;
        };
        let etag = match res {
            Res::Stored(etag) => etag,
            // A retry after a lost reply is refused by our own write: the stored bytes tell.
            Res::Refused => {
                self.doing = Doing::Launching(record, text);
                let ticket = self.ticket(Work::Launch);
                return out.call(ticket, Req::Get(layout::record(&self.brief.run)));
            }
            Res::Got(Some((bytes, etag))) if bytes == text => etag,
            // A launch before this one made it, and nobody here knew: it is taken over.
            Res::Got(Some(_)) => {
                self.answer = Some(Launched::Yes);
                return self.read(out);
            }
            _ => {
                self.answer = Some(Launched::No);
                return;
            }
        };
        let fresh = Run::new(self.brief.spec.clone());
        let (run, effects) = fresh.step(Duration::ZERO, Event::Recorded);
        let start = Start {
            run,
            effects,
            elapsed: Duration::ZERO,
            record: *record,
            etag,
            keeper: None,
        };
        self.drive(now, start, out);
        self.answer = Some(Launched::Yes);
    }

    fn adopting(&mut self, now: Ms, ticket: Ticket, res: Res, out: &mut Out) {
        let clock = self.clock(now);
        match (std::mem::replace(&mut self.doing, Doing::Nothing), res) {
            (Doing::Reading, Res::Got(None)) => self.serve(now),
            (Doing::Reading, Res::Got(Some((bytes, etag)))) => match open(&bytes) {
                Some(record) => {
                    let mut keeper = Box::new(FleetKeeper::new(
                        &self.brief.context,
                        record.deadline + self.brief.spec.timing.overtime,
                    ));
                    let ticket = self.ticket(Work::Adopt);
                    if keeper.arm(&self.brief.run, clock, ticket, out) {
                        self.ask_commit(record, etag, keeper, out);
                    } else {
                        self.doing = Doing::Arming(record, etag, keeper);
                    }
                }
                None => {
                    self.closed = true;
                    self.serve(now);
                }
            },
            (Doing::Arming(..) | Doing::Committed(..) | Doing::Reading, Res::Failed) => {
                let ticket = self.ticket(Work::Adopt);
                out.wake(ticket, RESTART);
            }
            (Doing::Arming(record, etag, mut keeper), _) => {
                if keeper.armed(&self.brief.run, clock, ticket, out) {
                    self.ask_commit(record, etag, keeper, out);
                } else {
                    self.doing = Doing::Arming(record, etag, keeper);
                }
            }
            (Doing::Committed(record, etag, keeper), Res::Got(object)) => {
                let commit = object.and_then(|(bytes, _)| known(&bytes));
                self.adopt(now, (*record, etag, *keeper), commit, out);
            }
            (other, _) => self.doing = other,
        }
    }

    fn ask_commit(&mut self, record: Box<RunRecord>, etag: u64, keeper: Box<FleetKeeper>, out: &mut Out) {
        self.doing = Doing::Committed(record, etag, keeper);
        let ticket = self.ticket(Work::Adopt);
        out.call(ticket, Req::Get(layout::commit(&self.brief.run)));
    }

    fn adopt(
        &mut self,
        now: Ms,
        (mut record, etag, keeper): (RunRecord, u64, FleetKeeper),
        commit: Option<Commit>,
        out: &mut Out,
    ) {
        record.claim = self.claim();
        let elapsed = elapsed(&record, self.clock(now).wall());
        let mut spec = self.brief.spec.clone();
        spec.deadline = since(&record, record.deadline);
        let (run, effects) = Run::adopt(spec, past_of(&record, commit), elapsed);
        out.note(format!(
            "coordinator {} takes the run over in {:?}",
            self.number,
            run.phase()
        ));
        let start = Start {
            run,
            effects,
            elapsed,
            record,
            etag,
            keeper: Some(keeper),
        };
        self.drive(now, start, out);
        self.serve(now);
    }

    fn serve(&mut self, now: Ms) {
        self.serving = true;
        self.since = now;
    }

    /// A node speaks.
    pub fn hear(&mut self, now: Ms, node: &NodeId, role: Role, boot: &str, up: Up, out: &mut Out) -> Down {
        if !self.serving {
            return Down::Unavailable;
        }
        let clock = self.clock(now);
        let Some(driver) = self.driver.as_mut().filter(|driver| driver.stop.is_none()) else {
            return Down::Never;
        };
        match up {
            Up::Enrol => {
                let fresh = || Session::new(boot, role, None);
                let session = self.sessions.entry(node.clone()).or_insert_with(fresh);
                if !session.is_of(boot, role, None) {
                    return Down::Unavailable;
                }
                driver.enrol(clock, new_node(node, role), out);
                Down::Enrolled(ms(self.brief.spec.timing.sync_fast))
            }
            Up::Sync(request) => {
                let Some(session) = self.sessions.get(node) else {
                    return Down::Unauthenticated;
                };
                let attempt = Attempt::try_from(request.attempt).ok();
                let report = request.report.and_then(|report| Report::try_from(report).ok());
                let (Some(attempt), Some(report)) = (attempt, report) else {
                    return Down::Unavailable;
                };
                if !session.is_new(request.seq) {
                    return Down::Unavailable;
                }
                match driver.sync(clock, node, attempt, report, out) {
                    Some(desired) => Down::Desired(Box::new(wire(desired))),
                    None => Down::Unavailable,
                }
            }
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Ms, out: &mut Out) {
        let clock = self.clock(now);
        if let Some(driver) = &mut self.driver {
            driver.tick(clock, out);
        }
        if self.wanted {
            self.launch(now, out);
        }
    }
}

/// Whether a run was ended because its job hung.
#[must_use]
pub fn is_stall(ended: &Ended) -> bool {
    ended.reason.starts_with(NO_SIGN)
}

/// The record, if the run is open.
fn open(bytes: &[u8]) -> Option<Box<RunRecord>> {
    let record: RunRecord = serde_json::from_slice(bytes).ok()?;
    (!record.is_closed()).then(|| Box::new(record))
}

fn new_node(id: &NodeId, role: Role) -> Node {
    Node {
        id: id.clone(),
        role,
        address: "10.0.0.1".into(),
        cores: 2,
        memory_bytes: 8 << 30,
        private_results: true,
        since: Duration::ZERO,
        heard: Duration::ZERO,
        gone_at: None,
        lost: false,
        attempt: Attempt::FIRST,
        report: Report::default(),
        results_files: 0,
        took_part: false,
    }
}
