//! What agents and coordinators say to each other, and what the job does.

use super::{Event, World};
use crate::agent::{Agent, Alarm, Down, Up, Wants};
use crate::call::Who;
use crate::plan::Life;
use crate::product::agent::node::Event as NodeEvent;
use crate::time::Ms;

impl World {
    /// Lets an agent do something, and carries out what it wants.
    pub(super) fn with_agent(&mut self, machine: usize, act: impl FnOnce(&mut Agent, Ms, &mut Wants)) {
        let now = self.now;
        let Some(agent) = self
            .machines
            .get_mut(machine)
            .and_then(|machine| machine.agent.as_mut())
        else {
            return;
        };
        let mut wants = Wants::default();
        let worked = agent.works();
        act(agent, now, &mut wants);
        let begins = agent.works() && !worked;
        let attempt = agent.attempt();
        if begins && let Some(attempt) = attempt {
            self.oracle.job_begins(now, attempt, machine);
        }
        for text in wants.notes {
            self.note(|| format!("machine {machine} {text}"));
        }
        for (ticket, req) in wants.calls {
            self.call(Who::Machine(machine), ticket, req);
        }
        for (ticket, wait) in wants.wakes {
            self.after(wait, Event::Wake(Who::Machine(machine), ticket));
        }
        for (wait, alarm) in wants.alarms {
            let wait = self.about(wait, alarm);
            self.after(wait, Event::Alarm(machine, alarm));
        }
        for (call, up) in wants.says {
            self.send(machine, call, up);
        }
    }

    /// What takes time takes more or less of it.
    fn about(&mut self, wait: Ms, alarm: Alarm) -> Ms {
        match alarm {
            Alarm::Sync(_) | Alarm::Prepared(_) | Alarm::Engine(_) | Alarm::Part(_) if wait > 1 => {
                self.chance.between(wait * 9 / 10, wait * 11 / 10 + 1)
            }
            _ => wait,
        }
    }

    /// An agent says something to one of the coordinators that are there.
    fn send(&mut self, machine: usize, call: u64, up: Up) {
        let there: Vec<usize> = (0..self.coordinators.len())
            .filter(|&n| {
                self.coordinators
                    .get(n)
                    .is_some_and(|one| one.up && !one.superseded)
            })
            .collect();
        let Some(&coordinator) = self.chance.of(&there) else {
            // Nobody listens: that is known at once.
            let down = Down::Unavailable;
            let sent = self.now;
            return self.after(
                10,
                Event::Down {
                    machine,
                    call,
                    sent,
                    down,
                },
            );
        };
        let cut = self
            .machines
            .get(machine)
            .is_some_and(|machine| machine.cut.0 > self.now);
        if cut || self.active.cut.0 > self.now || self.lost() {
            return;
        }
        let sent = self.now;
        for _ in 0..self.copies() {
            let wait = self.latency();
            let up = up.clone();
            self.after(
                wait,
                Event::Up {
                    coordinator,
                    machine,
                    call,
                    sent,
                    up,
                },
            );
        }
    }

    fn lost(&mut self) -> bool {
        let percent = self.active.net_loses.percent(self.now);
        self.chance.percent(percent)
    }

    fn copies(&mut self) -> usize {
        let percent = self.active.net_twice.percent(self.now);
        1 + usize::from(self.chance.percent(percent))
    }

    fn latency(&mut self) -> Ms {
        let slow = self.active.net_slow.by(self.now);
        self.chance.between(1, 30) + self.chance.between(0, slow + 1)
    }

    pub(super) fn up(&mut self, coordinator: usize, machine: usize, call: u64, sent: Ms, up: Up) {
        let Some(there) = self.coordinators.get(coordinator) else {
            return;
        };
        if there.up && there.paused > self.now {
            let wait = there.paused - self.now;
            return self.after(
                wait,
                Event::Up {
                    coordinator,
                    machine,
                    call,
                    sent,
                    up,
                },
            );
        }
        let Some(from) = self.machines.get(machine) else {
            return;
        };
        let (node, role, boot) = (from.node.clone(), from.role, format!("boot-{machine}"));
        let mut down = Down::Unavailable;
        if there.up {
            self.with_coordinator(coordinator, |coordinator, now, out| {
                down = coordinator.hear(now, &node, role, &boot, up, out);
            });
        }
        let cut = self
            .machines
            .get(machine)
            .is_some_and(|machine| machine.cut.1 > self.now);
        if cut || self.active.cut.1 > self.now || self.lost() {
            return;
        }
        let wait = self.latency();
        self.after(
            wait,
            Event::Down {
                machine,
                call,
                sent,
                down,
            },
        );
    }

    pub(super) fn down(&mut self, machine: usize, call: u64, sent: Ms, down: Down) {
        if let Some(wait) = self.sleeps(machine) {
            return self.after(
                wait,
                Event::Down {
                    machine,
                    call,
                    sent,
                    down,
                },
            );
        }
        if self.lives(machine) {
            self.with_agent(machine, |agent, now, wants| {
                agent.hear(now, call, sent, down, wants);
            });
        }
    }

    pub(super) fn lives(&self, machine: usize) -> bool {
        self.machines
            .get(machine)
            .is_some_and(|machine| machine.is_alive(self.now))
    }

    pub(super) fn sleeps(&self, machine: usize) -> Option<Ms> {
        let machine = self.machines.get(machine).filter(|machine| machine.is_up())?;
        machine.frozen.checked_sub(self.now).filter(|&wait| wait > 0)
    }

    pub(super) fn alarm(&mut self, machine: usize, alarm: Alarm) {
        if let Some(wait) = self.sleeps(machine) {
            return self.after(wait, Event::Alarm(machine, alarm));
        }
        if !self.lives(machine) {
            return;
        }
        if matches!(alarm, Alarm::Sync(_)) {
            self.look_for_life(machine);
        }
        match alarm {
            Alarm::Part(step) => self.part(machine, step),
            Alarm::Off => self.agent_off(machine),
            Alarm::Enrol
            | Alarm::Sync(_)
            | Alarm::Timeout(_)
            | Alarm::Due
            | Alarm::Prepared(_)
            | Alarm::Engine(_)
            | Alarm::Stopped(..)
            | Alarm::Farewell => {
                let workers = self.workers_of(machine).len();
                let workers = u32::try_from(workers).unwrap_or(u32::MAX);
                self.with_agent(machine, |agent, now, wants| {
                    agent.alarm(now, alarm, workers, wants);
                });
            }
        }
    }

    /// Machines whose engines are registered with the master on this one.
    fn workers_of(&self, master: usize) -> Vec<usize> {
        let Some(master) = self
            .machines
            .get(master)
            .and_then(|machine| machine.agent.as_ref())
        else {
            return Vec::new();
        };
        if !master.is_master() || master.serves().is_none() {
            return Vec::new();
        }
        let serves = |agent: &Agent| {
            !agent.is_master()
                && agent.attempt() == master.attempt()
                && agent.serves() == Some(master.address())
        };
        (0..self.machines.len())
            .filter(|&n| {
                let machine = self.machines.get(n).filter(|machine| machine.is_alive(self.now));
                machine
                    .and_then(|machine| machine.agent.as_ref())
                    .is_some_and(serves)
            })
            .collect()
    }

    /// What the next report of this machine says of the job's life.
    fn look_for_life(&mut self, machine: usize) {
        let lives = self.lives_here(machine);
        if lives {
            self.oracle.lives(self.now);
        }
        self.with_agent(machine, |agent, now, _| agent.lives(now, lives));
    }

    fn lives_here(&self, machine: usize) -> bool {
        let works = |n: &usize| {
            let agent = self.machines.get(*n).and_then(|machine| machine.agent.as_ref());
            self.lives(*n) && agent.is_some_and(|agent| agent.works() && agent.hangs().is_none())
        };
        let setup = &self.plan.setup;
        if setup.job.life != Life::WorkerComputes || setup.workers == 0 {
            return works(&machine);
        }
        let mut masters = (0..self.machines.len()).filter(works);
        masters.any(|master| self.workers_of(master).first() == Some(&machine))
    }

    /// The job has done a part of its work, on one of its workers; without any it waits.
    fn part(&mut self, machine: usize, step: u32) {
        let agent = self
            .machines
            .get(machine)
            .and_then(|machine| machine.agent.as_ref());
        let Some(part) = agent.and_then(|agent| agent.part(step)) else {
            return;
        };
        let workers = self.workers_of(machine);
        let on = if self.plan.setup.workers == 0 {
            Some(machine)
        } else {
            self.chance.of(&workers).copied()
        };
        if let Some(worker) = on.filter(|_| part < self.plan.setup.job.parts) {
            let now = self.now;
            if let Some(agent) = self
                .machines
                .get_mut(worker)
                .and_then(|machine| machine.agent.as_mut())
            {
                agent.files.insert(format!("part-{part}"), now);
            }
        }
        self.with_agent(machine, |agent, now, wants| {
            agent.part_done(now, step, on.is_some(), wants);
        });
    }

    /// A machine is taken away soon, and its agent is told.
    pub(super) fn notice_of_end(&mut self, machine: usize, at: Ms) {
        self.with_agent(machine, |agent, now, wants| {
            agent.taken = Some(at);
            agent.step(now, NodeEvent::Interrupted, wants);
        });
    }
}
