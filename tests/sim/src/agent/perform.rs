//! What a node's state machine wants done, carried out: preparing, the engine, stopping. It takes time, and is then told.

use mayfly_proto::Attempt;

use super::{Agent, Alarm, Attempting, Engine, Wants};
use crate::plan::JobEnding;
use crate::product::agent::node::{Blame, Effect, Event, Failure, JobEnd, Role};
use crate::time::{Ms, SEC, ms};

/// The last logs get this long.
const FAREWELL_MAX: Ms = 5 * SEC;

impl Agent {
    pub(super) fn perform(&mut self, now: Ms, effect: Effect, wants: &mut Wants) {
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

    pub(super) fn stopped(&mut self, now: Ms, attempt: Attempt, step: u32, wants: &mut Wants) {
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

    pub(super) fn prepared(&mut self, now: Ms, wants: &mut Wants) {
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

    pub(super) fn engine_up(&mut self, now: Ms, wants: &mut Wants) {
        let Some(running) = &mut self.attempting else {
            return;
        };
        if let Engine::Starting(master) = &running.engine {
            running.engine = Engine::Running(master.clone());
            let attempt = running.attempt;
            self.step(now, Event::EngineReady(attempt), wants);
        }
    }
}
