//! When a daemon is up.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use mayfly_proto::engine::{Facts, Ready};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::super::Context;
use super::ask;

const LOOK: Duration = Duration::from_millis(100);
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// How one is told that a daemon is up.
pub(super) enum Sign {
    /// It has started.
    None,
    Port(SocketAddr),
    Http(String),
    /// One of its lines holds this.
    Line(String),
    File(PathBuf),
}

impl Sign {
    pub(super) fn new(context: &Context, ready: Option<&Ready>, facts: &Facts) -> Result<Self, String> {
        let address: IpAddr = context.address;
        Ok(match ready {
            None => Self::None,
            Some(Ready::Port(name)) => {
                let port = context.fleet.definition.ports.get(name);
                let port = port.ok_or_else(|| format!("there is no port `{name}`"))?;
                Self::Port(SocketAddr::new(address, *port))
            }
            Some(Ready::Http(url)) => Self::Http(url.render(facts)?),
            Some(Ready::Line(text)) => Self::Line(text.clone()),
            Some(Ready::File(path)) => Self::File(path.render(facts)?.into()),
        })
    }

    /// The text to look for in the daemon's lines.
    pub(super) fn line(&self) -> Option<String> {
        match self {
            Self::Line(text) => Some(text.clone()),
            Self::None | Self::Port(_) | Self::Http(_) | Self::File(_) => None,
        }
    }

    /// Returns once it is there; `said` becomes true when the line has come.
    pub(super) async fn seen(&self, said: &mut watch::Receiver<bool>) {
        if let Self::Line(_) = self {
            if said.wait_for(|said| *said).await.is_err() {
                std::future::pending::<()>().await;
            }
            return;
        }
        let client = ask::client();
        loop {
            let there = match self {
                Self::None | Self::Line(_) => true,
                Self::Port(address) => listens(*address).await,
                Self::Http(url) => match &client {
                    Some(client) => ask::answers(client, url).await,
                    None => false,
                },
                Self::File(path) => tokio::fs::try_exists(path).await.unwrap_or(false),
            };
            if there {
                return;
            }
            sleep(LOOK).await;
        }
    }
}

async fn listens(address: SocketAddr) -> bool {
    let connected = timeout(CONNECT_MAX, TcpStream::connect(address)).await;
    connected.is_ok_and(|socket| socket.is_ok())
}
