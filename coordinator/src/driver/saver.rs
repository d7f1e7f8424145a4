//! Makes the record of a run durable: always the latest one, by compare-and-swap.

use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::crash::{self, Point};
use mayfly_kit::layout;
use mayfly_kit::store::{Replaced, Store, StoreError};
use mayfly_proto::RunId;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Context;
use crate::record::RunRecord;

/// Between two tries while the store does not answer.
const RETRY: Duration = Duration::from_secs(1);
/// Between two looks whether the run has been taken over.
const LOOK: Duration = Duration::from_secs(2);
/// How long the end of a run waits for its record at most: longer than a store is away, since nobody else closes it.
const FLUSH: Duration = Duration::from_secs(3_600);

type Pending = Option<(u64, Box<RunRecord>)>;

pub(super) struct Saver {
    latest: watch::Sender<Pending>,
    saved: watch::Receiver<u64>,
    version: u64,
    superseded: CancellationToken,
}

/// Tells when a record is durable.
pub(super) struct Saved {
    version: u64,
    saved: watch::Receiver<u64>,
}

impl Saved {
    /// Waits until the record that was the latest when this was made is durable.
    pub(super) async fn wait(mut self) {
        // The saver ends only with its driver, and then nobody waits.
        let _ended = self.saved.wait_for(|&saved| saved >= self.version).await;
    }
}

impl Saver {
    pub(super) fn start(context: &Arc<Context>, children: &mut JoinSet<()>) -> Self {
        let (latest, pending) = watch::channel(None);
        let (done, saved) = watch::channel(0);
        let superseded = CancellationToken::new();
        children.spawn(keep_saving(
            Arc::clone(context),
            pending,
            done,
            superseded.clone(),
        ));
        Self {
            latest,
            saved,
            version: 0,
            superseded,
        }
    }

    /// Cancelled once another coordinator is seen to write this record.
    pub(super) fn superseded(&self) -> CancellationToken {
        self.superseded.clone()
    }

    pub(super) fn save(&mut self, record: RunRecord) {
        self.version += 1;
        self.latest.send_replace(Some((self.version, Box::new(record))));
    }

    pub(super) fn watcher(&self) -> Saved {
        Saved {
            version: self.version,
            saved: self.saved.clone(),
        }
    }

    /// Whether the latest record is durable.
    pub(super) fn is_idle(&self) -> bool {
        *self.saved.borrow() >= self.version
    }

    pub(super) async fn flush(&self) {
        if timeout(FLUSH, self.watcher().wait()).await.is_err() {
            tracing::error!("the record of the run could not be written; `coordinator gc` mends it");
        }
    }
}

async fn keep_saving(
    context: Arc<Context>,
    mut pending: watch::Receiver<Pending>,
    done: watch::Sender<u64>,
    superseded: CancellationToken,
) {
    let key = layout::record(&context.order.run);
    let mut etag = context.etag.clone();
    while next_change(&context, &mut pending, &superseded).await {
        let Some((version, record)) = pending.borrow_and_update().clone() else {
            continue;
        };
        match serde_json::to_vec_pretty(&*record) {
            Ok(text) => {
                if !save_one(&context.store, &key, text, &mut etag).await {
                    superseded.cancel();
                    // Whoever waits for the record to be durable waits until the driver has stopped.
                    return std::future::pending().await;
                }
            }
            Err(error) => tracing::error!(%error, "the record cannot be written as JSON"),
        }
        done.send_replace(version);
    }
}

/// Waits for a record to save. A coordinator that yields looks meanwhile whether the run has been taken over.
async fn next_change(
    context: &Context,
    pending: &mut watch::Receiver<Pending>,
    superseded: &CancellationToken,
) -> bool {
    loop {
        match timeout(LOOK, pending.changed()).await {
            Ok(changed) => return changed.is_ok(),
            Err(_) if !context.yields => {}
            Err(_) => {
                if let Ok(Some(by)) = claimed(&context.store, &context.order.run).await {
                    tracing::info!(run = %context.order.run, %by, "the run has been taken over");
                    superseded.cancel();
                    return std::future::pending().await;
                }
            }
        }
    }
}

/// The coordinator on the fleet's own master that has taken a run over, if one has.
pub(super) async fn claimed(store: &Store, run: &RunId) -> Result<Option<String>, StoreError> {
    let object = store.get(&layout::record(run)).await?;
    let record: Option<RunRecord> = object.and_then(|object| serde_json::from_slice(&object.bytes).ok());
    Ok(record
        .map(|record| record.coordinator)
        .filter(|by| !by.is_empty()))
}

/// False when somebody else writes this record: two coordinators own one run, and this one stops writing.
async fn save_one(store: &Store, key: &str, text: Vec<u8>, etag: &mut String) -> bool {
    loop {
        let put = store.replace(key, text.clone(), etag);
        match crash::around(Point::RecordSave, put).await {
            Ok(Replaced::Yes(new)) => {
                *etag = new;
                return true;
            }
            Ok(Replaced::Conflict) => match store.get(key).await {
                // Our own write whose reply was lost.
                Ok(Some(object)) if object.bytes == text => {
                    *etag = object.etag;
                    return true;
                }
                Ok(_) => {
                    tracing::warn!(
                        key,
                        "another coordinator has taken the run over; this one lets go of it"
                    );
                    return false;
                }
                Err(error) => tracing::warn!(%error, key, "cannot read the record back"),
            },
            Err(error) => tracing::warn!(%error, key, "cannot save the record; trying again"),
        }
        sleep(RETRY).await;
    }
}
