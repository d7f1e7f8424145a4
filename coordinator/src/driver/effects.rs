//! Effects that wait for something, each a child task that answers with an event.

use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::store::{Store, StoreError};
use mayfly_kit::{layout, records};
use mayfly_proto::{Attempt, RunId};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::receipt::Draft;
use super::saver::Saved;
use super::{Context, Message};
use crate::cloud::CloudError;
use crate::run::{Commit, Event};

/// Between two tries.
const RETRY: Duration = Duration::from_secs(1);
/// How long a receipt is tried to be written; the machines are gone by then, and `gc` writes it later.
const RECEIPT_LIMIT: Duration = Duration::from_secs(120);

async fn done(outbox: &mpsc::Sender<Message>, event: Event) {
    if outbox.send(Message::Done(event)).await.is_err() {
        tracing::debug!("an effect was done after its run had ended");
    }
}

/// The killer exists before the first machine, and the record of the attempt before its killer.
pub(super) async fn arm(
    context: Arc<Context>,
    saved: Saved,
    attempt: Attempt,
    outbox: mpsc::Sender<Message>,
) {
    saved.wait().await;
    loop {
        match context.cloud.arm(&context.order).await {
            Ok(()) => return done(&outbox, Event::Armed(attempt)).await,
            Err(CloudError::Permanent(reason)) => return done(&outbox, Event::CloudFailed(reason)).await,
            Err(error) => tracing::warn!(%error, "cannot arm; trying again"),
        }
        sleep(RETRY).await;
    }
}

/// Reads the commit of a run; `None` when there is none.
///
/// # Errors
/// The store does not answer, or what it holds there is not a commit.
pub async fn commit_of(store: &Store, run: &RunId) -> Result<Option<records::Commit>, StoreError> {
    let Some(object) = store.get(&layout::commit(run)).await? else {
        return Ok(None);
    };
    match serde_json::from_slice::<records::Commit>(&object.bytes) {
        Ok(commit) if commit.run == *run => Ok(Some(commit)),
        Ok(commit) => {
            tracing::error!(%run, other = %commit.run, "the commit in this run's folder is of another run: ignored");
            Ok(None)
        }
        Err(error) => {
            tracing::error!(%run, %error, "what is stored as the commit of this run is not one: ignored");
            Ok(None)
        }
    }
}

pub(super) async fn read_commit(context: Arc<Context>, outbox: mpsc::Sender<Message>) {
    loop {
        match commit_of(&context.store, &context.order.run).await {
            Ok(found) => return done(&outbox, Event::CommitRead(found.map(known))).await,
            Err(error) => tracing::warn!(%error, "cannot ask for the commit; trying again"),
        }
        sleep(RETRY).await;
    }
}

pub(super) async fn write_receipt(
    context: Arc<Context>,
    draft: Draft,
    slot: watch::Sender<String>,
    outbox: mpsc::Sender<Message>,
) {
    let began = Instant::now();
    let run = &context.order.run;
    while began.elapsed() < RECEIPT_LIMIT {
        match try_receipt(&context, &draft).await {
            Ok(text) => {
                slot.send_replace(text);
                return done(&outbox, Event::ReceiptWritten).await;
            }
            Err(error) => tracing::warn!(%run, %error, "cannot write the receipt; trying again"),
        }
        sleep(RETRY).await;
    }
    tracing::error!(%run, "the receipt could not be written; `coordinator gc` writes it when the store answers");
    done(&outbox, Event::ReceiptWritten).await;
}

async fn try_receipt(context: &Context, draft: &Draft) -> Result<String, StoreError> {
    // What a node that died had begun to upload is stored by nobody and paid for by somebody.
    context.store.abort_all(&layout::run(&context.order.run)).await?;
    let commit = commit_of(&context.store, &context.order.run).await?;
    let receipt = draft.finish(context, commit.as_ref());
    let text = serde_json::to_string_pretty(&receipt).unwrap_or_default();
    context
        .store
        .put(&layout::receipt(&context.order.run), text.clone().into_bytes())
        .await?;
    Ok(text)
}

/// A commit as the run knows it.
pub(crate) fn known(commit: records::Commit) -> Commit {
    Commit {
        attempt: commit.attempt,
        exit_code: commit.exit_code,
        cause: commit.cause,
    }
}
