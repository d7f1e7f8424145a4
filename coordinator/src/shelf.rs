//! How people read the store of a coordinator that is elsewhere: where it is, and, where it is served on the coordinator's
//! own machine alone, a way to it through the coordinator.
//!
//! Whoever launches may have the keys of that store: each of his jobs has them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mayfly_kit::store::Access;
use mayfly_proto::v1;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::embedded::OpenStore;

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
        Ok(Some(socket))
    }
}
