//! How people read the store of a coordinator that is elsewhere: where it is, and, where it is served on the coordinator's
//! own machine alone, a way to it through the coordinator.
//!
//! Whoever launches may have the keys of that store: each of his jobs has them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use mayfly_kit::store::Access;
use mayfly_proto::v1;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::embedded::OpenStore;

/// Bytes of one piece.
const PIECE: usize = 64 * 1024;
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A store as people are told of it. Its `Debug` hides the keys.
#[derive(Clone)]
pub struct Shelf {
    place: v1::GetStoreReply,
    /// Where it is served on this machine.
    local: Option<SocketAddr>,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf")
            .field("bucket", &self.place.bucket)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

impl Shelf {
    /// Of an open store.
    #[must_use]
    pub fn of(store: &OpenStore) -> Self {
        let config = &store.config;
        let local = store.addr();
        let keys = match &config.access {
            Access::Keys {
                access_key,
                secret_key,
            } if local.is_some() => Some(v1::StoreKeys {
                access_key: access_key.clone(),
                secret_key: secret_key.clone(),
            }),
            // Of a store that everybody reaches, everybody has keys of his own.
            Access::Keys { .. } | Access::InstanceProfile(_) | Access::Chain(_) => None,
        };
        let endpoint = config.endpoint.clone().filter(|_| local.is_none());
        Self {
            place: v1::GetStoreReply {
                bucket: config.bucket.clone(),
                prefix: config.prefix.clone(),
                region: config.region.clone(),
                endpoint: endpoint.unwrap_or_default(),
                keys,
            },
            local,
        }
    }

    /// Where it is.
    pub(crate) fn place(&self) -> v1::GetStoreReply {
        self.place.clone()
    }

    /// A connection to it; `None` where it is reached without one.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn connect(&self) -> io::Result<Option<TcpStream>> {
        let Some(local) = self.local else {
            return Ok(None);
        };
        let connected = timeout(CONNECT_MAX, TcpStream::connect(local)).await;
        let socket = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        socket.set_nodelay(true)?;
        Ok(Some(socket))
    }
}

/// Carries what comes from `pieces` to a socket, and gives what comes from there. When either side is dropped, so is the
/// other.
pub(crate) fn carry<E: fmt::Display + Send + 'static>(
    socket: TcpStream,
    pieces: impl Stream<Item = Result<v1::StoreBytes, E>> + Send + Unpin + 'static,
) -> impl Stream<Item = io::Result<v1::StoreBytes>> + Send {
    let (read, write) = socket.into_split();
    let mut up = JoinSet::new();
    up.spawn(pump(pieces, write));
    let down = ReaderStream::with_capacity(read, PIECE);
    down.map(move |piece| {
        // It lives as long as this stream.
        let _up = &up;
        piece.map(|bytes| v1::StoreBytes {
            bytes: bytes.to_vec(),
        })
    })
}

async fn pump<E: fmt::Display>(
    pieces: impl Stream<Item = Result<v1::StoreBytes, E>> + Unpin,
    mut to: impl AsyncWrite + Unpin,
) {
    let bytes = pieces.map(|piece| match piece {
        Ok(piece) => Ok(Bytes::from(piece.bytes)),
        Err(error) => Err(io::Error::other(error.to_string())),
    });
    let mut from = StreamReader::new(bytes);
    let carried = copy(&mut from, &mut to).await;
    // Whoever waits for an answer sees the end of the connection.
    if let Err(error) = carried {
        tracing::debug!(%error, "a connection to the store ended");
    }
}

async fn copy(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    tokio::io::copy(from, to).await?;
    to.shutdown().await
}
