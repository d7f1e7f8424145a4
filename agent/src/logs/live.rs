//! Lines for whoever watches now. May lose some: their numbers tell. The store has them all.

use std::time::Duration;

use mayfly_kit::admin::Loop;
use mayfly_kit::backoff::{Backoff, Policy, jitter};
use mayfly_proto::Attempt;
use mayfly_proto::v1::LogBatch;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use crate::identity::Session;
use crate::supervise::Stream;

/// Lines that wait to be shown.
const QUEUE: usize = 2048;
/// Lines of one message.
const BATCH: usize = 256;
/// Messages under way.
const BATCHES: usize = 4;
const RETRY: Policy = Policy {
    base: Duration::from_millis(200),
    cap: Duration::from_secs(5),
    budget: Duration::MAX,
};

struct Shown {
    attempt: Attempt,
    stream: Stream,
    number: u64,
    text: String,
}

/// Why a stream is over.
enum Ended {
    /// The coordinator ended it, or cannot be reached.
    Lost,
    /// There is a newer session.
    NewSession,
    NoMoreLines,
}

/// Takes lines and never waits.
pub struct Queue {
    lines: mpsc::Sender<Shown>,
}

/// The other end of a [`Queue`].
pub struct Pusher {
    lines: mpsc::Receiver<Shown>,
}

/// A queue and the end that sends it on.
#[must_use]
pub fn queue() -> (Queue, Pusher) {
    let (sender, lines) = mpsc::channel(QUEUE);
    (Queue { lines: sender }, Pusher { lines })
}

impl Queue {
    pub(super) fn offer(&self, attempt: Attempt, stream: Stream, number: u64, text: &str) {
        let line = Shown {
            attempt,
            stream,
            number,
            text: text.to_owned(),
        };
        // Where there is no room the line is not shown.
        let _full = self.lines.try_send(line);
    }
}

impl Pusher {
    /// Sends lines on until the queue's other end is gone, over as many connections as it takes.
    /// `pulse` is the line on `/status`.
    pub async fn run(mut self, mut session: watch::Receiver<Option<Session>>, pulse: Loop) {
        let mut waits = Backoff::new(RETRY, jitter);
        let mut lines = Vec::with_capacity(BATCH);
        loop {
            if session.wait_for(Option::is_some).await.is_err() {
                return;
            }
            // A stream is opened when there is something to say: the coordinator waits for silent ones only so long.
            if self.lines.recv_many(&mut lines, BATCH).await == 0 {
                return;
            }
            let Some(known) = session.borrow_and_update().clone() else {
                continue;
            };
            pulse.status("sends lines to the coordinator");
            match self.connection(known, &mut session, &mut lines).await {
                Ended::NoMoreLines => return,
                Ended::NewSession => waits.reset(),
                Ended::Lost => {
                    pulse.status("the coordinator does not take lines");
                    tokio::time::sleep(waits.next().unwrap_or(RETRY.cap)).await;
                }
            }
        }
    }

    /// One stream to the coordinator.
    async fn connection(
        &mut self,
        session: Session,
        sessions: &mut watch::Receiver<Option<Session>>,
        lines: &mut Vec<Shown>,
    ) -> Ended {
        let (batches, stream) = mpsc::channel(BATCHES);
        let mut client = session.client();
        let pushing = client.push_logs(session.request(ReceiverStream::new(stream)));
        tokio::pin!(pushing);
        loop {
            for batch in in_batches(&session, lines) {
                tokio::select! {
                    // The coordinator ended the stream, or cannot be reached.
                    _ = &mut pushing => return Ended::Lost,
                    sent = batches.send(batch) => if sent.is_err() { return Ended::Lost },
                }
            }
            let ended = tokio::select! {
                _ = &mut pushing => return Ended::Lost,
                _ = sessions.changed() => Ended::NewSession,
                count = self.lines.recv_many(lines, BATCH) => {
                    if count > 0 {
                        continue;
                    }
                    Ended::NoMoreLines
                }
            };
            drop(batches);
            // The last lines are on their way; the answer says that they came.
            let _ = tokio::time::timeout(RETRY.cap, pushing).await;
            return ended;
        }
    }
}

/// Messages of consecutive lines of one stream.
fn in_batches(session: &Session, lines: &mut Vec<Shown>) -> Vec<LogBatch> {
    let mut batches: Vec<LogBatch> = Vec::new();
    for line in lines.drain(..) {
        let follows = batches.last().is_some_and(|b| {
            b.stream == line.stream.as_str()
                && b.attempt == line.attempt.number()
                && b.first_line + b.lines.len() as u64 == line.number
        });
        match batches.last_mut() {
            Some(batch) if follows => batch.lines.push(line.text),
            Some(_) | None => batches.push(LogBatch {
                run_id: session.run.to_string(),
                node_id: session.node.to_string(),
                attempt: line.attempt.number(),
                first_line: line.number,
                stream: line.stream.as_str().to_owned(),
                lines: vec![line.text],
            }),
        }
    }
    batches
}
