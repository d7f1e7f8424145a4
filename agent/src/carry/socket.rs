//! WebSockets of the engine's pages. What is in one is between the page and the engine: its bytes are carried as they come.

use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use mayfly_proto::v1::carry_up::What;
use mayfly_proto::v1::{CarryDown, CarryUp};
use reqwest::header::{CONNECTION, ORIGIN, UPGRADE};
use reqwest::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};
use url::Url;

use super::{carry, head, message, request, sent, taken, tell};
use crate::visits::Visits;

/// How long one may be silent in both directions. Pages that stay ask in between whether the other side is there.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// Opens one, and carries what goes and comes until either side has enough.
pub(super) async fn open(
    up: mpsc::Sender<CarryUp>,
    down: Streaming<CarryDown>,
    ui: Option<Url>,
    client: reqwest::Client,
    asked: CarryDown,
) {
    let socket = match opened(ui.as_ref(), &client, &asked).await {
        Ok(answered) if answered.status() == StatusCode::SWITCHING_PROTOCOLS => answered,
        other => {
            // Whoever asked may have left.
            let _ = tell(&up, other).await;
            return taken(up, down).await;
        }
    };
    if up.send(message(What::Head(head(&socket)))).await.is_err() {
        return;
    }
    match socket.upgrade().await {
        Ok(socket) => unless_idle(socket, up, down).await,
        Err(error) => tracing::debug!(%error, "the engine's page closed a WebSocket at once"),
    }
}

/// Engines take a WebSocket from their own pages alone, by the host and the origin that they are asked with: both are those
/// of the engine itself. Whose page it was the coordinator has looked at.
async fn opened(ui: Option<&Url>, client: &reqwest::Client, asked: &CarryDown) -> Result<Response, String> {
    let request = request(ui, client, asked)?;
    let origin = ui.map(|ui| ui.origin().ascii_serialization()).unwrap_or_default();
    let request = request.header(CONNECTION, "Upgrade").header(UPGRADE, "websocket");
    sent(request.header(ORIGIN, origin)).await
}

async fn unless_idle(
    socket: impl AsyncRead + AsyncWrite + Send + 'static,
    up: mpsc::Sender<CarryUp>,
    down: impl Stream<Item = Result<CarryDown, Status>> + Send + Unpin + 'static,
) {
    let visits = Arc::new(Visits::default());
    tokio::select! {
        () = carry(socket, up, down, &visits) => {}
        _ = visits.over(IDLE) => tracing::debug!("a WebSocket of the engine's pages was idle"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_is_silent_is_closed() {
        let (mut engine, socket) = tokio::io::duplex(64);
        let (up, mut taken) = mpsc::channel(1);
        let began = Instant::now();
        let pings = async {
            for _ in 0..3 {
                sleep(IDLE - Duration::from_secs(1)).await;
                engine.write_all(b"ping").await.unwrap();
            }
            engine
        };
        let taken = async {
            let mut pieces = 0;
            while taken.recv().await.is_some() {
                pieces += 1;
            }
            pieces
        };
        let ((), _engine, pieces) =
            tokio::join!(unless_idle(socket, up, futures::stream::pending()), pings, taken);
        assert_eq!(pieces, 3);
        assert_eq!(began.elapsed(), 3 * (IDLE - Duration::from_secs(1)) + IDLE);
    }
}
