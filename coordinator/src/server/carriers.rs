//! Streams on which the master of a run waits for requests to the pages of its engine, and for connections to a job that is
//! a session.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use mayfly_proto::v1::carry_up::What;
use mayfly_proto::v1::{CarryDown, CarryHead, CarryUp};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// Streams of a run that wait at one time.
const WAITING_MAX: usize = 16;
/// Requests of a run under way at one time, those that wait for a stream among them.
const ASKED_MAX: usize = 64;
/// How long a request waits for a stream: its master may be about to connect.
const STREAM_LIMIT: Duration = Duration::from_secs(10);
/// Until the head of an answer.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// Until the end of an answer.
const WHOLE_LIMIT: Duration = Duration::from_secs(120);
/// Largest answer, in bytes.
const BODY_MAX: usize = 64 << 20;

/// What a waiting node is sent.
pub(crate) type Down = ReceiverStream<Result<CarryDown, Status>>;

/// A stream that waits.
#[derive(Debug)]
struct Carrier {
    down: mpsc::Sender<Result<CarryDown, Status>>,
    up: Streaming<CarryUp>,
}

/// Those of a run.
#[derive(Debug)]
pub struct Carriers {
    waiting: Mutex<VecDeque<Carrier>>,
    more: Notify,
    asked: Semaphore,
}

/// Why a page of an engine cannot be shown, or its session not be used.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// Nobody waits for requests.
    #[error("the master is not connected for this now: it may be about to start, or to end")]
    Nobody,
    /// Too many at once.
    #[error("too many pages of this run are asked for at one time")]
    Busy,
    /// The node says why.
    #[error("it cannot be reached on its node: {0}")]
    Failed(String),
    /// It took too long.
    #[error("it did not answer in time")]
    Slow,
    /// The connection broke.
    #[error("the connection to the node broke: {0}")]
    Broken(String),
}

/// Its answer begins with this.
pub struct Answered<B> {
    /// Status and headers.
    pub head: CarryHead,
    /// What follows.
    pub body: B,
}

impl Default for Carriers {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            more: Notify::new(),
            asked: Semaphore::new(ASKED_MAX),
        }
    }
}

impl Carriers {
    /// Holders only move values, so a poisoned lock still guards sound ones.
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Carrier>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a stream that waits; `None` when there are enough.
    pub fn offer(&self, up: Streaming<CarryUp>) -> Option<Down> {
        let (down, receiver) = mpsc::channel(1);
        let mut waiting = self.waiting();
        waiting.retain(|carrier| !carrier.down.is_closed());
        if waiting.len() >= WAITING_MAX {
            return None;
        }
        waiting.push_back(Carrier { down, up });
        drop(waiting);
        self.more.notify_one();
        Some(ReceiverStream::new(receiver))
    }

    async fn take(&self) -> Carrier {
        loop {
            let found = self.waiting().pop_front();
            match found {
                Some(carrier) if !carrier.down.is_closed() => return carrier,
                Some(_) => {}
                None => self.more.notified().await,
            }
        }
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// Nobody answers, or the node says that it cannot.
    pub async fn ask(
        &self,
        request: &CarryDown,
    ) -> Result<Answered<impl Stream<Item = Result<Bytes, CarryError>> + Send + use<>>, CarryError> {
        let (head, carrier) = self.answered(request).await?;
        Ok(Answered {
            head,
            body: page(carrier, Instant::now() + WHOLE_LIMIT),
        })
    }

    /// Connects to the session that the run's job is: where what goes to it is sent, and what comes from it.
    ///
    /// # Errors
    /// Nobody answers, or there is no session yet, or no more.
    pub async fn connect(&self) -> Result<(ToSession, FromSession), CarryError> {
        let wanted = CarryDown {
            session: true,
            ..CarryDown::default()
        };
        let (_, carrier) = self.answered(&wanted).await?;
        Ok((ToSession(carrier.down.clone()), Box::pin(pieces(carrier))))
    }

    /// Ends that session.
    ///
    /// # Errors
    /// Nobody answers.
    pub(crate) async fn end_session(&self) -> Result<(), CarryError> {
        let wanted = CarryDown {
            end_session: true,
            ..CarryDown::default()
        };
        self.answered(&wanted).await.map(drop)
    }

    /// A stream on which the request was answered.
    async fn answered(&self, request: &CarryDown) -> Result<(CarryHead, Carrier), CarryError> {
        let _asking = self.asked.try_acquire().map_err(|_| CarryError::Busy)?;
        let until = Instant::now() + STREAM_LIMIT;
        loop {
            let mut carrier = timeout_at(until, self.take())
                .await
                .map_err(|_| CarryError::Nobody)?;
            // One whose node has gone meanwhile is passed over, and one that breaks before it has answered: nothing that is
            // asked here does harm when it is asked twice.
            if carrier.down.send(Ok(request.clone())).await.is_err() {
                continue;
            }
            match timeout(HEAD_LIMIT, head(&mut carrier.up)).await {
                Err(_) => return Err(CarryError::Slow),
                Ok(Ok(head)) => return Ok((head, carrier)),
                Ok(Err(CarryError::Broken(_))) if Instant::now() < until => {}
                Ok(Err(error)) => return Err(error),
            }
        }
    }
}

/// What comes from a session, in order.
pub(crate) type FromSession = Pin<Box<dyn Stream<Item = Result<Bytes, CarryError>> + Send>>;

/// The way to a session; it ends when this is dropped.
pub struct ToSession(mpsc::Sender<Result<CarryDown, Status>>);

impl ToSession {
    /// Sends a piece; false when nobody takes it any more.
    pub async fn send(&self, data: Vec<u8>) -> bool {
        let piece = CarryDown {
            data,
            ..CarryDown::default()
        };
        self.0.send(Ok(piece)).await.is_ok()
    }
}

async fn head(up: &mut Streaming<CarryUp>) -> Result<CarryHead, CarryError> {
    match up
        .message()
        .await
        .map_err(broken)?
        .and_then(|message| message.what)
    {
        Some(What::Head(head)) => Ok(head),
        Some(What::Failed(why)) => Err(CarryError::Failed(why)),
        Some(What::Hello(_) | What::Data(_)) | None => {
            Err(CarryError::Broken("it answered out of order".to_owned()))
        }
    }
}

fn broken(status: Status) -> CarryError {
    CarryError::Broken(status.message().to_owned())
}

/// The pieces of a page's body; whoever drops this tells the node to stop.
fn page(carrier: Carrier, until: Instant) -> impl Stream<Item = Result<Bytes, CarryError>> + Send + use<> {
    let body = Box::pin(pieces(carrier));
    futures::stream::try_unfold((body, 0usize), move |(mut body, mut size)| async move {
        let piece = timeout_at(until, body.try_next())
            .await
            .map_err(|_| CarryError::Slow)??;
        let Some(piece) = piece else {
            return Ok(None);
        };
        size += piece.len();
        if size > BODY_MAX {
            return Err(CarryError::Broken("the page is too large".to_owned()));
        }
        Ok(Some((piece, (body, size))))
    })
}

/// What follows the head of an answer. The node sees the end of the stream when all of it has been taken, or when this is
/// dropped.
fn pieces(carrier: Carrier) -> impl Stream<Item = Result<Bytes, CarryError>> + Send + use<> {
    futures::stream::try_unfold(carrier, async |mut carrier| {
        match carrier
            .up
            .message()
            .await
            .map_err(broken)?
            .and_then(|message| message.what)
        {
            None => Ok(None),
            Some(What::Data(data)) => Ok(Some((Bytes::from(data), carrier))),
            Some(What::Failed(why)) => Err(CarryError::Failed(why)),
            Some(What::Hello(_) | What::Head(_)) => {
                Err(CarryError::Broken("it answered out of order".to_owned()))
            }
        }
    })
}
