//! Sockets: accepting, limits, stopping.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::range::WithoutRange;
use crate::service::{Keys, Service};
use crate::store::Store;

/// Connections served at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 256;
/// A client that takes longer for the headers of a request is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests under way may take when the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// Pause after a failed accept: out of descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a server needs to know. It has no `Debug`, for it holds a secret.
pub struct Config {
    /// The folder to serve; made where missing.
    pub root: PathBuf,
    /// A loopback address: the protocol here is plain HTTP. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The only access key id that is known.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// The region that buckets are in unless they are made elsewhere.
    pub region: String,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address can be reached from other machines.
    #[error(
        "{0} is not a loopback address: the embedded S3 server speaks plain HTTP and is for this machine alone"
    )]
    NotLoopback(SocketAddr),
    /// The folder cannot be used.
    #[error("cannot use {} as a store: it must be a folder that you may write to", root.display())]
    Root {
        /// The folder.
        root: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A running server. Dropping it stops it at once; [`Server::stop`] lets requests finish.
pub struct Server {
    addr: SocketAddr,
    stopping: CancellationToken,
    killing: CancellationToken,
    accepting: JoinHandle<()>,
    connections: TaskTracker,
    store: Arc<Store>,
}

impl Server {
    /// Opens the folder and starts to serve it.
    ///
    /// # Errors
    /// If the address is not a loopback address or cannot be listened on, or the folder cannot be used.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let Config {
            root,
            listen,
            access_key,
            secret_key,
            region,
        } = config;
        if !listen.ip().is_loopback() {
            return Err(Error::NotLoopback(listen));
        }
        let path = root.clone();
        let opened = tokio::task::spawn_blocking(move || Store::open(&path)).await;
        let opened = opened.unwrap_or_else(|error| Err(io::Error::other(error)));
        let store = Arc::new(opened.map_err(|source| Error::Root { root, source })?);
        let failed = |source| Error::Listen { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;

        let known = S3ServiceBuilder::new(Service::new(store.clone(), region.clone())).build();
        let mut builder = S3ServiceBuilder::new(Service::new(store.clone(), region));
        builder.set_route(WithoutRange { inner: known });
        builder.set_auth(Keys {
            access_key,
            secret_key: secret_key.into(),
        });
        let (stopping, killing) = (CancellationToken::new(), CancellationToken::new());
        let connections = TaskTracker::new();
        let acceptor = Acceptor {
            listener,
            service: builder.build(),
            connections: connections.clone(),
            stopping: stopping.clone(),
            killing: killing.clone(),
        };
        let accepting = connections.spawn(acceptor.run());
        Ok(Self {
            addr,
            stopping,
            killing,
            accepting,
            connections,
            store,
        })
    }

    /// The address that is listened on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops: no new requests; those under way get 5 seconds; what was stored goes to the disk.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.connections.close();
        if tokio::time::timeout(GRACE, self.connections.wait())
            .await
            .is_err()
        {
            tracing::warn!(open = self.connections.len(), "S3 requests were cut off");
            self.killing.cancel();
            self.connections.wait().await;
        }
        let store = self.store.clone();
        let flushed = tokio::task::spawn_blocking(move || store.flush()).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "the store could not be forced to the disk");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.cancel();
        self.killing.cancel();
        self.accepting.abort();
    }
}

struct Acceptor {
    listener: TcpListener,
    service: S3Service,
    connections: TaskTracker,
    stopping: CancellationToken,
    killing: CancellationToken,
}

impl Acceptor {
    async fn run(self) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let next = async {
                let slot = slots.clone().acquire_owned().await;
                (slot, self.listener.accept().await)
            };
            let (slot, accepted) = tokio::select! {
                () = self.stopping.cancelled() => return,
                next = next => next,
            };
            match accepted {
                Ok((stream, _)) => {
                    let serving = serve(
                        stream,
                        self.service.clone(),
                        self.stopping.clone(),
                        self.killing.clone(),
                    );
                    self.connections.spawn(async move {
                        serving.await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the S3 server cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    service: S3Service,
    stopping: CancellationToken,
    killing: CancellationToken,
) {
    // Small answers must not wait for the acknowledgement of the packet before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = killing.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        // Clients that hang up in the middle are their own business.
        tracing::debug!(%error, "S3 connection ended");
    }
}
