//! Connections of browsers that speak HTTP/1.1: all of them in plaintext, and over TLS those that become WebSockets. They
//! are served the page and no calls.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Conn;

/// Bytes of the head of a request, whichever protocol it is of.
pub(crate) const HEAD_MAX: u32 = 8 * 1024;
/// For the head of a request, and between two requests.
const HEAD_LIMIT: Duration = Duration::from_secs(60);

/// Serves until nobody hands on connections any more, and those that there were have ended, for which `stop` asks them.
pub(crate) async fn serve(page: Router, mut connections: mpsc::Receiver<Conn>, stop: watch::Receiver<bool>) {
    let mut served = JoinSet::new();
    loop {
        tokio::select! {
            handed = connections.recv() => match handed {
                Some(conn) => { served.spawn(one(conn, page.clone(), stop.clone())); }
                None => break,
            },
            Some(_) = served.join_next() => {}
        }
    }
    while served.join_next().await.is_some() {}
}

async fn one(conn: Conn, page: Router, mut stop: watch::Receiver<bool>) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_MAX as usize)
        .serve_connection(TokioIo::new(conn), TowerToHyperService::new(page))
        .with_upgrades();
    let mut served = pin!(served);
    let early = tokio::select! {
        ended = served.as_mut() => Some(ended),
        _ = stop.wait_for(|&stop| stop) => None,
    };
    let ended = match early {
        Some(ended) => ended,
        None => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of the page broke");
    }
}
