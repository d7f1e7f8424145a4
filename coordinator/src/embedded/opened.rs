//! A coordinator as it begins: put together from its pieces, then listening, then answering.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::addresses::loopback;
use super::{Embedded, OpenStore};
use crate::cloud::Clouds;
use crate::home::Home;
use crate::notify::Notify;
use crate::server::{Parts, Placement, Server};
use crate::serving::Serving;
use crate::shelf::Shelf;
use crate::tokens::Tokens;
use crate::transport::{Gate, Listening, ServerTls};
use crate::web::Web;
use crate::{grpc, metrics};

/// The runs are looked at once a second, to count them; what has not for so long is stuck.
const REFRESH_MAX: Duration = Duration::from_secs(30);

/// What a coordinator is put together from.
pub(crate) struct Pieces {
    pub(crate) home: Home,
    pub(crate) store: OpenStore,
    pub(crate) listening: Listening,
    pub(crate) clouds: Clouds,
    pub(crate) tokens: Tokens,
    pub(crate) placement: Placement,
    pub(crate) runs_max: usize,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) serving: Option<Serving>,
    /// The token of nodes in a Consul that is this coordinator's own.
    pub(crate) nodes_in_consul: Option<String>,
    pub(crate) notify: Notify,
}

impl Embedded {
    /// What has been put together, listening and not yet answering.
    ///
    /// # Errors
    /// There is no port for its pages.
    pub(crate) async fn open(pieces: Pieces) -> anyhow::Result<Opened> {
        let Pieces {
            home,
            store,
            listening,
            clouds,
            tokens,
            placement,
            runs_max,
            admin,
            serving,
            nodes_in_consul,
            notify,
        } = pieces;
        let admin = TcpListener::bind(admin.unwrap_or_else(loopback))
            .await
            .context("listen for admin")?;
        let token = tokens.people().to_owned();
        let server = Server::new(Parts {
            clouds,
            store: store.store.clone(),
            shelf: Some(Shelf::of(&store)),
            home: home.clone(),
            tokens,
            url: listening.url.clone(),
            security: listening.security.clone(),
            runs_max,
            placement,
            nodes_in_consul,
            notify,
        });
        Ok(Opened {
            server,
            home,
            store,
            listening,
            token,
            admin,
            serving,
        })
    }
}

/// A coordinator that does not answer yet: what it takes over, it does before that.
pub(crate) struct Opened {
    pub(crate) server: Arc<Server>,
    home: Home,
    store: OpenStore,
    listening: Listening,
    token: String,
    admin: TcpListener,
    serving: Option<Serving>,
}

impl Opened {
    /// Answers from now on.
    ///
    /// # Errors
    /// The system does not say where it listens.
    pub(crate) fn serve_from_now_on(self) -> anyhow::Result<Embedded> {
        let Self {
            server,
            home,
            store,
            listening,
            token,
            admin,
            serving,
        } = self;
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let (url, fingerprint) = (listening.url.clone(), listening.fingerprint());
        let web = Web::new(Arc::clone(&server), &url, home, stopping.clone());
        let page = web.router();
        tasks.spawn(serve_grpc(
            Arc::clone(&server),
            listening.gate,
            page,
            stopping.clone(),
        ));
        tasks.spawn(web.clone().sample());
        tasks.spawn(web.clone().keep_sockets());
        if let Some(tls) = listening.tls {
            tasks.spawn(keep_current(tls, stopping.clone()));
        }
        let admin_addr = admin.local_addr()?;
        tasks.spawn(serve_admin(Arc::clone(&server), admin, stopping));
        Ok(Embedded {
            url,
            token,
            fingerprint,
            store,
            admin: admin_addr,
            server,
            web,
            stop,
            tasks,
            _serving: serving,
        })
    }
}

/// Waits until the coordinator is told to stop; where it is dropped instead, it stops as well.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _gone = stop.wait_for(|&stop| stop).await;
}

async fn keep_current(tls: Arc<ServerTls>, stop: watch::Receiver<bool>) {
    tokio::select! {
        () = tls.keep_current() => {}
        () = stopped(stop) => {}
    }
}

async fn serve_grpc(server: Arc<Server>, gate: Gate, page: Router, stop: watch::Receiver<bool>) {
    if let Err(error) = grpc::serve(server, gate, page, stop).await {
        tracing::error!(%error, "the gRPC server failed");
    }
}

async fn serve_admin(server: Arc<Server>, listener: TcpListener, stop: watch::Receiver<bool>) {
    let admin = server.admin().clone();
    server.metrics().register(&admin);
    let discovery = metrics::discovery::router(Arc::clone(&server));
    let refresh = metrics::refresh(server, admin.watch("runs", REFRESH_MAX));
    tokio::select! {
        served = admin.serve(listener, discovery, stopped(stop)) => if let Err(error) = served {
            tracing::error!(%error, "the admin pages cannot be served");
        },
        () = refresh => {}
    }
}
