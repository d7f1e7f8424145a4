//! Who may connect and how: TLS, limits on connections, and a line in the log for what is refused.
//!
//! A [`Gate`] takes connections from a listener and hands them on once they have shaken hands: plaintext on loopback,
//! TLS 1.3 elsewhere. What a connection turned out to be travels with each of its calls as a [`Peer`]. Those that speak
//! HTTP/1.1 are of browsers, and are served the page alone ([`pages`]).

mod conn;
mod gate;
mod limits;
mod listen;
pub(crate) mod pages;
mod refusals;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use conn::Conn;
pub use gate::Gate;
pub(crate) use gate::Out;
pub use limits::{Limits, Wished, raise_files};
pub use listen::{Listen, Listening};
pub use refusals::{Refusal, Refusals};
pub use tls::{ServerTls, Source, TlsError};

use crate::authority::NodeCertificate;

/// How long a connection may take to show what it is: its TLS handshake, and again the first bytes of HTTP.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it is.
    pub address: SocketAddr,
    /// What the connection proves.
    pub proof: Proof,
}

/// What a connection proves of its other end.
#[derive(Debug, Clone)]
pub enum Proof {
    /// Nothing, in plaintext: it is on this machine.
    Plain,
    /// Nothing, over TLS: a person, or a node that has not been taken in.
    Stranger,
    /// That it is this node.
    Node(Arc<NodeCertificate>),
}
