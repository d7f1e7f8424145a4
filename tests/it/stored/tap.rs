//! A proxy before a server, which tells the test when a request of one kind comes, and passes it on afterwards.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the test does at such a request; it gets its number, from 1.
type Hook = dyn Fn(usize) + Send + Sync;

/// Ends with this.
pub(super) struct Tap {
    address: SocketAddr,
    seen: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Tap {
    /// Before this server; `mark` is in the head of the requests that are told.
    pub(super) async fn before(
        server: SocketAddr,
        mark: &'static str,
        hook: impl Fn(usize) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, hook): (Arc<AtomicUsize>, Arc<Hook>) = (Arc::default(), Arc::new(hook));
        let mut tasks = JoinSet::new();
        let counted = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (counted, hook) = (Arc::clone(&counted), Arc::clone(&hook));
                clients.spawn(carry(client, server, mark, counted, hook));
            }
        });
        Self {
            address,
            seen,
            _tasks: tasks,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests that were told.
    pub(super) fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

async fn carry(
    client: TcpStream,
    server: SocketAddr,
    mark: &'static str,
    seen: Arc<AtomicUsize>,
    hook: Arc<Hook>,
) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async move {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let read = from_client.read(&mut bytes).await?;
            let Some(chunk) = bytes.get(..read).filter(|chunk| !chunk.is_empty()) else {
                return to_server.shutdown().await;
            };
            // A request begins a chunk: its client waits for the answer to the one before.
            if chunk.windows(mark.len()).any(|part| part == mark.as_bytes()) {
                hook(seen.fetch_add(1, Ordering::SeqCst) + 1);
            }
            to_server.write_all(chunk).await?;
        }
    };
    tokio::try_join!(there, async {
        copy(&mut from_server, &mut to_client).await.map(drop)
    })?;
    Ok(())
}
