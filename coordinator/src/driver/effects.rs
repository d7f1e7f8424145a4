//! Effects that wait for something, each a child task that answers with an event.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::crash::{self, Point};
use mayfly_kit::store::{Created, Store, StoreError};
use mayfly_kit::{layout, records};
use mayfly_proto::{Attempt, RunId};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::decide::{Call, Decide, Next, Reply, commit_in};
use super::receipt::Draft;
use super::saver::Saved;
use super::{Context, Message};
use crate::account::history;
use crate::cloud::CloudError;
use crate::record::{PhaseName, Receipt};
use crate::run::{Commit, Event};

/// Between two tries.
const RETRY: Duration = Duration::from_secs(1);
/// How long a receipt is tried to be written; the machines are gone by then, and `gc` writes it later. As long as the
/// record, which waits for the same store: without an answer nobody knows whether there is a commit.
const RECEIPT_LIMIT: Duration = Duration::from_secs(3_600);
/// The same where a machine waits for it.
const LEAVE_LIMIT: Duration = Duration::from_secs(120);
/// How long earlier runs are read.
const HISTORY_LIMIT: Duration = Duration::from_secs(60);

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
        match crash::around(Point::GroupsArm, context.cloud.arm(&context.order)).await {
            Ok(()) => return done(&outbox, Event::Armed(attempt)).await,
            Err(CloudError::Permanent(reason)) => return done(&outbox, Event::CloudFailed(reason)).await,
            Err(error) => tracing::warn!(%error, "cannot arm; trying again"),
        }
        sleep(RETRY).await;
    }
}

/// The job begins once the record says so.
pub(super) async fn begin(saved: Saved, attempt: Attempt, outbox: mpsc::Sender<Message>) {
    saved.wait().await;
    done(&outbox, Event::Begun(attempt)).await;
}

/// How long phases of this job usually take, for whoever watches. Nothing waits for it.
pub(super) async fn look_back(context: Arc<Context>, told: watch::Sender<BTreeMap<PhaseName, f64>>) {
    let job = context.order.job.name.to_string();
    match timeout(
        HISTORY_LIMIT,
        history::of_job(&context.store, &job, history::SOME),
    )
    .await
    {
        Ok(Ok(receipts)) => {
            let mut usual = history::usual(&receipts);
            if context.order.job.code.session.is_some() {
                // As long as somebody likes.
                usual.remove(&PhaseName::Working);
            }
            told.send_replace(usual);
        }
        Ok(Err(error)) => tracing::debug!(%error, job, "earlier runs cannot be read"),
        Err(_) => tracing::debug!(job, "earlier runs take too long to read"),
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
    Ok(commit_in(run, &object.bytes))
}

/// The commit of a run. Without one this attempt will never have one: it is given up in the store, where its master finds
/// that.
///
/// # Errors
/// The store does not answer.
pub(crate) async fn decided(
    store: &Store,
    run: &RunId,
    attempt: Attempt,
) -> Result<Option<records::Commit>, StoreError> {
    let mut next = Decide::begin(run.clone(), attempt);
    loop {
        next = match next {
            Next::Done(commit) => return Ok(commit),
            Next::Ask(question, call) => question.take(ask(store, call).await?),
        };
    }
}

async fn ask(store: &Store, call: Call) -> Result<Reply, StoreError> {
    Ok(match call {
        Call::Get(key) => Reply::Got(store.get(&key).await?.map(|object| object.bytes.into())),
        Call::PutNew(key, bytes) => {
            let put = crash::around(Point::AttemptDecide, store.put_new(&key, bytes));
            Reply::Put(matches!(put.await?, Created::Yes(_)))
        }
    })
}

pub(super) async fn give_up(
    context: Arc<Context>,
    saved: Saved,
    attempt: Attempt,
    outbox: mpsc::Sender<Message>,
) {
    saved.wait().await;
    loop {
        match decided(&context.store, &context.order.run, attempt).await {
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
            Ok((text, commit)) => {
                slot.send_replace(text);
                return done(&outbox, Event::ReceiptWritten(commit)).await;
            }
            Err(error) => tracing::warn!(%run, %error, "cannot write the receipt; trying again"),
        }
        sleep(RETRY).await;
    }
    tracing::error!(%run, "the receipt could not be written; `coordinator gc` writes it when the store answers");
    done(&outbox, Event::ReceiptWritten(None)).await;
}

/// The record and the receipt are written before the machine goes that could write them.
pub(super) async fn leave(context: Arc<Context>, draft: Draft, saved: Saved, outbox: mpsc::Sender<Message>) {
    let run = &context.order.run;
    let began = Instant::now();
    while let Err(error) = try_receipt(&context, &draft).await {
        tracing::warn!(%run, %error, "cannot write the receipt; trying again");
        if began.elapsed() > LEAVE_LIMIT {
            break;
        }
        sleep(RETRY).await;
    }
    // A store that does not answer keeps no machine.
    let _late = timeout(LEAVE_LIMIT, saved.wait()).await;
    while let Err(error) = context.cloud.leave(run).await {
        tracing::warn!(%run, %error, "cannot give this machine back; trying again");
        sleep(RETRY).await;
    }
    if outbox.send(Message::Left).await.is_err() {
        tracing::debug!("the run had ended");
    }
}

/// The receipt as it was written, and the commit that it tells of.
async fn try_receipt(context: &Context, draft: &Draft) -> Result<(String, Option<Commit>), StoreError> {
    // What a node that died had begun to upload is stored by nobody and paid for by somebody.
    let begun = layout::run(&context.order.run);
    crash::around(Point::UploadsAbort, context.store.abort_all(&begun)).await?;
    let commit = decided(&context.store, &context.order.run, draft.attempt()).await?;
    let earlier = earlier_receipt(context).await?;
    let told = draft.told(context).await;
    let receipt = draft.finish(context, commit.as_ref(), earlier.as_ref(), told);
    let text = serde_json::to_string_pretty(&receipt).unwrap_or_default();
    let key = layout::receipt(&context.order.run);
    let put = context.store.put(&key, text.clone().into_bytes());
    crash::around(Point::ReceiptPut, put).await?;
    Ok((text, commit.map(known)))
}

/// What the coordinator wrote that lived on the last machine, and did not see that machine go.
async fn earlier_receipt(context: &Context) -> Result<Option<Receipt>, StoreError> {
    let found = context.store.get(&layout::receipt(&context.order.run)).await?;
    Ok(found.and_then(|object| serde_json::from_slice(&object.bytes).ok()))
}

/// A commit as the run knows it.
pub(crate) fn known(commit: records::Commit) -> Commit {
    Commit {
        attempt: commit.attempt,
        exit_code: commit.exit_code,
        cause: commit.cause,
    }
}
