//! The way to a session: a port of this machine, each connection to which goes through the coordinator.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures::TryStreamExt as _;
use mayfly_kit::tunnel;
use mayfly_proto::v1::SessionBytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::cli::client::Client;
use crate::cli::failure::Failure;

/// Between two looks whether the session is there.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Pieces that wait to be sent.
const WAITING: usize = 4;

/// The port, before there is a run.
pub(crate) struct Door {
    listener: TcpListener,
    url: String,
}

impl Door {
    /// Takes the port (0: any); `url` has its place for it.
    ///
    /// # Errors
    /// It cannot be had.
    pub(crate) async fn open(port: u16, url: &str) -> Result<Self, Failure> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let taken = |error| Failure::usage(format!("cannot listen at {wanted}: {error}"));
        let listener = TcpListener::bind(wanted).await.map_err(taken)?;
        let port = listener.local_addr().map_err(taken)?.port();
        Ok(Self {
            listener,
            url: url.replace("{port}", &port.to_string()),
        })
    }
}

/// The way from there to a run. The port is closed, and its connections end, when this is dropped.
pub(crate) struct Way {
    opened: Option<oneshot::Receiver<()>>,
    url: String,
    _tasks: JoinSet<()>,
}

impl Way {
    /// Looks for the session of the run, and carries whoever comes as soon as it is there.
    pub(crate) fn to(client: Client, run: &str, door: Door) -> Self {
        let (open, opened) = oneshot::channel();
        let visitor = Visitor {
            client,
            run: run.to_owned(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(visitor.serve(door.listener, open));
        Self {
            opened: Some(opened),
            url: door.url,
            _tasks: tasks,
        }
    }

    /// Its address, when the session is there; once.
    pub(crate) async fn opened(&mut self) -> String {
        if let Some(opened) = &mut self.opened {
            let there = opened.await.is_ok();
            self.opened = None;
            if there {
                return self.url.clone();
            }
        }
        std::future::pending().await
    }
}

/// Whoever connects on behalf of clients here.
#[derive(Clone)]
struct Visitor {
    client: Client,
    run: String,
}

impl Visitor {
    async fn serve(self, listener: TcpListener, open: oneshot::Sender<()>) {
        while !self.is_there().await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        // Without anybody to tell, this task has been ended too.
        let _ = open.send(());
        tunnel::serve(listener, |socket| self.clone().carry(socket)).await;
    }

    async fn is_there(&self) -> bool {
        let (to_session, outgoing) = mpsc::channel(1);
        let connected = self.clone().connect(&to_session, outgoing).await;
        connected.is_ok()
    }

    async fn connect(
        mut self,
        to_session: &mpsc::Sender<SessionBytes>,
        outgoing: mpsc::Receiver<SessionBytes>,
    ) -> Result<Streaming<SessionBytes>, Status> {
        let hello = SessionBytes {
            run_id: self.run.clone(),
            ..SessionBytes::default()
        };
        // The queue is empty, and its other end is beside it.
        let _ = to_session.send(hello).await;
        let opened = self.client.session(ReceiverStream::new(outgoing)).await;
        opened.map(tonic::Response::into_inner)
    }

    /// One connection, to the end of either side.
    async fn carry(self, socket: TcpStream) {
        let (to_session, outgoing) = mpsc::channel(WAITING);
        let from_session = match self.connect(&to_session, outgoing).await {
            Ok(from) => from,
            Err(status) if status.code() == Code::Unavailable => return,
            Err(status) => {
                tracing::warn!(error = status.message(), "no way to the session");
                return;
            }
        };
        let pieces = from_session.map_ok(|piece| piece.bytes);
        tunnel::join(tunnel::prompt(socket), pieces, to_session, |bytes| SessionBytes {
            bytes,
            ..SessionBytes::default()
        })
        .await;
    }
}
