//! Keeps the machines as wanted and looks at them, as `coordinator/src/driver/fleet.rs` over `cloud/aws/kept.rs` or
//! `cloud/local.rs`: one request after the other, each answered later or never. What is decided between them is the
//! product's: [`Ledger`], [`plan`].

use std::collections::VecDeque;

use jiff::Timestamp;
use mayfly_proto::{NodeId, RunId};

use super::{Clock, Context, Step};
use crate::call::{Aws, Local, Out, Req, Res, Ticket, Work};
use crate::plan::Site;
use crate::planted::shell;
use crate::product::aws::fleet::GroupState;
use crate::product::aws::tags::{Group, name};
use crate::product::coordinator::cloud::aws::ledger::Ledger;
use crate::product::coordinator::cloud::aws::trouble::Answer;
use crate::product::coordinator::cloud::{Machine, Sight};
use crate::product::coordinator::driver::task::Task;
use crate::product::coordinator::plan::{Action, plan};
use crate::product::coordinator::run::Wanted;
use crate::time::{Ms, SEC, long};

/// Zones that machines may be started in.
const ZONES: usize = 3;
/// What an hour of a machine costs, in millionths of a dollar.
pub const HOURLY: u64 = 360_000;
/// Between two looks at AWS.
const LOOK_AWS: Ms = 5 * SEC;
/// The same on this machine.
const LOOK_LOCAL: Ms = SEC;
/// Why machines do not come is asked so often.
const ASK_EVERY: Ms = 10 * SEC;

/// What a round brings.
pub(super) enum News {
    /// The cloud refused for good.
    Failed(String),
    /// What was seen, and whether every group was gone by then.
    Looked(Sight, bool),
}

/// One thing to do.
#[derive(Debug, Clone)]
enum Act {
    End(NodeId),
    Renew(Timestamp),
    Lease(Group, Timestamp),
    Leased(Timestamp),
    States(Wanted),
    Group(Group, u32, GroupState),
    Scale(Group, u32, usize),
    Ask(Group, u32),
    Ensure(Group),
    Armed(Timestamp),
    ReleaseStates,
    Delete(Group),
    Terminate(Vec<String>),
    Pending,
    Look,
    LocalKeep(Wanted),
    LocalStart(Action),
    LocalLeave,
}

/// A round that is under way, or an arming.
#[derive(Default)]
struct Round {
    acts: VecDeque<Act>,
    asked: Option<Act>,
    releasing: bool,
    refused: Option<String>,
}

/// The keeper.
pub struct Keeper {
    aws: bool,
    ledger: Ledger,
    began: Option<Ms>,
    task: Task,
    step: Step,
    busy: bool,
    nudged: bool,
    round: Round,
    arming: Round,
    asked: Option<Ms>,
    trouble: Option<String>,
    local_released: bool,
    min_workers: u32,
    /// When no machine may be there any more, as the run was launched or taken over.
    end: Timestamp,
}

impl Keeper {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(context: &Context, end: Timestamp) -> Self {
        Self {
            aws: context.site == Site::Aws,
            ledger: Ledger::new(ZONES),
            began: None,
            task: Task::Idle,
            step: Step::default(),
            busy: false,
            nudged: false,
            round: Round::default(),
            arming: Round::default(),
            asked: None,
            trouble: None,
            local_released: false,
            min_workers: context.min_workers,
            end,
        }
    }

    fn at(&mut self, clock: Clock) -> std::time::Duration {
        let began = *self.began.get_or_insert(clock.now);
        long(clock.now - began)
    }

    /// What is to be done has changed, or not.
    pub(super) fn follow(&mut self, task: Task, out: &mut Out) {
        if self.task == task {
            return;
        }
        self.task = task;
        if self.busy {
            self.nudged = true;
        } else {
            out.wake(self.step.next(Work::Keep), 1);
        }
    }

    /// Begins to arm the killer; true when nothing is to be asked for that.
    pub fn arm(&mut self, run: &RunId, clock: Clock, ticket: Ticket, out: &mut Out) -> bool {
        let mut round = Round::default();
        if self.aws {
            round.acts = arming(Ledger::first_lease(self.end, clock.wall()));
        }
        self.arming = round;
        self.armed(run, clock, ticket, out)
    }

    /// The next step of arming, after the last one was done; true when it is armed.
    pub fn armed(&mut self, run: &RunId, clock: Clock, ticket: Ticket, out: &mut Out) -> bool {
        let mut round = std::mem::take(&mut self.arming);
        let waits = self.go_on(run, clock, ticket, &mut round, out);
        self.arming = round;
        !waits
    }

    /// A round begins.
    pub(super) fn begin(&mut self, run: &RunId, clock: Clock, ticket: Ticket, out: &mut Out) {
        if self.busy || !self.step.is(ticket) {
            return;
        }
        let mut round = Round::default();
        match (&self.task, self.aws) {
            (Task::Idle, _) => return self.rest(out),
            (Task::Stop, _) => return,
            (Task::Keep(wanted, condemned, end), true) => {
                round.acts.extend(condemned.iter().cloned().map(Act::End));
                round
                    .acts
                    .extend([Act::Renew(*end), Act::States(*wanted), Act::Look]);
            }
            (Task::Release, true) => {
                round.releasing = true;
                round.acts.extend([Act::ReleaseStates]);
            }
            (Task::Keep(wanted, condemned, _), false) => {
                round.acts.extend(condemned.iter().cloned().map(Act::End));
                round.acts.extend([Act::LocalKeep(*wanted), Act::Look]);
            }
            (Task::Release, false) => {
                round.releasing = true;
                self.local_released = true;
                round.acts.extend([Act::LocalLeave, Act::Look]);
            }
        }
        self.busy = true;
        let ticket = self.step.next(Work::Keep);
        if !self.go_on(run, clock, ticket, &mut round, out) {
            self.busy = false;
            self.rest(out);
        }
        self.round = round;
    }

    fn rest(&mut self, out: &mut Out) {
        let period = if std::mem::take(&mut self.nudged) {
            1
        } else if self.aws {
            LOOK_AWS
        } else {
            LOOK_LOCAL
        };
        out.wake(self.step.next(Work::Keep), period);
    }

    /// The answer to what was asked last.
    pub(super) fn reply(
        &mut self,
        run: &RunId,
        clock: Clock,
        ticket: Ticket,
        res: Res,
        out: &mut Out,
    ) -> Option<News> {
        if !self.busy || !self.step.is(ticket) {
            return None;
        }
        let mut round = std::mem::take(&mut self.round);
        let mut news = None;
        match (round.asked.take(), res) {
            (Some(Act::Look), Res::Failed) => {}
            (Some(_), Res::Failed) => {
                round.acts.clear();
                // A group that is left may start machines: that none is seen proves nothing.
                if !round.releasing {
                    round.acts.push_back(Act::Look);
                }
            }
            (Some(act), res) => news = self.learn(clock, act, res, &mut round),
            (None, _) => {}
        }
        if let Some(reason) = round.refused.take() {
            news = Some(News::Failed(reason));
        }
        let ticket = self.step.next(Work::Keep);
        if !self.go_on(run, clock, ticket, &mut round, out) {
            self.busy = false;
            self.rest(out);
        }
        self.round = round;
        news
    }

    fn learn(&mut self, clock: Clock, act: Act, res: Res, round: &mut Round) -> Option<News> {
        match (act, res) {
            (Act::States(wanted), Res::States(states)) => {
                for group in Group::ALL.into_iter().rev() {
                    let wanted = of(wanted, group);
                    match states.iter().find(|(found, _)| *found == group) {
                        Some((_, state)) => round.acts.push_front(Act::Group(group, wanted, state.clone())),
                        None => {
                            let lease = Ledger::first_lease(self.end, clock.wall());
                            arming(lease)
                                .into_iter()
                                .rev()
                                .for_each(|act| round.acts.push_front(act));
                        }
                    }
                }
                None
            }
            (Act::Ask(group, wanted), Res::Trouble(trouble)) => {
                self.answer(group, wanted, trouble.as_ref(), round);
                None
            }
            (Act::ReleaseStates, Res::States(states)) => {
                if states.is_empty() || shell("release-without-groups") {
                    let left = self.ledger.left();
                    if !left.is_empty() {
                        round.acts.push_back(Act::Terminate(left));
                    }
                    round.acts.push_back(Act::Look);
                } else {
                    for (group, state) in &states {
                        self.ledger.named(*group, state);
                    }
                    self.ledger.grouped();
                    round
                        .acts
                        .extend(states.iter().map(|(group, _)| Act::Delete(*group)));
                    round.acts.push_back(Act::Pending);
                }
                None
            }
            (Act::Look, Res::Instances(listed)) => {
                let at = self.at(clock);
                self.ledger.listed(&listed, |_| Some(HOURLY), clock.wall(), at);
                let sight = Sight {
                    machines: self.ledger.machines(),
                    trouble: self.trouble.clone(),
                    own: None,
                };
                Some(News::Looked(sight, round.releasing))
            }
            (Act::Look, Res::Machines(machines)) => Some(News::Looked(
                Sight {
                    machines,
                    ..Sight::default()
                },
                round.releasing,
            )),
            (Act::LocalKeep(wanted), Res::Machines(machines)) => {
                self.plan(wanted, &machines, round);
                None
            }
            _ => None,
        }
    }

    fn plan(&self, wanted: Wanted, machines: &[Machine], round: &mut Round) {
        if self.local_released {
            return;
        }
        for action in plan(wanted, machines).into_iter().rev() {
            match action {
                Action::Start { .. } => round.acts.push_front(Act::LocalStart(action)),
                Action::GiveUp { role } => {
                    round.refused = Some(format!("{} keep ending as soon as they are started", role.name()));
                }
            }
        }
    }

    fn answer(
        &mut self,
        group: Group,
        wanted: u32,
        trouble: Option<&crate::product::aws::fleet::Trouble>,
        round: &mut Round,
    ) {
        let Some(trouble) = trouble else { return };
        let enough = match group {
            Group::Master => wanted,
            Group::Workers => self.min_workers.min(wanted),
        };
        let said = format!("AWS starts no {} machine: {}", group.role(), trouble.said);
        match self.ledger.answer(group, enough, trouble) {
            Answer::GiveUp => round.refused = Some(said),
            Answer::OpenZone | Answer::Wait => self.trouble = Some(said),
        }
    }

    /// Does what needs no answer, and asks for the next one; false when nothing is left to do.
    fn go_on(&mut self, run: &RunId, clock: Clock, ticket: Ticket, round: &mut Round, out: &mut Out) -> bool {
        while let Some(act) = round.acts.pop_front() {
            let req = self.request(run, clock, &act, round);
            if let Some(req) = req {
                round.asked = Some(act);
                out.call(ticket, req);
                return true;
            }
        }
        false
    }

    /// What is to be asked for this act, if anything.
    fn request(&mut self, run: &RunId, clock: Clock, act: &Act, round: &mut Round) -> Option<Req> {
        match act {
            Act::End(node) if !self.aws => Some(Req::Local(Local::Kill(node.clone()))),
            Act::End(node) => self
                .ledger
                .to_end(node)
                .map(|id| Req::Aws(Aws::End(id.to_owned()))),
            Act::Renew(until) => {
                if let Some(lease) = self.ledger.lease_due(*until, clock.wall()) {
                    round.acts.push_front(Act::Leased(lease));
                    for group in Group::ALL.into_iter().rev() {
                        round.acts.push_front(Act::Lease(group, lease));
                    }
                }
                None
            }
            Act::Lease(group, lease) => {
                // AWS takes no time that has come, nor one that is near.
                let soonest = clock.wall() + long(60 * SEC);
                Some(Req::Aws(Aws::PutLease(name(run, *group), (*lease).max(soonest))))
            }
            Act::Leased(lease) => {
                self.ledger.leased(*lease);
                None
            }
            Act::States(_) | Act::ReleaseStates => {
                Some(Req::Aws(Aws::States(Group::ALL.map(|group| name(run, group)))))
            }
            Act::Group(group, wanted, state) => self.group(clock, *group, *wanted, state, round),
            Act::Scale(group, target, zones) => {
                Some(Req::Aws(Aws::Scale(name(run, *group), *target, *zones)))
            }
            Act::Ask(group, _) => Some(Req::Aws(Aws::Trouble(name(run, *group)))),
            Act::Ensure(group) => Some(Req::Aws(Aws::Ensure(name(run, *group), *group))),
            Act::Armed(lease) => {
                self.ledger.armed(*lease);
                None
            }
            Act::Delete(group) => Some(Req::Aws(Aws::Delete(name(run, *group)))),
            Act::Terminate(ids) => {
                let _ = self.at(clock);
                Some(Req::Aws(Aws::Terminate(ids.clone())))
            }
            // Groups are being deleted: no look of this round proves anything.
            Act::Pending => {
                round.acts.clear();
                None
            }
            Act::Look if self.aws => {
                let at = self.at(clock);
                if round.releasing && !self.ledger.ungrouped(at, long(2 * LOOK_AWS)) {
                    return None;
                }
                Some(Req::Aws(Aws::Machines))
            }
            Act::Look | Act::LocalKeep(_) => Some(Req::Local(Local::Look)),
            Act::LocalStart(Action::Start { role, number }) => Some(Req::Local(Local::Start(*role, *number))),
            Act::LocalStart(Action::GiveUp { .. }) => None,
            Act::LocalLeave => Some(Req::Local(Local::Leave)),
        }
    }

    fn group(
        &mut self,
        clock: Clock,
        group: Group,
        wanted: u32,
        state: &GroupState,
        round: &mut Round,
    ) -> Option<Req> {
        let target = match self.ledger.target(group, wanted, state) {
            Ok(target) => target,
            Err(started) => {
                round.refused = Some(format!(
                    "machines of the group {} keep ending: {started} were started",
                    group.name()
                ));
                round.acts.clear();
                round.acts.push_back(Act::Look);
                return None;
            }
        };
        let asks =
            self.ledger.up(group) < wanted && self.asked.is_none_or(|asked| clock.now >= asked + ASK_EVERY);
        if asks {
            self.asked = Some(clock.now);
            round.acts.push_front(Act::Ask(group, wanted));
        } else if wanted > 0 && self.ledger.up(group) >= wanted && group == Group::Workers {
            self.trouble = None;
        }
        let zones = self.ledger.zones_open();
        let same = state.desired == target && state.max == target && state.subnets.len() == zones;
        let scale = Act::Scale(group, target, zones);
        if !same && Ledger::begins(state, target) {
            let lease = Ledger::first_lease(self.end, clock.wall());
            round.acts.push_front(scale);
            round.acts.push_front(Act::Leased(lease));
            for group in Group::ALL {
                round.acts.push_front(Act::Lease(group, lease));
            }
        } else if !same {
            round.acts.push_front(scale);
        }
        None
    }
}

fn arming(lease: Timestamp) -> VecDeque<Act> {
    let ensure = Group::ALL.into_iter().map(Act::Ensure);
    let put = Group::ALL.into_iter().map(|group| Act::Lease(group, lease));
    ensure.chain(put).chain([Act::Armed(lease)]).collect()
}

fn of(wanted: Wanted, group: Group) -> u32 {
    match group {
        Group::Master => wanted.masters,
        Group::Workers => wanted.workers,
    }
}
