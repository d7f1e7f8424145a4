//! The lives of machines: they are asked for, boot, and end, by themselves or not.

use std::rc::Rc;

use super::{Event, World};
use crate::agent::{Agent, Alarm};
use crate::machine::{BOOT_TIMER, Cause, Machine};
use crate::plan::Site;
use crate::product::aws::fleet::State;
use crate::time::{Ms, SEC, long};

/// The image looks every minute whether the deadline has passed (packer/units/mayfly-deadline.timer).
const DEADLINE_EVERY: Ms = 65 * SEC;
/// By so much (packer/bin/past-deadline).
const DEADLINE_GRACE: Ms = 210 * SEC;

impl World {
    /// A machine that was asked for begins its life.
    pub(super) fn new_machine(&mut self, machine: Machine) -> usize {
        let number = self.machines.len();
        let local = machine.group.is_empty();
        self.note(|| format!("machine {number} is {} {}", machine.id, machine.node));
        self.machines.push(machine);
        self.judge_start(number);
        let slow = self.active.slow_boot.by(self.now);
        let wait = if local {
            50
        } else {
            self.chance.between(10 * SEC, 40 * SEC) + slow
        };
        self.after(wait, Event::Running(number));
        number
    }

    pub(super) fn running(&mut self, number: usize) {
        let (now, bad) = (self.now, self.active.bad_boot);
        let Some(machine) = self.machines.get_mut(number).filter(|machine| machine.is_up()) else {
            return;
        };
        machine.running = Some(now);
        if now < bad.0 {
            machine.bad = true;
            machine.hung = bad.1;
        }
        if machine.group.is_empty() {
            return self.after(50, Event::AgentStarts(number));
        }
        self.after(BOOT_TIMER, Event::BootTimer(number));
        self.after(120 * SEC, Event::DeadlineTimer(number));
        if !self.machines.get(number).is_some_and(|machine| machine.bad) {
            let wait = self.chance.between(2 * SEC, 15 * SEC);
            self.after(wait, Event::AgentStarts(number));
        }
    }

    pub(super) fn agent_starts(&mut self, number: usize) {
        if let Some(wait) = self.sleeps(number) {
            return self.after(wait, Event::AgentStarts(number));
        }
        let (now, site, tag) = (self.now, self.plan.setup.site, self.cloud.deadline);
        let Some(machine) = self
            .machines
            .get_mut(number)
            .filter(|machine| machine.is_alive(now))
        else {
            return;
        };
        if let Some(agent) = &mut machine.agent {
            agent.again(now, BOOT_TIMER);
            return self.after(1, Event::Alarm(number, Alarm::Enrol));
        }
        let running = machine.running.unwrap_or(now);
        let (alone, deadline) = match site {
            Site::Aws => (
                (running + BOOT_TIMER).saturating_sub(now),
                Some(long(tag.saturating_sub(now))),
            ),
            Site::Server => (120 * SEC, None),
            Site::Command => (11 * SEC, None),
        };
        let address = format!("10.0.0.{number}:7077");
        let brief = Rc::clone(&self.agents);
        machine.agent = Some(Agent::new(
            brief,
            machine.node.clone(),
            machine.role,
            address,
            now,
            alone,
            deadline,
        ));
        self.after(1, Event::Alarm(number, Alarm::Enrol));
    }

    /// The agent dies. On AWS the outer process starts another one where the dead one has left something to be saved, and
    /// powers the machine off where it has not; on this machine it was the machine.
    pub(super) fn agent_dies(&mut self, number: usize) {
        let agent = self
            .machines
            .get_mut(number)
            .and_then(|machine| machine.agent.as_mut());
        let agent = agent.filter(|_| self.plan.setup.site == Site::Aws);
        if agent.as_ref().is_some_and(|agent| agent.dead) {
            return;
        }
        if !agent.is_some_and(Agent::dies) {
            return self.end_machine(number, Cause::Fault);
        }
        self.oracle.seen.again += 1;
        self.note(|| format!("machine {number} starts its agent again"));
        let wait = self.chance.between(SEC / 2, 12 * SEC);
        self.after(wait, Event::AgentStarts(number));
    }

    /// The agent has ended, and with it the machine.
    pub(super) fn agent_off(&mut self, number: usize) {
        self.end_machine(number, Cause::Agent);
    }

    pub(super) fn boot_timer(&mut self, number: usize) {
        let machine = self
            .machines
            .get(number)
            .filter(|machine| machine.is_up() && !machine.hung);
        let enrolled = machine
            .and_then(|machine| machine.agent.as_ref())
            .is_some_and(|agent| agent.enrolled);
        if machine.is_some() && !enrolled {
            self.end_machine(number, Cause::BootTimer);
        }
    }

    pub(super) fn deadline_timer(&mut self, number: usize) {
        let Some(machine) = self
            .machines
            .get(number)
            .filter(|machine| machine.is_up() && !machine.hung)
        else {
            return;
        };
        if machine.frozen <= self.now && self.now > self.cloud.deadline + DEADLINE_GRACE {
            return self.end_machine(number, Cause::DeadlineTimer);
        }
        self.after(DEADLINE_EVERY, Event::DeadlineTimer(number));
    }

    /// A machine ends, for this reason.
    pub(super) fn end_machine(&mut self, number: usize, cause: Cause) {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(number).filter(|machine| machine.is_up()) else {
            return;
        };
        machine.state = State::Ending;
        machine.ending = Some(now);
        machine.cause = Some(cause);
        let local = machine.group.is_empty();
        self.note(|| format!("machine {number} ends: {cause:?}"));
        self.judge_machine_end(number, cause);
        let wait = if local {
            1
        } else {
            self.chance.between(3 * SEC, 25 * SEC)
        };
        self.after(wait, Event::Ended(number));
    }

    pub(super) fn ended(&mut self, number: usize) {
        let now = self.now;
        if let Some(machine) = self.machines.get_mut(number) {
            machine.state = State::Ended;
            machine.ended = Some(now);
            machine.agent = None;
        }
    }
}
