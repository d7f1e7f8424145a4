//! Keeps the machines as wanted and looks at them, on a period and on a nudge: the retry is the next round.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_proto::NodeId;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::{Context, Message};
use crate::cloud::CloudError;
use crate::run::{Event, Run, Stage, Wanted};

/// What is to be done about the machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task {
    /// Nothing yet: no killer is armed.
    Idle,
    /// Keep so many until then at the latest, and end those that hang.
    Keep(Wanted, Vec<NodeId>, Timestamp),
    /// To zero, and look until none is left.
    Release,
    /// The run is closed.
    Stop,
}

impl Task {
    /// `end` is when no machine may be there any more, whatever happens.
    pub(super) fn of(run: &Run, now: Duration, end: Timestamp) -> Self {
        match run.stage {
            Stage::Accepted => Self::Idle,
            Stage::Arming
            | Stage::Forming { .. }
            | Stage::Working { .. }
            | Stage::Collecting { .. }
            | Stage::Held { .. } => match run.wanted() {
                none if none == Wanted::default() => Self::Idle,
                wanted => Self::Keep(wanted, run.condemned(now), end),
            },
            Stage::Releasing { .. } | Stage::Closed => Self::Release,
        }
    }
}

pub(super) async fn keep(
    context: Arc<Context>,
    mut task: watch::Receiver<Task>,
    outbox: mpsc::Sender<Message>,
) {
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
            Task::Keep(..) | Task::Release => {
                if round(&context, &now, &outbox).await.is_err() {
                    return;
                }
            }
        }
        // A change is a nudge, silence a period; that the sender is gone is seen at the next send.
        let _nudge = timeout(period, task.changed()).await;
    }
}

async fn keep_at(
    context: &Context,
    wanted: Wanted,
    condemned: &[NodeId],
    end: Timestamp,
) -> Result<(), CloudError> {
    for node in condemned {
        context.cloud.end(&context.order.run, node).await?;
    }
    context.cloud.keep(&context.order.run, wanted, end).await
}

/// Fails only when the owner of the run is gone.
async fn round(
    context: &Context,
    task: &Task,
    outbox: &mpsc::Sender<Message>,
) -> Result<(), mpsc::error::SendError<Message>> {
    let run = &context.order.run;
    let done = match task {
        Task::Keep(wanted, condemned, end) => keep_at(context, *wanted, condemned, *end).await,
        Task::Release => context.cloud.release(run).await,
        Task::Idle | Task::Stop => Ok(()),
    };
    match done {
        Ok(()) => {}
        Err(CloudError::Permanent(reason)) if *task != Task::Release => {
            outbox.send(Message::Done(Event::CloudFailed(reason))).await?;
        }
        Err(error) => {
            tracing::warn!(%run, %error, source = ?std::error::Error::source(&error), "the cloud failed; trying again");
            // A group that is left may start machines: that none is seen proves nothing.
            if *task == Task::Release {
                return Ok(());
            }
        }
    }
    match context.cloud.observe(run).await {
        Ok(sight) => {
            let released = *task == Task::Release;
            outbox.send(Message::Looked { sight, released }).await
        }
        Err(error) => {
            tracing::warn!(%run, %error, "cannot look at the machines; trying again");
            Ok(())
        }
    }
}
