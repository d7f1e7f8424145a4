//! The lines of job, engine and agent: redacted, numbered, kept on disk, uploaded in chunks, and shown live.
//!
//! ```text
//! programs ─▶ lines (bounded, slows the program) ─▶ keep: redact, number ─┬▶ spool file ─▶ chunks in the store (nothing lost)
//!                                                                         └▶ live queue (bounded, drops and says so)
//! ```

pub mod live;
mod redact;
mod reserve;
mod spool;
mod upload;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mayfly_kit::admin::Loop;
use mayfly_proto::Attempt;
use tokio::sync::{mpsc, oneshot, watch};

use crate::supervise::{Line, Stream};

pub use redact::Redactor;
pub use upload::Place;

/// Lines that wait to be kept. A program that is faster than the disk waits too.
pub const QUEUE: usize = 1024;
/// Lines taken in at a time.
const BATCH: usize = 256;
/// Lines of the job kept in memory for the cause of its end.
const TAIL: usize = 200;

/// The last lines of the job, and how many there have been in all attempts; shared with whoever finds the cause.
#[derive(Clone, Default)]
pub struct Tail(Arc<Mutex<(VecDeque<String>, u64)>>);

impl Tail {
    /// The last `n` lines, oldest first.
    #[must_use]
    pub fn last(&self, n: usize) -> Vec<String> {
        let (lines, _) = &*self.kept();
        lines
            .iter()
            .skip(lines.len().saturating_sub(n))
            .cloned()
            .collect()
    }

    /// How many lines there have been.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.kept().1
    }

    fn kept(&self) -> MutexGuard<'_, (VecDeque<String>, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &str) {
        let (lines, count) = &mut *self.kept();
        *count += 1;
        if lines.len() == TAIL {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    fn clear(&self) {
        self.kept().0.clear();
    }
}

/// An order to the keeper of the logs.
pub enum Order {
    /// Lines from now on belong to this attempt.
    Begin(Attempt),
    /// One more secret to take out.
    Learn(String),
    /// Take in every line that has been sent so far; answers when that is done.
    Settle(oneshot::Sender<()>),
    /// Upload everything that has come so far; answers when it is in the store.
    Flush(oneshot::Sender<()>),
}

/// What the keeper of the logs needs.
pub struct Parts {
    /// Where lines come from.
    pub lines: mpsc::Receiver<Line>,
    /// Where orders come from.
    pub orders: mpsc::Receiver<Order>,
    /// Takes secrets out.
    pub redactor: Redactor,
    /// Folder for the spool files.
    pub folder: PathBuf,
    /// Where chunks go; known once the node has enrolled.
    pub place: watch::Receiver<Option<Place>>,
    /// Whoever watches.
    pub live: live::Queue,
    /// The job's last lines.
    pub tail: Tail,
    /// Its line on `/status`. It may wait for the store, and for lines, as long as they take.
    pub pulse: Loop,
}

/// Keeps lines until all their senders are gone; uploads in the meantime.
///
/// # Errors
/// The spool files cannot be written.
pub async fn keep(parts: Parts) -> std::io::Result<()> {
    let Parts {
        mut lines,
        mut orders,
        redactor,
        folder,
        place,
        live,
        tail,
        pulse,
    } = parts;
    let mut kept = 0;
    let uploads = upload::Uploads::new(folder, place);
    let mut keeper = Keeper {
        redactor,
        uploads,
        live,
        tail,
        attempt: Attempt::FIRST,
    };
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            count = lines.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return Ok(());
                }
                batch.drain(..).try_for_each(|line| keeper.line(line))?;
                keeper.uploads.written()?;
                kept += count;
                pulse.status(format!("{kept} lines kept"));
            }
            Some(order) = orders.recv() => {
                // Lines that were sent before the order come before it.
                while let Ok(line) = lines.try_recv() {
                    keeper.line(line)?;
                }
                keeper.obey(order)?;
            }
            () = keeper.uploads.work() => {}
        }
    }
}

struct Keeper {
    redactor: Redactor,
    uploads: upload::Uploads,
    live: live::Queue,
    tail: Tail,
    attempt: Attempt,
}

impl Keeper {
    fn line(&mut self, line: Line) -> std::io::Result<()> {
        for text in self.redactor.take(line.stream, line.text) {
            self.text(line.stream, &text)?;
        }
        Ok(())
    }

    fn text(&mut self, stream: Stream, text: &str) -> std::io::Result<()> {
        let number = self.uploads.append(stream, text)?;
        if stream == Stream::Job {
            self.tail.push(text);
        }
        self.live.offer(self.attempt, stream, number, text);
        Ok(())
    }

    fn obey(&mut self, order: Order) -> std::io::Result<()> {
        match order {
            Order::Begin(attempt) => {
                self.attempt = attempt;
                self.tail.clear();
                self.uploads.begin(attempt)?;
            }
            Order::Learn(secret) => self.redactor.learn(&secret),
            Order::Settle(done) => {
                self.uploads.written()?;
                // Whoever asked may have given up waiting.
                let _ = done.send(());
            }
            Order::Flush(done) => {
                for (stream, text) in self.redactor.finish() {
                    self.text(stream, &text)?;
                }
                self.uploads.flush(done)?;
            }
        }
        Ok(())
    }
}
