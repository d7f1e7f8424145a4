//! Takes connections from a listener, and hands on those that have shaken hands.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::conn::{Io, Spoken};
use super::limits::{Counts, Permit};
use super::{Conn, HANDSHAKE_LIMIT, Limits, Peer, Proof, Refusal, Refusals, ServerTls};
use crate::authority::NodeCertificate;

/// After a failure to accept, which is most often that there are no files left.
const PAUSE: Duration = Duration::from_millis(50);

/// A listener and its rules.
pub struct Gate {
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    limits: Limits,
}

/// What every new connection is judged by.
#[derive(Clone)]
struct Judge {
    tls: Option<Arc<ServerTls>>,
    refusals: Refusals,
    out: Out,
}

/// Where connections go, by what they speak.
#[derive(Clone)]
pub(crate) struct Out {
    /// Browsers in plaintext, and their WebSockets.
    pub(crate) http1: mpsc::Sender<Conn>,
    /// Everybody else.
    pub(crate) http2: mpsc::Sender<io::Result<Conn>>,
}

impl Gate {
    /// For this machine alone: nodes are there as strangers of one address, and may be as many as there may be nodes.
    #[must_use]
    pub fn plain(listener: TcpListener, limits: Limits) -> Self {
        Self {
            listener,
            tls: None,
            limits: Limits {
                strangers: limits.nodes,
                per_address: limits.nodes,
                ..limits
            },
        }
    }

    /// For anybody.
    #[must_use]
    pub fn tls(listener: TcpListener, tls: Arc<ServerTls>, limits: Limits) -> Self {
        Self {
            listener,
            tls: Some(tls),
            limits,
        }
    }

    /// Takes connections until nobody wants them any more.
    pub(crate) async fn open(self, refusals: Refusals, out: Out) {
        let counts = Counts::new(self.limits);
        let judge = Judge {
            tls: self.tls,
            refusals,
            out,
        };
        let mut handshakes = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => match counts.admit(peer.ip()) {
                        Some(permit) => {
                            handshakes.spawn(judge.clone().take(stream, peer, permit));
                        }
                        None => judge.refusals.note(Refusal::Crowd, Some(peer), &"see the limits on connections"),
                    },
                    Err(error) => {
                        judge.refusals.note(Refusal::Crowd, None, &error);
                        sleep(PAUSE).await;
                    }
                },
                Some(_) = handshakes.join_next() => {}
                () = judge.out.http2.closed() => return,
            }
        }
    }
}

impl Judge {
    async fn take(self, stream: TcpStream, address: SocketAddr, permit: Permit) {
        // The connection is of no use when it is gone already; the next read tells.
        drop(stream.set_nodelay(true));
        let Some((io, proof)) = self.shake(stream, address).await else {
            return;
        };
        let permit = match proof {
            Proof::Node(_) => permit.of_node(),
            Proof::Plain | Proof::Stranger => Some(permit),
        };
        let Some(permit) = permit else {
            let detail = "more nodes than there are files for";
            return self.refusals.note(Refusal::Crowd, Some(address), &detail);
        };
        self.hand_on(Conn::new(io, Peer { address, proof }, permit)).await;
    }

    async fn hand_on(self, mut conn: Conn) {
        let address = conn.peer().address;
        let Ok(spoken) = timeout(HANDSHAKE_LIMIT, conn.spoken()).await else {
            return self
                .refusals
                .note(Refusal::Slow, Some(address), &"no HTTP came in time");
        };
        // Where nobody wants it the server is stopping; one that ended has said nothing that calls for an answer.
        match spoken {
            Ok(Spoken::Http1) => drop(self.out.http1.send(conn).await),
            Ok(Spoken::Http2) => drop(self.out.http2.send(Ok(conn)).await),
            Err(error) => tracing::debug!(%address, %error, "a connection ended before it spoke"),
        }
    }

    async fn shake(&self, stream: TcpStream, address: SocketAddr) -> Option<(Io, Proof)> {
        let Some(tls) = &self.tls else {
            return Some((Io::Plain(stream), Proof::Plain));
        };
        let accepting = TlsAcceptor::from(tls.config()).accept(stream);
        let refused = |refusal, detail: &dyn std::fmt::Display| {
            self.refusals.note(refusal, Some(address), detail);
        };
        match timeout(HANDSHAKE_LIMIT, accepting).await {
            Ok(Ok(stream)) => {
                let proof = proof(&stream);
                Some((Io::Tls(Box::new(stream)), proof))
            }
            Ok(Err(error)) => {
                refused(Refusal::Handshake, &error);
                None
            }
            Err(_) => {
                refused(Refusal::Slow, &"no TLS handshake came in time");
                None
            }
        }
    }
}

/// The handshake has checked the certificate; a connection with one that names no node does not get so far.
fn proof(stream: &TlsStream<TcpStream>) -> Proof {
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    match shown.first().map(|leaf| NodeCertificate::read(leaf)) {
        Some(Ok(certificate)) => Proof::Node(Arc::new(certificate)),
        Some(Err(_)) | None => Proof::Stranger,
    }
}
