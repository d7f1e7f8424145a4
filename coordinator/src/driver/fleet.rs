//! Keeps the machines as wanted and looks at them, on a period and on a nudge: the retry is the next round.

use std::sync::Arc;
use std::time::Duration;

use mayfly_proto::NodeId;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::{Context, Message};
use crate::cloud::CloudError;
use crate::run::{Event, Run, Stage, Wanted};

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(500);
/// The same while the run is released and somebody waits.
const PERIOD_RELEASING: Duration = Duration::from_millis(50);

/// What is to be done about the machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task {
    /// Nothing yet: no killer is armed.
    Idle,
    /// Keep so many, and end those that hang.
    Keep(Wanted, Vec<NodeId>),
    /// To zero, and look until none is left.
    Release,
    /// The run is closed.
    Stop,
}

impl Task {
    pub(super) fn of(run: &Run, now: Duration) -> Self {
        match run.stage {
            Stage::Accepted => Self::Idle,
            Stage::Arming
            | Stage::Forming { .. }
            | Stage::Working { .. }
            | Stage::Collecting { .. }
            | Stage::Held { .. } => match run.wanted() {
                Wanted {
                    masters: 0,
                    workers: 0,
                } => Self::Idle,
                wanted => Self::Keep(wanted, run.condemned(now)),
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
        let period = if now == Task::Release {
            PERIOD_RELEASING
        } else {
            PERIOD
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

async fn keep_at(context: &Context, wanted: Wanted, condemned: &[NodeId]) -> Result<(), CloudError> {
    for node in condemned {
        context.cloud.end(&context.order.run, node).await?;
    }
    context.cloud.scale(&context.order.run, wanted).await
}

/// Fails only when the owner of the run is gone.
async fn round(
    context: &Context,
    task: &Task,
    outbox: &mpsc::Sender<Message>,
) -> Result<(), mpsc::error::SendError<Message>> {
    let run = &context.order.run;
    let done = match task {
        Task::Keep(wanted, condemned) => keep_at(context, *wanted, condemned).await,
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
        }
    }
    match context.cloud.observe(run).await {
        Ok(machines) => outbox.send(Message::Machines(machines)).await,
        Err(error) => {
            tracing::warn!(%run, %error, "cannot look at the machines; trying again");
            Ok(())
        }
    }
}
