//! Streams on which the master of a run waits for requests to the pages of its engine, and for connections to a job that is
//! a session.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use http::StatusCode;
use mayfly_kit::tunnel;
use mayfly_proto::v1::carry_up::What;
use mayfly_proto::v1::{CarryDown, CarryHead, CarryUp};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// Streams of a run that wait at one time.
const WAITING_MAX: usize = 16;
/// Requests of a run under way at one time, those that wait for a stream among them.
const ASKED_MAX: usize = 64;
/// WebSockets of a run's pages at one time. Each is a stream of the connection on which the master reports, too.
const SOCKETS_MAX: usize = 16;
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
    sockets: Arc<Semaphore>,
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
    /// Too many WebSockets.
    #[error("{SOCKETS_MAX} WebSockets to the pages of this run are open: close pages that nobody looks at")]
    Crowded,
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

/// What came of asking for a WebSocket.
pub(crate) enum Opened<B> {
    /// There is one.
    Socket(Socket),
    /// The engine answers with a page: it has none there, or not for this page.
    Page(Answered<B>),
}

impl Default for Carriers {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            more: Notify::new(),
            asked: Semaphore::new(ASKED_MAX),
            sockets: Arc::new(Semaphore::new(SOCKETS_MAX)),
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

    /// Asks for a WebSocket of a page.
    ///
    /// # Errors
    /// Nobody answers, or the node says that it cannot; there are too many.
    pub(crate) async fn open(
        &self,
        request: &CarryDown,
    ) -> Result<Opened<impl Stream<Item = Result<Bytes, CarryError>> + Send + use<>>, CarryError> {
        let place = Arc::clone(&self.sockets).try_acquire_owned();
        let place = place.map_err(|_| CarryError::Crowded)?;
        let (head, carrier) = self.answered(request).await?;
        if head.status != u32::from(StatusCode::SWITCHING_PROTOCOLS.as_u16()) {
            let body = page(carrier, Instant::now() + WHOLE_LIMIT);
            return Ok(Opened::Page(Answered { head, body }));
        }
        Ok(Opened::Socket(Socket {
            head,
            carrier,
            _place: place,
        }))
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
        let Carrier { down, up } = carrier;
        Ok((ToSession(down.clone()), Box::pin(pieces(up, down))))
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

/// A WebSocket of a page, as the engine opened it.
pub(crate) struct Socket {
    /// How the engine answered.
    pub(crate) head: CarryHead,
    carrier: Carrier,
    _place: OwnedSemaphorePermit,
}

impl Socket {
    /// Carries what goes and comes until either side has enough.
    pub(crate) async fn carry(self, browser: impl AsyncRead + AsyncWrite + Send + 'static) {
        let Carrier { down, up } = self.carrier;
        // The node is told when the browser ends it, though it may still have something to say.
        let from_engine = Box::pin(pieces(up, ()));
        tunnel::join(browser, from_engine, down, |data| {
            Ok(CarryDown {
                data,
                ..CarryDown::default()
            })
        })
        .await;
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
    let body = Box::pin(pieces(carrier.up, carrier.down));
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

/// What follows the head of an answer. With the `way` back, the node sees the end of that when all of it has been taken, or
/// when this is dropped.
fn pieces<W: Send>(
    up: Streaming<CarryUp>,
    way: W,
) -> impl Stream<Item = Result<Bytes, CarryError>> + Send + use<W> {
    futures::stream::try_unfold((up, way), async |(mut up, way)| {
        match up
            .message()
            .await
            .map_err(broken)?
            .and_then(|message| message.what)
        {
            None => Ok(None),
            Some(What::Data(data)) => Ok(Some((Bytes::from(data), (up, way)))),
            Some(What::Failed(why)) => Err(CarryError::Failed(why)),
            Some(What::Hello(_) | What::Head(_)) => {
                Err(CarryError::Broken("it answered out of order".to_owned()))
            }
        }
    })
}
