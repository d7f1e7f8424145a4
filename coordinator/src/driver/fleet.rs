//! Keeps the machines as wanted and looks at them, on a period and on a nudge: the retry is the next round.

use std::sync::Arc;

use jiff::Timestamp;
use mayfly_kit::crash::{self, Point};
use mayfly_proto::NodeId;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::saver::claimed;
use super::task::Task;
use super::{Context, Message};
use crate::cloud::CloudError;
use crate::run::{Event, Wanted};

/// Rounds in a row that fail before somebody is told: one may fail at any time.
const TROUBLE_AFTER: u32 = 3;

pub(super) async fn keep(
    context: Arc<Context>,
    mut task: watch::Receiver<Task>,
    outbox: mpsc::Sender<Message>,
) {
    let mut failed = 0;
    loop {
        let now = task.borrow_and_update().clone();
        let pace = context.cloud.pace();
        let period = if now == Task::Release {
            pace.releasing
        } else {
            pace.keeping
        };
        match now {
            Task::Stop => return,
            Task::Idle => {}
            Task::Keep(..) | Task::Release if !may_act(&context).await => {}
            Task::Keep(..) | Task::Release => {
                if round(&context, &now, &mut failed, &outbox).await.is_err() {
                    return;
                }
            }
        }
        // A change is a nudge, silence a period; that the sender is gone is seen at the next send.
        let _nudge = timeout(period, task.changed()).await;
    }
}

/// Whether the machines are still this coordinator's to change. One that yields may have been asleep meanwhile.
async fn may_act(context: &Context) -> bool {
    if !context.yields {
        return true;
    }
    match claimed(&context.store, &context.order.run).await {
        Ok(claimed) => claimed.is_none(),
        Err(error) => {
            tracing::warn!(run = %context.order.run, %error, "cannot see whose the run is; trying again");
            false
        }
    }
}

async fn keep_at(
    context: &Context,
    wanted: Wanted,
    condemned: &[NodeId],
    end: Timestamp,
) -> Result<(), CloudError> {
    for node in condemned {
        crash::around(Point::MachineEnd, context.cloud.end(&context.order.run, node)).await?;
    }
    context.cloud.keep(&context.order.run, wanted, end).await
}

/// Fails only when the owner of the run is gone.
async fn round(
    context: &Context,
    task: &Task,
    failed: &mut u32,
    outbox: &mpsc::Sender<Message>,
) -> Result<(), mpsc::error::SendError<Message>> {
    let run = &context.order.run;
    let done = match task {
        Task::Keep(wanted, condemned, end) => keep_at(context, *wanted, condemned, *end).await,
        Task::Release => crash::around(Point::GroupsRelease, context.cloud.release(run)).await,
        Task::Idle | Task::Stop => Ok(()),
    };
    // A group that is left may start machines: that none is seen proves nothing. Looked at they are all the same, since what a
    // group named is waited for until a listing has shown it.
    let released = *task == Task::Release && done.is_ok();
    match done {
        Ok(()) => *failed = 0,
        Err(CloudError::Permanent(reason)) if *task != Task::Release => {
            outbox.send(Message::Done(Event::CloudFailed(reason))).await?;
        }
        Err(error) => {
            *failed += 1;
            if *failed == TROUBLE_AFTER && *task != Task::Release {
                outbox.send(Message::LeaseTrouble(error.to_string())).await?;
            }
            tracing::warn!(%run, %error, source = ?std::error::Error::source(&error), "the cloud failed; trying again");
        }
    }
    match context.cloud.observe(run).await {
        Ok(sight) => outbox.send(Message::Looked { sight, released }).await,
        Err(error) => {
            tracing::warn!(%run, %error, "cannot look at the machines; trying again");
            Ok(())
        }
    }
}
