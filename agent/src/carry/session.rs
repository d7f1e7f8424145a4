//! Connections of people elsewhere to the job, where that is a session of the engine.

use std::net::SocketAddr;
use std::sync::Arc;

use mayfly_kit::tunnel;
use mayfly_proto::engine::Definition;
use mayfly_proto::v1::carry_up::What;
use mayfly_proto::v1::{CarryDown, CarryHead, CarryUp, NodeSpec};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tonic::Streaming;

use super::{CONNECT_LIMIT, Gone, carry, failure, message, taken};
use crate::config::NodeConfig;
use crate::visits::Visits;

/// Connections at one time: a notebook in a browser has a dozen.
const CONNECTIONS: usize = 32;
/// Head of the answer when the connection is there.
const CONNECTED: CarryHead = CarryHead {
    status: 200,
    headers: Vec::new(),
};

/// The session of this node's job, if it is one.
#[derive(Debug, Clone)]
pub struct Visited {
    /// Where the engine serves it.
    at: Option<SocketAddr>,
    visits: Arc<Visits>,
    places: Arc<Semaphore>,
}

impl Visited {
    /// That of the job of this node.
    #[must_use]
    pub fn new(config: &NodeConfig, spec: &NodeSpec, definition: &Definition, visits: Arc<Visits>) -> Self {
        let port = definition
            .session_port()
            .filter(|_| spec.session_idle().is_some());
        Self {
            at: port.map(|port| SocketAddr::new(config.address, port)),
            visits,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    /// Whether it is one.
    pub(super) fn is_possible(&self) -> bool {
        self.at.is_some()
    }

    /// Ends the session, and says so.
    pub(super) async fn end(&self, up: &mpsc::Sender<CarryUp>) -> Result<(), Gone> {
        self.visits.end();
        up.send(message(What::Head(CONNECTED))).await
    }

    /// Connects, and carries what goes and comes until either side has enough.
    pub(super) async fn connect(self, up: mpsc::Sender<CarryUp>, down: Streaming<CarryDown>) {
        let why = match self.opened().await {
            Ok((socket, place)) => {
                if up.send(message(What::Head(CONNECTED))).await.is_ok() {
                    carry(tunnel::prompt(socket), up, down, &self.visits).await;
                }
                drop(place);
                return;
            }
            Err(why) => why,
        };
        // Whoever asked may have left.
        let _ = up.send(failure(why)).await;
        taken(up, down).await;
    }

    async fn opened(&self) -> Result<(TcpStream, OwnedSemaphorePermit), String> {
        let at = self.at.ok_or("the job is a program, and no session")?;
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| format!("there are {CONNECTIONS} connections to the session"))?;
        match timeout(CONNECT_LIMIT, TcpStream::connect(at)).await {
            Ok(Ok(socket)) => Ok((socket, place)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it does not answer".to_owned()),
        }
    }
}
