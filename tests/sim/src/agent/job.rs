//! The job's process on a node: whether it works, lives or hangs, and the parts that it does until it ends.

use super::{Agent, Alarm, Wants};
use crate::plan::{JobEnding, Life};
use crate::product::agent::node::{Event, JobEnd};
use crate::time::{Ms, SEC};

impl Agent {
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
}
