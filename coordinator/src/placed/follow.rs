//! A run that is driven from elsewhere, as the store shows it.

use std::collections::HashSet;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use mayfly_kit::layout;
use mayfly_kit::store::{Store, StoreError};
use mayfly_proto::v1::{LogBatch, Phase, Role, RunView};
use mayfly_proto::{Attempt, NodeId, RunId};
use prost::Message as _;
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant, MissedTickBehavior, interval};

use super::SILENCE;
use super::wish::Wish;
use crate::driver::{Message, Seat};
use crate::logs::stored::{self, ChunkError};
use crate::record::{PhaseName, RunRecord};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);
/// A receipt is there and its machine is not gone yet: it gets this long before the rest is ended from here.
const LAST_ACT: Duration = Duration::from_secs(4);
/// An end travels as the time that is left: clocks and looks take some of it.
const EXTEND_SLACK: Duration = Duration::from_secs(10);

/// How following a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The run is closed: another command did it.
    Closed,
    /// Its coordinator is gone, or has done all that it can: somebody with credentials is to see to the rest.
    TakeOver,
}

/// Follows one run.
pub(crate) struct Follower<'a> {
    store: &'a Store,
    run: &'a RunId,
    seat: &'a mut Seat,
    view: RunView,
    /// ETags of view and record as they were last seen, and since when they have been so.
    seen: (String, String),
    since: Instant,
    /// Since when the receipt has been there.
    receipt_since: Option<Instant>,
    shown: HashSet<String>,
    lines: u64,
    /// Who waits for which end.
    extending: Vec<(Timestamp, oneshot::Sender<bool>)>,
}

impl<'a> Follower<'a> {
    /// Makes no request.
    pub(crate) fn new(store: &'a Store, run: &'a RunId, seat: &'a mut Seat) -> Self {
        Self {
            store,
            run,
            seat,
            view: RunView::default(),
            seen: Default::default(),
            since: Instant::now(),
            receipt_since: None,
            shown: HashSet::new(),
            lines: 0,
            extending: Vec::new(),
        }
    }

    /// Shows the run, and passes on what is asked, until there is nobody left to follow.
    pub(crate) async fn until_the_end(mut self) -> End {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => match self.look().await {
                    Ok(None) => {}
                    Ok(Some(end)) => return end,
                    // What cannot be read is no evidence of anything.
                    Err(error) => {
                        tracing::warn!(run = %self.run, %error, "cannot see how the run is; trying again");
                        self.since = Instant::now();
                    }
                },
                message = self.seat.next() => self.ask(message).await,
            }
        }
    }

    async fn ask(&mut self, message: Message) {
        match Wish::ask(self.store, self.run, &message).await {
            Ok(wish) => {
                if let (Message::Extend(_, reply), Some(until)) = (message, wish.until) {
                    self.extending.push((until, reply));
                }
            }
            Err(error) => {
                tracing::error!(run = %self.run, %error, "what was asked could not be written into the store: ask again");
            }
        }
    }

    /// Answers those who asked for a later end, once the record has it.
    fn answer(&mut self, record: &RunRecord) {
        let there = |until: &Timestamp| record.deadline + EXTEND_SLACK >= *until;
        for (_, reply) in self.extending.extract_if(.., |(until, _)| there(until)) {
            // Whoever asked may have gone.
            let _gone = reply.send(true);
        }
    }

    async fn look(&mut self) -> Result<Option<End>, StoreError> {
        let Some(object) = self.store.get(&layout::record(self.run)).await? else {
            return Ok(None);
        };
        let Ok(record) = serde_json::from_slice::<RunRecord>(&object.bytes) else {
            return Ok(None);
        };
        let view = self.store.get(&layout::view(self.run)).await?;
        let view_tag = view.as_ref().map(|view| view.etag.clone()).unwrap_or_default();
        let seen = (object.etag, view_tag);
        if seen != self.seen {
            (self.seen, self.since) = (seen, Instant::now());
            if let Some(view) = view.and_then(|view| RunView::decode(view.bytes).ok()) {
                self.view = view;
            }
        }
        self.answer(&record);
        self.output(&record).await?;
        let end = self.judge(&record).await?;
        if end != Some(End::Closed) {
            self.seat.show(self.view.clone());
        }
        Ok(end)
    }

    async fn judge(&mut self, record: &RunRecord) -> Result<Option<End>, StoreError> {
        if record.is_closed() {
            self.close(record).await?;
            return Ok(Some(End::Closed));
        }
        let releasing = record.phases.last().map(|mark| mark.phase) == Some(PhaseName::Releasing);
        if releasing && self.receipt().await?.is_some() {
            let since = *self.receipt_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= LAST_ACT {
                return Ok(Some(End::TakeOver));
            }
        }
        Ok((self.since.elapsed() >= SILENCE).then_some(End::TakeOver))
    }

    async fn receipt(&self) -> Result<Option<String>, StoreError> {
        let found = self.store.get(&layout::receipt(self.run)).await?;
        Ok(found.map(|object| String::from_utf8_lossy(&object.bytes).into_owned()))
    }

    /// The last view of a run that another command has closed.
    async fn close(&mut self, record: &RunRecord) -> Result<(), StoreError> {
        self.view.run_id = record.run.to_string();
        self.view.set_phase(Phase::Closed);
        self.view.receipt_json = self.receipt().await?.unwrap_or_default();
        self.seat.show(self.view.clone());
        Ok(())
    }

    /// New chunks of the job's output, in their order: only masters have some. The last words of an attempt may come
    /// when the next one has begun.
    async fn output(&mut self, record: &RunRecord) -> Result<(), StoreError> {
        let masters = self.view.nodes.iter().filter(|node| node.role() == Role::Master);
        let masters: Vec<NodeId> = masters.filter_map(|node| node.node_id.parse().ok()).collect();
        let now = record.attempt.number();
        for number in now.saturating_sub(1).max(1)..=now {
            let Ok(attempt) = Attempt::try_from(number) else {
                continue;
            };
            for node in &masters {
                self.output_of(node, attempt).await?;
            }
        }
        Ok(())
    }

    async fn output_of(&mut self, node: &NodeId, attempt: Attempt) -> Result<(), StoreError> {
        let prefix = format!("{}{node}/job-", layout::logs(self.run, attempt));
        let keys: Vec<_> = self.store.list(&prefix).try_collect().await?;
        for key in keys.into_iter().map(|entry| entry.key) {
            if !self.shown.contains(&key) {
                self.chunk(&key, node, attempt).await?;
                self.shown.insert(key);
            }
        }
        Ok(())
    }

    async fn chunk(&mut self, key: &str, node: &NodeId, attempt: Attempt) -> Result<(), StoreError> {
        let text = match stored::text(self.store, key).await {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(()),
            Err(ChunkError::Store(error)) => return Err(error),
            Err(ChunkError::Packed { source, .. }) => {
                tracing::warn!(key, %source, "a chunk of the output cannot be unpacked");
                return Ok(());
            }
        };
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let first_line = self.lines;
        self.lines += lines.len() as u64;
        self.seat.output.push(LogBatch {
            node_id: node.to_string(),
            attempt: attempt.number(),
            first_line,
            lines,
            ..LogBatch::default()
        });
        Ok(())
    }
}
