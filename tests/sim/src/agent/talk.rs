//! What an agent and a coordinator say to each other: it asks to be taken in, reports, and hears what its node shall do.

use std::time::Duration;

use mayfly_proto::{Attempt, v1};

use super::{Agent, Alarm, Wants};
use crate::product::agent::node::{Event, Node, SALVAGE_MAX};
use crate::product::agent::sync::answer::checked;
use crate::time::{Ms, SEC, long};

/// How long a call to a coordinator may take.
const CALL_TIMEOUT: Ms = 5 * SEC;
/// The longest wait between two tries.
const RETRY_MAX: Ms = 2 * SEC;
/// Results are looked at so often while the job works.
const LOOK_EVERY: Ms = SEC;
/// What an engine takes that has nothing to do.
const IDLE_CORES: f64 = 0.05;

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

impl Agent {
    fn say(&mut self, up: Up, wants: &mut Wants) {
        self.call += 1;
        self.waiting = true;
        wants.says.push((self.call, up));
        wants.alarms.push((CALL_TIMEOUT, Alarm::Timeout(self.call)));
    }

    pub(super) fn enrol(&mut self, now: Ms, wants: &mut Wants) {
        if self.waiting || !self.enrolling {
            return;
        }
        if self.node.is_none() && now >= self.taken_in_by {
            return self.end(None, wants);
        }
        self.say(Up::Enrol, wants);
    }

    pub(super) fn unanswered(&mut self, wants: &mut Wants) {
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

    pub(super) fn sync(&mut self, now: Ms, workers: u32, wants: &mut Wants) {
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
}
