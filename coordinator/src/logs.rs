//! The job's output as it comes, for those who watch: the last lines, in memory. The durable copy is in the store, in chunks.

pub mod stored;

use std::collections::{HashMap, VecDeque};
use std::io::Read as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::read::MultiGzDecoder;
use mayfly_proto::v1::LogBatch;
use tokio::sync::watch;

/// Lines kept for whoever comes late; a watcher that is slower than this misses lines and is told so.
const LINES_MAX: usize = 20_000;
/// Largest chunk of the store, compressed and as text, in bytes.
pub(crate) const CHUNK_MAX: u64 = 64 << 20;
/// Lines in one batch to a watcher.
const BATCH_MAX: usize = 500;

#[derive(Debug, Clone)]
struct Line {
    node: String,
    attempt: u32,
    text: String,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Line>,
    first: u64,
    /// Lines taken of each stream, so that a batch that is sent again is not shown again.
    taken: HashMap<(String, u32), u64>,
}

/// The last lines of one run's output.
#[derive(Debug)]
pub struct Output {
    ring: Mutex<Ring>,
    end: watch::Sender<u64>,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            ring: Mutex::default(),
            end: watch::Sender::new(0),
        }
    }
}

impl Output {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a batch of the job's output. Where the numbers of its lines tell that some did not come, it says so.
    pub fn push(&self, batch: LogBatch) {
        let mut ring = self.ring();
        let taken = ring
            .taken
            .entry((batch.node_id.clone(), batch.attempt))
            .or_default();
        let known = usize::try_from(taken.saturating_sub(batch.first_line)).unwrap_or(usize::MAX);
        let mut fresh: VecDeque<String> = batch.lines.into_iter().skip(known).collect();
        // The number of a line is the node's word: it may be as large as a number gets.
        let end = batch
            .first_line
            .saturating_add((known.saturating_add(fresh.len())) as u64);
        let missing = batch.first_line.saturating_sub(*taken);
        *taken = (*taken).max(end);
        if fresh.is_empty() {
            return;
        }
        if missing > 0 {
            fresh.push_front(format!("[{missing} lines not shown here; the store has them]"));
        }
        for text in fresh {
            ring.lines.push_back(Line {
                node: batch.node_id.clone(),
                attempt: batch.attempt,
                text,
            });
        }
        while ring.lines.len() > LINES_MAX {
            ring.lines.pop_front();
            ring.first += 1;
        }
        let end = ring.first + ring.lines.len() as u64;
        drop(ring);
        self.end.send_replace(end);
    }

    /// Number of the line after the last one, whenever it changes.
    #[must_use]
    pub fn end(&self) -> watch::Receiver<u64> {
        self.end.subscribe()
    }

    /// Lines from number `from` on: those of one node and attempt, at most a batch. `None` when there are none.
    #[must_use]
    pub fn read(&self, from: u64) -> Option<LogBatch> {
        let ring = self.ring();
        let first = from.max(ring.first);
        let skip = usize::try_from(first - ring.first).unwrap_or(usize::MAX);
        let head = ring.lines.get(skip)?;
        let same = |line: &&Line| line.node == head.node && line.attempt == head.attempt;
        let lines = ring
            .lines
            .iter()
            .skip(skip)
            .take_while(same)
            .take(BATCH_MAX)
            .map(|line| line.text.clone());
        Some(LogBatch {
            run_id: String::new(),
            node_id: head.node.clone(),
            attempt: head.attempt,
            first_line: first,
            stream: "job".into(),
            lines: lines.collect(),
        })
    }
}

/// The text of a chunk of the store, up to [`CHUNK_MAX`].
pub(crate) fn unpack(bytes: &[u8]) -> std::io::Result<String> {
    let mut text = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(CHUNK_MAX)
        .read_to_end(&mut text)?;
    // A whole chunk is large: it is copied only where it is no text.
    Ok(
        String::from_utf8(text)
            .unwrap_or_else(|other| String::from_utf8_lossy(other.as_bytes()).into_owned()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first_line: u64, lines: &[&str]) -> LogBatch {
        let lines = lines.iter().map(ToString::to_string).collect();
        LogBatch {
            node_id: "master-1".into(),
            attempt: 1,
            first_line,
            lines,
            ..LogBatch::default()
        }
    }

    #[test]
    fn a_batch_that_is_sent_again_is_not_shown_again() {
        let output = Output::default();
        output.push(batch(0, &["a", "b"]));
        output.push(batch(0, &["a", "b"]));
        output.push(batch(1, &["b", "c"]));
        assert_eq!(output.read(0).unwrap().lines, ["a", "b", "c"]);
        assert!(output.read(3).is_none());
        assert_eq!(*output.end().borrow(), 3);
    }

    #[test]
    fn a_number_of_a_line_may_be_any_number() {
        let output = Output::default();
        output.push(batch(u64::MAX, &["a", "b"]));
        output.push(batch(0, &["c"]));
        output.push(batch(u64::MAX - 1, &["d"]));
        let shown = output.read(0).unwrap().lines;
        assert_eq!(shown[1..], ["a", "b"]);
    }

    #[test]
    fn lines_that_did_not_come_are_told_and_the_next_ones_are_shown() {
        let output = Output::default();
        output.push(batch(0, &["a"]));
        output.push(batch(8, &["i"]));
        output.push(batch(9, &["j"]));
        let note = "[7 lines not shown here; the store has them]";
        assert_eq!(output.read(0).unwrap().lines, ["a", note, "i", "j"]);
    }

    #[test]
    fn memory_is_bounded_and_a_late_reader_begins_at_what_is_left() {
        let output = Output::default();
        let many = vec!["x"; LINES_MAX + 10];
        output.push(batch(0, &many));
        assert_eq!(output.read(0).unwrap().first_line, 10);
    }
}
