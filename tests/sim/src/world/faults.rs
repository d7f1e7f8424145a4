//! What goes wrong, and for how long.

use super::{Event, World};
use crate::call::{Req, Who};
use crate::machine::Cause;
use crate::plan::{Kind, Site};
use crate::time::{Ms, SEC};

/// Something that lasts, and how bad it is.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Spell {
    until: Ms,
    by: u64,
}

impl Spell {
    fn last(&mut self, now: Ms, lasts: Ms, by: u64) {
        self.until = self.until.max(now + lasts);
        self.by = self.by.max(by);
        if now >= self.until {
            self.by = by;
        }
    }

    /// How bad it is now; 0 when it is over.
    pub(super) fn by(self, now: Ms) -> u64 {
        if now < self.until { self.by } else { 0 }
    }

    /// As so many times in a hundred.
    pub(super) fn percent(self, now: Ms) -> u32 {
        u32::try_from(self.by(now)).unwrap_or(100)
    }
}

/// All that goes wrong now.
#[derive(Debug, Default)]
pub(super) struct Active {
    pub(super) store_down: Spell,
    pub(super) store_fails: Spell,
    pub(super) store_loses: Spell,
    pub(super) store_slow: Spell,
    pub(super) cloud_down: Spell,
    pub(super) cloud_throttles: Spell,
    pub(super) cloud_loses: Spell,
    pub(super) lag: Spell,
    pub(super) flap: Spell,
    pub(super) deaf: Spell,
    pub(super) late_lease: Ms,
    /// By zone: until when, and machines left.
    pub(super) capacity: [(Ms, u32); 3],
    pub(super) quota: Spell,
    pub(super) net_loses: Spell,
    pub(super) net_slow: Spell,
    pub(super) net_twice: Spell,
    pub(super) cut: (Ms, Ms),
    pub(super) bad_boot: (Ms, bool),
    pub(super) slow_boot: Spell,
    pub(super) consul_down: Spell,
    /// The next thing that a coordinator asks for is its last: whether it takes effect, and when another one comes.
    pub(super) crash: Vec<(bool, Option<Ms>)>,
}

impl Active {
    /// Whether the cloud does not do, or not tell, what it should.
    pub(super) fn is_cloud_troubled(&self, now: Ms) -> bool {
        let spells = [
            self.cloud_down,
            self.cloud_throttles,
            self.cloud_loses,
            self.lag,
            self.flap,
            self.deaf,
        ];
        spells.iter().any(|spell| spell.by(now) > 0)
    }
}

impl World {
    pub(super) fn fault(&mut self, number: usize) {
        let Some(fault) = self.plan.faults.get(number).cloned() else {
            return;
        };
        self.note(|| format!("FAULT {:?}", fault.kind));
        self.oracle.fault(&fault.kind);
        let now = self.now;
        let active = &mut self.active;
        match fault.kind {
            Kind::Kill { who, back } => self.kill(who, back),
            Kind::Crash { after, back } => active.crash.push((after, back)),
            Kind::Pause { who, lasts } => self.pause(who, lasts),
            Kind::Second => self.after(0, Event::Start(1, false)),
            Kind::Clock { who, by } => {
                let n = self.coordinators.len();
                if let Some(coordinator) = self.coordinators.get_mut(who % n) {
                    coordinator.skew = by;
                }
            }
            Kind::StoreDown { lasts } => active.store_down.last(now, lasts, 1),
            Kind::StoreFails { lasts, percent } => active.store_fails.last(now, lasts, percent.into()),
            Kind::StoreLoses { lasts, percent } => active.store_loses.last(now, lasts, percent.into()),
            Kind::StoreSlow { lasts, by } => active.store_slow.last(now, lasts, by),
            Kind::CloudDown { lasts } => active.cloud_down.last(now, lasts, 1),
            Kind::CloudThrottles { lasts, percent } => {
                active.cloud_throttles.last(now, lasts, percent.into());
            }
            Kind::CloudLoses { lasts, percent } => active.cloud_loses.last(now, lasts, percent.into()),
            Kind::Lag { lasts, by } => active.lag.last(now, lasts, by),
            Kind::Flap { lasts, percent } => active.flap.last(now, lasts, percent.into()),
            Kind::Deaf { lasts } => active.deaf.last(now, lasts, 1),
            Kind::LateLease { by } => active.late_lease = by,
            Kind::Capacity { zone, left, lasts } => {
                if let Some(zone) = active.capacity.get_mut(zone) {
                    *zone = (now + lasts, left);
                }
            }
            Kind::Quota { lasts } => active.quota.last(now, lasts, 1),
            Kind::NetLoses { lasts, percent } => active.net_loses.last(now, lasts, percent.into()),
            Kind::NetSlow { lasts, by } => active.net_slow.last(now, lasts, by),
            Kind::NetTwice { lasts, percent } => active.net_twice.last(now, lasts, percent.into()),
            Kind::Cut {
                node,
                up,
                down,
                lasts,
            } => {
                if let Some(machine) = self.pick(node) {
                    let cut = &mut machine.cut;
                    if up {
                        cut.0 = cut.0.max(now + lasts);
                    }
                    if down {
                        cut.1 = cut.1.max(now + lasts);
                    }
                }
            }
            Kind::CutAll { up, down, lasts } => {
                if up {
                    active.cut.0 = active.cut.0.max(now + lasts);
                }
                if down {
                    active.cut.1 = active.cut.1.max(now + lasts);
                }
            }
            Kind::CutStore { node, lasts } => {
                if let Some(machine) = self.pick(node) {
                    machine.cut_store = machine.cut_store.max(now + lasts);
                }
            }
            Kind::Die { node } => {
                if let Some(machine) = self.picked(node) {
                    self.end_machine(machine, Cause::Fault);
                }
            }
            Kind::AgentDies { node } => {
                if let Some(machine) = self.picked(node) {
                    self.agent_dies(machine);
                }
            }
            Kind::Freeze { node, lasts } => {
                if let Some(machine) = self.pick(node) {
                    machine.frozen = machine.frozen.max(now + lasts);
                }
            }
            Kind::Hang { node } => {
                if let Some(machine) = self.pick(node) {
                    machine.hung = true;
                }
            }
            Kind::BadBoot { lasts, hung } => active.bad_boot = (now + lasts, hung),
            Kind::SlowBoot { lasts, by } => active.slow_boot.last(now, lasts, by),
            Kind::Spot { node } => self.spot(node),
            Kind::ConsulDown { lasts } => active.consul_down.last(now, lasts, 1),
            Kind::ConsulWiped => self.locks.end(|_| true),
            Kind::Cancel { fast } => self.cancel(fast),
            Kind::LaunchAgain { who } => {
                let n = self.coordinators.len();
                self.after(0, Event::Launch(who % n));
            }
            Kind::Gc { skew } => self.begin_gc(skew),
        }
    }

    fn picked(&self, number: usize) -> Option<usize> {
        let up: Vec<usize> = (0..self.machines.len())
            .filter(|&n| self.machines.get(n).is_some_and(crate::machine::Machine::is_up))
            .collect();
        let n = up.len().max(1);
        up.get(number % n).copied()
    }

    fn pick(&mut self, number: usize) -> Option<&mut crate::machine::Machine> {
        let machine = self.picked(number)?;
        self.machines.get_mut(machine)
    }

    fn spot(&mut self, number: usize) {
        let Some(machine) = self.picked(number) else {
            return;
        };
        let at = self.now + 120 * SEC;
        self.after(120 * SEC, Event::Reclaimed(machine));
        self.notice_of_end(machine, at);
    }

    /// Whether this request gets no answer, and whether it takes effect all the same.
    pub(super) fn fails(&mut self, who: Who, req: &Req) -> Option<bool> {
        let (now, active) = (self.now, &self.active);
        let (fails, loses) = match req {
            Req::Get(_) | Req::Put(..) | Req::List(_) => {
                let cut = match who {
                    Who::Machine(machine) => self
                        .machines
                        .get(machine)
                        .is_some_and(|machine| machine.cut_store > now),
                    Who::Coordinator(..) | Who::Gc(_) => false,
                };
                let gone = self.plan.setup.site == Site::Command
                    && !self.coordinators.first().is_some_and(|command| command.up);
                if cut || gone || active.store_down.by(now) > 0 {
                    return Some(false);
                }
                (active.store_fails.percent(now), active.store_loses.percent(now))
            }
            Req::Aws(_) => {
                if active.cloud_down.by(now) > 0 {
                    return Some(false);
                }
                (
                    active.cloud_throttles.percent(now),
                    active.cloud_loses.percent(now),
                )
            }
            Req::Local(_) => (0, 0),
        };
        if self.chance.percent(fails) {
            Some(false)
        } else if self.chance.percent(loses) {
            Some(true)
        } else {
            None
        }
    }
}
