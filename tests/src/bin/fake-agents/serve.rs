//! The coordinator's side: the real server, store and wire, with a run of so many nodes.

use std::io::Read as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use mayfly_coordinator::cloud::{Clouds, Offered, local};
use mayfly_coordinator::home::Home;
use mayfly_coordinator::notify::Notify;
use mayfly_coordinator::run::Timing;
use mayfly_coordinator::server::{Launch, Parts, Placement, Server};
use mayfly_coordinator::tokens::Tokens;
use mayfly_coordinator::transport::{Gate, Limits, Wished, raise_files};
use mayfly_coordinator::{embedded, grpc};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cloud::FakeCloud;

/// A report may come this many intervals late before a node counts as lost.
const LOST_AFTER: u32 = 10;

/// Serves a run of `nodes` nodes until standard input ends.
pub(crate) async fn run(folder: &Path, nodes: u32, sync: Duration) -> anyhow::Result<()> {
    let home = Home::open(&folder.join("home"))?;
    let store = embedded::open_store(home.path()).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("listen")?;
    let server = Server::new(Parts {
        clouds: Clouds::one(Offered {
            name: "fake",
            cloud: Arc::new(FakeCloud::new(folder.join("order.json"))),
            timing: timing(sync),
        }),
        store: store.store.clone(),
        shelf: None,
        home,
        tokens: Tokens::generate().context("draw tokens")?,
        url: grpc::url(listener.local_addr()?),
        security: None,
        runs_max: 1,
        placement: Placement::Here,
        nodes_in_consul: None,
        notify: Notify::default(),
    });
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    raise_files();
    let gate = Gate::plain(listener, Limits::of_this_process(Wished::default()));
    tasks.spawn(grpc::serve(
        Arc::clone(&server),
        gate,
        axum::Router::new(),
        stopping,
    ));
    server.launch(launch(nodes)?).await?;
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await?.context("read standard input")?;
    stop.send_replace(true);
    tasks.shutdown().await;
    Ok(())
}

fn timing(sync: Duration) -> Timing {
    let late = sync * LOST_AFTER;
    Timing {
        sync,
        sync_fast: sync,
        lost_after: late,
        lease: late,
        ..local::timing(local::Patience::COMMAND)
    }
}

fn launch(nodes: u32) -> anyhow::Result<Launch> {
    let text = format!(
        "sync:\n  code: {{entry: main.py}}\n  workers: {{count: {}}}\n",
        nodes.saturating_sub(1)
    );
    let job = mayfly_configs::parse_job("sync.yml", &text, &|_| None, None, &[])?.job;
    let job_json = serde_json::to_string(&job)?;
    Ok(Launch {
        request_id: "bench".into(),
        job,
        job_json,
        commit: "0".repeat(40),
        bundle_key: Some("none".into()),
        owner: "bench".into(),
        cloud: String::new(),
    })
}
