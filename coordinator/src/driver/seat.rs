//! Where the owner of a run sits: what others ask comes in here, and what they see goes out. It outlives its owner, so
//! that those who watch see no break when a run changes hands.

use std::sync::Arc;

use mayfly_proto::v1;
use tokio::sync::{mpsc, watch};

use super::Message;
use crate::logs::Output;

/// Messages that wait for the owner of a run at most; senders wait beyond that.
const QUEUE: usize = 1_024;

/// What others see of a run.
#[derive(Debug, Clone)]
pub struct Handle {
    /// To its owner.
    pub messages: mpsc::Sender<Message>,
    /// Its projection for people.
    pub view: watch::Receiver<v1::RunView>,
    /// The job's output.
    pub output: Arc<Output>,
}

/// The other ends of a [`Handle`].
#[derive(Debug)]
pub struct Seat {
    inbox: mpsc::Receiver<Message>,
    outbox: mpsc::Sender<Message>,
    view: watch::Sender<v1::RunView>,
    /// The job's output.
    pub output: Arc<Output>,
}

impl Seat {
    /// A seat that nobody has taken, and the handle to it.
    #[must_use]
    pub fn new() -> (Self, Handle) {
        let (outbox, inbox) = mpsc::channel(QUEUE);
        let (view, watch_view) = watch::channel(v1::RunView::default());
        let output = Arc::<Output>::default();
        let handle = Handle {
            messages: outbox.clone(),
            view: watch_view,
            output: Arc::clone(&output),
        };
        let seat = Self {
            inbox,
            outbox,
            view,
            output,
        };
        (seat, handle)
    }

    pub(super) fn outbox(&self) -> mpsc::Sender<Message> {
        self.outbox.clone()
    }

    /// What is asked next. One sender is kept here, so that the queue never ends.
    pub(crate) async fn next(&mut self) -> Message {
        match self.inbox.recv().await {
            Some(message) => message,
            None => std::future::pending().await,
        }
    }

    /// Shows this from now on.
    pub(crate) fn show(&self, view: v1::RunView) {
        self.view.send_if_modified(|shown| {
            let changed = *shown != view;
            *shown = view;
            changed
        });
    }
}
