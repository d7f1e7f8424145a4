//! Where a coordinator listens: where the nodes of its open runs know it, as long as that can be had.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::store::{OpenStore, open_store_at};
use crate::home::Home;
use crate::serving::{Addresses, Serving};

/// A free port of this machine alone.
pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// The store where the nodes of open runs know it.
pub(super) async fn open_store_again(home: &Home, known: Option<SocketAddr>) -> anyhow::Result<OpenStore> {
    if let Some(known) = known {
        match open_store_at(home, known).await {
            Ok(store) => return Ok(store),
            Err(error) => tracing::warn!(
                %known,
                error = format!("{error:#}"),
                "the store cannot be served where it was: nodes of open runs do not find it"
            ),
        }
    }
    open_store_at(home, loopback()).await
}

/// Where it was told to listen, else where it did before, else anywhere.
pub(super) async fn listen(
    told: Option<SocketAddr>,
    known: Option<SocketAddr>,
) -> anyhow::Result<TcpListener> {
    let free = told.is_none_or(|told| told.port() == 0);
    let same = known.filter(|known| free && told.is_none_or(|told| told.ip() == known.ip()));
    if let Some(known) = same {
        match TcpListener::bind(known).await {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                tracing::warn!(%known, %error, "cannot listen there again: nodes of open runs do not find it");
            }
        }
    }
    let address = told.unwrap_or_else(loopback);
    TcpListener::bind(address)
        .await
        .with_context(|| format!("listen for agents on {address}"))
}

/// There may be no room: then only the next life of this coordinator is one that nodes of open runs do not find.
pub(super) fn remember(serving: &Serving, addresses: &Addresses) {
    if let Err(error) = serving.remember(addresses) {
        tracing::warn!(%error, "cannot write serve.json: where this coordinator listens is forgotten when it ends");
    }
}
