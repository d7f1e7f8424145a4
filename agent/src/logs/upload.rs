//! Uploads the spool files in chunks, one request at a time, for as long as it takes.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use mayfly_kit::backoff::{Backoff, Policy, jitter};
use mayfly_kit::crash::{self, Point};
use mayfly_kit::layout;
use mayfly_kit::store::{Store, StoreError};
use mayfly_proto::{Attempt, NodeId, RunId};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::reserve::Reserve;
use super::spool::{CHUNK_MAX, Chunk, Spool};
use crate::supervise::Stream;

/// A line waits no longer than this for its chunk.
const EVERY: Duration = Duration::from_secs(5);
const RETRY: Policy = Policy {
    base: Duration::from_millis(500),
    cap: Duration::from_secs(15),
    budget: Duration::MAX,
};

/// Where chunks go.
#[derive(Clone)]
pub struct Place {
    /// The store.
    pub store: Store,
    /// The run.
    pub run: RunId,
    /// The node.
    pub node: NodeId,
}

type Key = (Attempt, &'static str);

/// Somebody who waits until what there was when he asked is in the store.
struct Flush {
    until: Vec<(Key, u64)>,
    done: oneshot::Sender<()>,
}

/// All spools of the node and their way to the store.
pub(super) struct Uploads {
    folder: PathBuf,
    place: watch::Receiver<Option<Place>>,
    attempt: Attempt,
    spools: BTreeMap<Key, Spool>,
    reserve: Reserve,
    due: Option<Instant>,
    /// At most one request at a time.
    sending: JoinSet<Sent>,
    flushing: Vec<Flush>,
    waits: Backoff<fn() -> u64>,
    not_before: Instant,
}

impl Uploads {
    pub(super) fn new(folder: PathBuf, place: watch::Receiver<Option<Place>>) -> Self {
        Self {
            folder,
            place,
            attempt: Attempt::FIRST,
            spools: BTreeMap::new(),
            reserve: Reserve::default(),
            due: None,
            sending: JoinSet::new(),
            flushing: Vec::new(),
            waits: Backoff::new(RETRY, jitter),
            not_before: Instant::now(),
        }
    }

    /// What a process before this one has left of the attempt is uploaded with what comes.
    pub(super) fn begin(&mut self, attempt: Attempt) -> io::Result<()> {
        self.attempt = attempt;
        for stream in Stream::ALL {
            if self.path(stream).exists() {
                self.open(stream)?;
            }
        }
        self.written()
    }

    fn path(&self, stream: Stream) -> PathBuf {
        let name = format!("attempt-{}-{}.log", self.attempt, stream.as_str());
        self.folder.join(name)
    }

    fn open(&mut self, stream: Stream) -> io::Result<()> {
        let key = (self.attempt, stream.as_str());
        if !self.spools.contains_key(&key) {
            std::fs::create_dir_all(&self.folder)?;
            if self.spools.is_empty() {
                self.reserve.take(&self.folder);
            }
            self.spools.insert(key, Spool::open(&self.path(stream))?);
        }
        Ok(())
    }

    pub(super) fn append(&mut self, stream: Stream, text: &str) -> io::Result<u64> {
        let key = (self.attempt, stream.as_str());
        self.open(stream)?;
        self.spools
            .get_mut(&key)
            .map_or(Ok(0), |spool| spool.append(text, &mut self.reserve))
    }

    /// Lines have been appended.
    pub(super) fn written(&mut self) -> io::Result<()> {
        let mut most = 0;
        for spool in self.spools.values_mut() {
            spool.flush(&mut self.reserve)?;
            most = most.max(spool.waiting());
        }
        if most > 0 {
            let now = Instant::now();
            let due = if most >= CHUNK_MAX as u64 {
                now
            } else {
                now + EVERY
            };
            self.due = Some(self.due.map_or(due, |known| known.min(due)));
        }
        Ok(())
    }

    /// Uploads everything there is now, then answers. What comes meanwhile is not waited for: some of it may be what an
    /// upload itself has to say.
    pub(super) fn flush(&mut self, done: oneshot::Sender<()>) -> io::Result<()> {
        for spool in self.spools.values_mut() {
            spool.close(&mut self.reserve)?;
        }
        let until = self.spools.iter().map(|(key, spool)| (*key, spool.end()));
        self.flushing.push(Flush {
            until: until.collect(),
            done,
        });
        self.due = Some(Instant::now());
        Ok(())
    }

    /// Waits for the next thing to do and does it: begin to upload a chunk, or take note that one is in the store. May
    /// be dropped at any time; the request under way goes on by itself.
    pub(super) async fn work(&mut self) {
        if let Some(sent) = self.sending.join_next().await {
            return self.sent(sent.ok());
        }
        let Some(due) = self.due else {
            return std::future::pending().await;
        };
        sleep_until(due.max(self.not_before)).await;
        let place = self
            .place
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|place| place.clone());
        let Some(place) = place else {
            return std::future::pending().await;
        };
        match self.next() {
            Ok(Some((key, chunk))) => {
                self.sending.spawn(send(place, key, chunk));
            }
            Ok(None) => {
                self.due = None;
                self.answer();
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a spooled log cannot be read"
                );
                self.later();
            }
        }
    }

    fn next(&self) -> io::Result<Option<(Key, Chunk)>> {
        for (key, spool) in &self.spools {
            if let Some(chunk) = spool.next()? {
                return Ok(Some((*key, chunk)));
            }
        }
        Ok(None)
    }

    fn sent(&mut self, sent: Option<Sent>) {
        match sent {
            Some(Sent {
                key,
                chunk,
                result: Ok(()),
            }) => {
                self.waits.reset();
                if let Some(spool) = self.spools.get_mut(&key) {
                    spool.done(&chunk);
                }
                self.answer();
            }
            Some(Sent {
                result: Err(error), ..
            }) => {
                // At debug: this line would itself be a line to upload.
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "logs wait for the store"
                );
                self.later();
            }
            None => self.later(),
        }
    }

    /// Tells those who have waited long enough.
    fn answer(&mut self) {
        let spools = &self.spools;
        let is_sent = |(key, end): &(Key, u64)| spools.get(key).is_none_or(|spool| spool.is_sent(*end));
        for flush in self
            .flushing
            .extract_if(.., |flush| flush.until.iter().all(is_sent))
        {
            // Whoever asked may have given up waiting.
            let _ = flush.done.send(());
        }
    }

    fn later(&mut self) {
        self.not_before = Instant::now() + self.waits.next().unwrap_or(RETRY.cap);
    }
}

struct Sent {
    key: Key,
    chunk: Chunk,
    result: Result<(), StoreError>,
}

async fn send(place: Place, key: Key, chunk: Chunk) -> Sent {
    let (attempt, stream) = key;
    let name = layout::log_chunk(&place.run, attempt, &place.node, stream, chunk.number);
    let put = place.store.put(&name, compress(&chunk.text));
    let result = crash::around(Point::LogPut, put).await;
    Sent { key, chunk, result }
}

fn compress(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default()
}
