//! What a node sends to the store: files, its manifest, and the master's commit.

use std::rc::Rc;

use mayfly_proto::{Attempt, NodeId};

use super::{Agent, Wants};
use crate::call::{If, Req, Res, Ticket, Work};
use crate::planted::shell;
use crate::product::agent::commit::protocol::{Call, Committed, Next, Obstacle, Protocol, Reply, Request};
use crate::product::agent::node::{Blame, Event, Failure, JobEnd, What};
use crate::product::kit::layout;
use crate::product::kit::records::{FileEntry, Manifest, SCHEMA};
use crate::store::etag;
use crate::time::{Ms, SEC, wall};

/// What a part of the results holds: the same in every attempt, as a job's results are.
#[must_use]
pub fn content(path: &str) -> Rc<[u8]> {
    format!("what the job wrote into {path}").into_bytes().into()
}

/// How a file is told apart.
#[must_use]
fn digest(bytes: &[u8]) -> String {
    format!("{:064x}", etag(bytes))
}

/// An upload or a commit that is under way.
pub(super) struct Upload {
    step: u32,
    attempt: Attempt,
    doing: Doing,
    backoff: Ms,
}

enum Doing {
    /// Objects that are still to be sent, the next one last; the second asks what is there of a name.
    Files(Vec<(String, Rc<[u8]>, If)>),
    Compare(Vec<(String, Rc<[u8]>, If)>),
    /// A commit, and what it asks.
    Commit(Request, Option<(Protocol, Call)>),
}

impl Agent {
    pub(super) fn collect(&mut self, attempt: Attempt, what: What, wants: &mut Wants) {
        self.uploads += 1;
        let run = &self.brief.run;
        let logs = layout::log_chunk(run, attempt, &self.id, "agent", self.uploads);
        let mut objects = vec![(logs, content("log"), If::Any)];
        if what == What::All {
            let prefix = layout::results(run, attempt);
            let files: Vec<FileEntry> = self.files.keys().map(|path| entry(path)).collect();
            objects.extend(
                self.files
                    .keys()
                    .map(|path| (format!("{prefix}{path}"), content(path), If::Absent)),
            );
            let manifest = Manifest {
                schema: SCHEMA,
                node: self.id.clone(),
                attempt,
                files,
                skipped: Vec::new(),
            };
            let bytes = serde_json::to_vec(&manifest).unwrap_or_default();
            objects.push((layout::manifest(run, attempt, &self.id), bytes.into(), If::Any));
        }
        objects.reverse();
        self.begin(attempt, Doing::Files(objects), 0, wants);
    }

    pub(super) fn commit(
        &mut self,
        now: Ms,
        attempt: Attempt,
        nodes: Vec<NodeId>,
        end: &JobEnd,
        wants: &mut Wants,
    ) {
        self.uploads += 1;
        let request = Request {
            run: self.brief.run.clone(),
            attempt,
            nodes,
            exit_code: end.exit_code,
            cause: end.cause.clone(),
            steps: end.steps.clone(),
        };
        self.begin(attempt, Doing::Commit(request, None), now, wants);
    }

    fn begin(&mut self, attempt: Attempt, doing: Doing, now: Ms, wants: &mut Wants) {
        let mut upload = Upload {
            step: self.uploads,
            attempt,
            doing,
            backoff: 250,
        };
        upload.ask(now, wants);
        self.upload = Some(upload);
    }

    /// The store answers.
    pub fn reply(&mut self, now: Ms, ticket: Ticket, res: Res, wants: &mut Wants) {
        let Some(mut upload) = self.upload.take().filter(|upload| upload.step() == ticket.step) else {
            return;
        };
        match upload.reply(now, res, wants) {
            None => self.upload = Some(upload),
            Some(event) => self.step(now, event, wants),
        }
    }

    /// It has waited long enough to ask the store again.
    pub fn woken(&mut self, now: Ms, ticket: Ticket, wants: &mut Wants) {
        if let Some(upload) = self.upload.as_mut().filter(|upload| upload.step() == ticket.step) {
            upload.ask(now, wants);
        }
    }
}

fn entry(path: &str) -> FileEntry {
    let bytes = content(path);
    FileEntry {
        path: path.to_owned(),
        size: bytes.len() as u64,
        sha256: digest(&bytes),
    }
}

impl Upload {
    /// Which one it is.
    #[must_use]
    fn step(&self) -> u32 {
        self.step
    }

    fn ticket(&self) -> Ticket {
        Ticket {
            work: Work::Upload,
            step: self.step,
        }
    }

    /// Asks the store for what comes next.
    fn ask(&mut self, now: Ms, wants: &mut Wants) {
        let req = match &mut self.doing {
            Doing::Files(objects) => objects
                .last()
                .map(|(key, bytes, condition)| Req::Put(key.clone(), Rc::clone(bytes), *condition)),
            Doing::Compare(objects) => objects.last().map(|(key, ..)| Req::Get(key.clone())),
            Doing::Commit(request, asked) => {
                if asked.is_none()
                    && let Ok(Next::Ask(protocol, call)) = Protocol::begin(request.clone(), wall(now))
                {
                    *asked = Some((protocol, call));
                }
                asked.as_ref().map(|(_, call)| match call {
                    Call::Get(key) => Req::Get(key.clone()),
                    Call::List(prefix) => Req::List(prefix.clone()),
                    Call::PutNew(key, bytes) => {
                        let condition = if shell("commit-over-another") {
                            If::Any
                        } else {
                            If::Absent
                        };
                        Req::Put(key.clone(), bytes.clone().into(), condition)
                    }
                })
            }
        };
        if let Some(req) = req {
            wants.calls.push((self.ticket(), req));
        }
    }

    /// The answer; what follows for the node when all is done.
    fn reply(&mut self, now: Ms, res: Res, wants: &mut Wants) -> Option<Event> {
        if matches!(res, Res::Failed) {
            wants.wakes.push((self.ticket(), self.backoff));
            self.backoff = (self.backoff * 2).min(10 * SEC);
            if let Doing::Commit(_, asked) = &mut self.doing {
                // It is begun anew.
                *asked = None;
            }
            return None;
        }
        self.backoff = 250;
        let attempt = self.attempt;
        let done = match (&mut self.doing, res) {
            (Doing::Files(objects), Res::Refused) => {
                self.doing = Doing::Compare(std::mem::take(objects));
                None
            }
            (Doing::Files(objects), _) => {
                objects.pop();
                objects.is_empty().then_some(Event::Uploaded(attempt))
            }
            (Doing::Compare(objects), res) => {
                let ours = objects.last().map(|(_, bytes, _)| Rc::clone(bytes));
                let same = matches!(res, Res::Got(Some((there, _))) if Some(&there) == ours.as_ref());
                if same {
                    objects.pop();
                    self.doing = Doing::Files(std::mem::take(objects));
                    None
                } else {
                    Some(failed(
                        attempt,
                        Blame::Job,
                        "two nodes hold different files of one name",
                    ))
                }
            }
            (Doing::Commit(_, asked), res) => {
                let (protocol, _) = asked.take()?;
                match take(protocol, res) {
                    Ok(Next::Ask(protocol, call)) => {
                        *asked = Some((protocol, call));
                        None
                    }
                    Ok(Next::Done(Committed::Ours)) => Some(Event::Committed(attempt)),
                    Ok(Next::Done(Committed::GivenUp)) => {
                        Some(failed(attempt, Blame::Infra, "the attempt was given up"))
                    }
                    Ok(Next::Done(Committed::Lost(other))) => {
                        let what = format!("the run was committed already, by attempt {other}");
                        Some(failed(attempt, Blame::Infra, &what))
                    }
                    Err(error) => {
                        let blame = if error.is_jobs_doing() {
                            Blame::Job
                        } else {
                            Blame::Infra
                        };
                        Some(failed(attempt, blame, &error.to_string()))
                    }
                }
            }
        };
        if let (None, false) = (
            &done,
            matches!(&self.doing, Doing::Files(objects) if objects.is_empty()),
        ) {
            self.ask(now, wants);
        } else if done.is_none() {
            return Some(Event::Uploaded(attempt));
        }
        done
    }
}

fn take(mut protocol: Protocol, res: Res) -> Result<Next, Obstacle> {
    let reply = match res {
        Res::Got(object) => Reply::Got(object.map(|(bytes, _)| bytes.to_vec())),
        Res::Listed(entries) => {
            for (key, size) in entries {
                protocol.listed(&key, size);
            }
            Reply::Listed
        }
        Res::Stored(_) => Reply::Put(true),
        _ => Reply::Put(false),
    };
    protocol.take(reply)
}

fn failed(attempt: Attempt, blame: Blame, message: &str) -> Event {
    Event::Failed(
        attempt,
        Failure {
            blame,
            message: message.to_owned(),
        },
    )
}
