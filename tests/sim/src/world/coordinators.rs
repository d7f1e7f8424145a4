//! Coordinators come and go, and those who ask them for the run.

use super::{Event, TICK, World};
use crate::call::{Out, Who};
use crate::coordinator::{Coordinator, Launched};
use crate::driver::Stop;
use crate::plan::Site;
use crate::time::{Ms, SEC};

/// Whoever asks for the run tries again.
const ASK_AGAIN: Ms = 3 * SEC;

impl World {
    /// Lets a coordinator do something, and carries out what it wants.
    pub(super) fn with_coordinator(
        &mut self,
        number: usize,
        act: impl FnOnce(&mut Coordinator, Ms, &mut Out),
    ) {
        let now = self.now;
        let Some(coordinator) = self.coordinators.get_mut(number) else {
            return;
        };
        let mut out = Out::default();
        let stalled = coordinator.found_hanging();
        act(coordinator, now, &mut out);
        let stalled = !stalled && coordinator.found_hanging();
        let stopped = coordinator.driver.as_ref().and_then(|driver| driver.stop);
        if let Some(stop) = stopped {
            coordinator.driver = None;
            coordinator.closed = stop == Stop::Closed;
            coordinator.superseded = stop == Stop::Superseded;
        }
        let life = coordinator.life;
        let answer = coordinator.answer.take();
        let released = coordinator.driver.as_ref().and_then(|driver| driver.released);
        let phase = coordinator
            .driver
            .as_ref()
            .map(|driver| (driver.run.attempt, driver.run.phase()));
        if stopped.is_some() && self.lock == Some((number, life)) {
            self.lock = None;
        }
        if stalled {
            self.judge_stall();
        }
        if let Some(released) = released {
            self.oracle.released(released);
        }
        if let Some((attempt, phase)) = phase {
            self.oracle.phase(self.now, attempt, phase);
        }
        self.carry(Who::Coordinator(number, life), out);
        match answer {
            Some(Launched::Yes) => self.launched = true,
            Some(Launched::No) => self.after(ASK_AGAIN, Event::Launch(number)),
            None => {}
        }
        if stopped == Some(Stop::Closed) {
            self.judge_closed(number);
        }
    }

    /// A coordinator is started. Where it must have the lock of the run, it waits for whoever has it.
    pub(super) fn start(&mut self, number: usize, locked: bool) {
        let Some(coordinator) = self.coordinators.get(number).filter(|one| !one.up) else {
            return;
        };
        let life = coordinator.life + 1;
        if locked {
            if self.lock.is_some() {
                return self.after(5 * SEC, Event::Start(number, locked));
            }
            self.lock = Some((number, life));
        }
        self.note(|| format!("coordinator {number} starts"));
        self.oracle.coordinator_up();
        self.with_coordinator(number, |coordinator, _, out| coordinator.start(out));
        let life = self
            .coordinators
            .get(number)
            .map_or(0, |coordinator| coordinator.life);
        self.after(TICK, Event::Tick(number, life));
    }

    pub(super) fn kill(&mut self, who: usize, back: Option<Ms>) {
        let n = self.coordinators.len();
        let up: Vec<usize> = (0..n)
            .filter(|&c| self.coordinators.get(c).is_some_and(|one| one.up))
            .collect();
        let Some(&number) = up.get(who % up.len().max(1)) else {
            return;
        };
        self.note(|| format!("coordinator {number} dies"));
        if let Some(coordinator) = self.coordinators.get_mut(number) {
            if self.lock == Some((number, coordinator.life)) {
                self.lock = None;
            }
            coordinator.die();
        }
        if !self.coordinators.iter().any(|coordinator| coordinator.up) {
            self.oracle.coordinators_gone(self.now);
        }
        if let Some(back) = back
            && self.plan.setup.site != Site::Command
        {
            self.after(back, Event::Start(number, true));
        }
    }

    pub(super) fn pause(&mut self, who: usize, lasts: Ms) {
        let until = self.now + lasts;
        let n = self.coordinators.len();
        if let Some(coordinator) = self.coordinators.get_mut(who % n) {
            coordinator.paused = coordinator.paused.max(until);
        }
    }

    pub(super) fn tick(&mut self, number: usize, life: u32) {
        let Some(coordinator) = self
            .coordinators
            .get(number)
            .filter(|one| one.up && one.life == life)
        else {
            return;
        };
        let wait = coordinator.paused.saturating_sub(self.now).max(TICK);
        if coordinator.paused <= self.now {
            self.with_coordinator(number, |coordinator, now, out| coordinator.tick(now, out));
        }
        self.after(wait, Event::Tick(number, life));
    }

    /// Somebody asks for the run, until it is there.
    pub(super) fn launch(&mut self, number: usize) {
        let ready = self
            .coordinators
            .get(number)
            .is_some_and(|one| one.up && one.serving && one.paused <= self.now);
        if ready {
            self.with_coordinator(number, |coordinator, now, out| coordinator.launch(now, out));
        } else if !self.launched {
            self.after(ASK_AGAIN, Event::Launch(number));
        }
    }

    pub(super) fn cancel(&mut self, fast: bool) {
        for number in 0..self.coordinators.len() {
            let asked = self
                .coordinators
                .get(number)
                .is_some_and(|one| one.driver.is_some());
            if asked {
                self.oracle.seen.cancelled = true;
                self.with_coordinator(number, |coordinator, now, out| {
                    let clock = coordinator.clock(now);
                    if let Some(driver) = &mut coordinator.driver {
                        driver.cancel(clock, fast, out);
                    }
                });
            }
        }
    }
}
