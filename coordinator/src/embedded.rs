//! A coordinator inside a command: the embedded store, the local cloud and the server, on loopback.
//!
//! `launch` without a server runs this, and so does `serve`. Verbs that only read open the store alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use mayfly_kit::admin::Admin;
use mayfly_kit::consul::{Consul, ConsulSettings};
use mayfly_kit::store::{Access, Store, StoreConfig};
use mayfly_kit::tls::Fingerprint;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cloud::local::{LocalCloud, Patience, Site, timing};
use crate::consul::{self, Announced, Place};
use crate::grpc;
use crate::home::{BUCKET, Home};
use crate::metrics;
use crate::server::{Parts, Server};
use crate::serving::{Addresses, Serving};
use crate::tokens::Tokens;
use crate::toolchain::{self, Step};
use crate::transport::{Gate, Listen, ServerTls};

/// Region of the embedded store: any would do, clients want one.
const REGION: &str = "us-east-1";
/// What is asked of a store to see whether it answers; nothing is there.
const PROBE: &str = "runs/probe";
const ALREADY: &str =
    "another `coordinator serve` runs with this folder; use it, or choose another folder with --home";

/// What the embedded coordinator needs to know. No `Debug`: it holds the store's keys.
#[derive(Clone)]
pub struct Options {
    /// The folder `.mayfly`.
    pub home: PathBuf,
    /// Where gRPC listens.
    pub listen: Listen,
    /// Where the admin pages are served; a free port of 127.0.0.1 by default.
    pub admin: Option<SocketAddr>,
    /// Release of Spark that the nodes run.
    pub spark: String,
    /// Consul as its nodes are told to use it, if there is one.
    pub consul: Option<ConsulSettings>,
    /// A store of S3; none is the embedded one.
    pub store: Option<StoreConfig>,
    /// What it is embedded in.
    pub life: Life,
}

/// How long a coordinator lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// As long as the one run of a command.
    Command,
    /// On and on: started again after its death it is where it was, and goes on with every run.
    Server,
}

/// The store alone. No `Debug`: it knows the keys.
pub struct OpenStore {
    /// A client of it.
    pub store: Store,
    /// How others open it.
    pub config: StoreConfig,
    /// The bucket's folder on this machine, where the store is the embedded one.
    pub folder: Option<PathBuf>,
    server: Option<mayfly_s3::Server>,
}

/// A whole coordinator in this process.
pub struct Embedded {
    /// Where agents and people reach it.
    pub url: String,
    /// What people show.
    pub token: String,
    /// Authority that its certificate comes from; `None` where it speaks plaintext, on loopback.
    pub fingerprint: Option<Fingerprint>,
    /// Its store.
    pub store: OpenStore,
    /// Where the admin pages are.
    pub admin: SocketAddr,
    server: Arc<Server>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    _serving: Option<Serving>,
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Serves the embedded store of `home` on a free port and opens it.
///
/// # Errors
/// The folder cannot be used, or no port is free.
pub async fn open_store(home: &Path) -> anyhow::Result<OpenStore> {
    open_store_at(&Home::open(home)?, loopback()).await
}

/// The same on an address of the caller's choice.
///
/// # Errors
/// As [`open_store`].
pub async fn open_store_at(home: &Home, listen: SocketAddr) -> anyhow::Result<OpenStore> {
    let keys = home.keys()?;
    let config = mayfly_s3::Config {
        root: home.store(),
        listen,
        access_key: keys.access_key.clone(),
        secret_key: keys.secret_key.clone(),
        region: REGION.into(),
    };
    let server = mayfly_s3::Server::start(config)
        .await
        .context("start the embedded store")?;
    let config = StoreConfig {
        endpoint: Some(grpc::url(server.addr())),
        bucket: BUCKET.into(),
        prefix: String::new(),
        region: REGION.into(),
        access: Access::keys(keys.access_key, keys.secret_key),
    };
    let store = Store::open(&config);
    store
        .ensure_bucket()
        .await
        .context("make the bucket of the embedded store")?;
    Ok(OpenStore {
        store,
        config,
        folder: Some(home.store().join(BUCKET)),
        server: Some(server),
    })
}

impl OpenStore {
    /// A store that somebody else serves.
    ///
    /// # Errors
    /// It does not answer, or not to these keys.
    pub async fn elsewhere(config: StoreConfig) -> anyhow::Result<Self> {
        let store = Store::open(&config);
        let asked = store.get(PROBE).await;
        asked.with_context(|| format!("the store {} cannot be used", store.s3_url("")))?;
        Ok(Self {
            store,
            config,
            folder: None,
            server: None,
        })
    }

    /// Where the embedded store listens.
    fn addr(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(mayfly_s3::Server::addr)
    }

    /// Stops serving.
    pub async fn close(self) {
        if let Some(server) = self.server {
            server.stop().await;
        }
    }

    /// `store` of `node.json`.
    fn for_nodes(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::to_value(&self.config).context("write the store's address for nodes")
    }
}

/// The store where the nodes of open runs know it.
async fn open_store_again(home: &Home, known: Option<SocketAddr>) -> anyhow::Result<OpenStore> {
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
async fn listen(told: Option<SocketAddr>, known: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
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

/// The program `agent` lies beside this one.
fn agent_program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    let agent = own.with_file_name("agent");
    anyhow::ensure!(
        agent.is_file(),
        "{} is missing: it is built and installed beside `coordinator`",
        agent.display()
    );
    Ok(agent)
}

impl Embedded {
    /// Installs what is missing on this machine, telling `progress`, and starts.
    ///
    /// # Errors
    /// Something cannot be installed, a folder cannot be used, no port is free.
    pub async fn start(options: Options, progress: impl FnMut(Step) + Send) -> anyhow::Result<Self> {
        let agent = agent_program()?;
        let home = Home::open(&options.home)?;
        let toolchain = toolchain::ensure(&agent, &home, &options.spark, progress).await?;
        let serving = match options.life {
            Life::Command => None,
            Life::Server => Some(Serving::claim(&home)?.context(ALREADY)?),
        };
        let known = serving.as_ref().map(Serving::addresses).unwrap_or_default();
        let store = match options.store {
            Some(config) => OpenStore::elsewhere(config).await?,
            None => open_store_again(&home, known.store).await?,
        };
        let listener = listen(options.listen.address, known.listen).await?;
        let at = listener.local_addr()?;
        let listening = options.listen.protect(listener, &home)?;
        let fingerprint = listening.fingerprint();
        let url = listening.url.clone();
        if let Some(serving) = &serving {
            let addresses = Addresses {
                listen: Some(at),
                store: store.addr(),
                url: url.clone(),
            };
            serving.remember(&addresses).context("write serve.json")?;
        }
        let patience = match options.life {
            Life::Command => Patience::COMMAND,
            Life::Server => Patience::SERVER,
        };
        let tokens = match options.life {
            Life::Command => Tokens::generate().context("draw the coordinator's tokens")?,
            Life::Server => Tokens::kept(&home)?,
        };
        let token = tokens.people().to_owned();
        let site = Site {
            agent,
            store: store.for_nodes()?,
            toolchain,
            consul: options.consul,
            alone: patience.alone,
        };
        let server = Server::new(Parts {
            cloud: Arc::new(LocalCloud::new(home.clone(), site)),
            cloud_name: "local",
            timing: timing(patience),
            store: store.store.clone(),
            home,
            tokens,
            url: url.clone(),
            security: listening.security,
        });
        if serving.is_some() {
            server.adopt().await.context("take over the open runs")?;
        }
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_grpc(Arc::clone(&server), listening.gate, stopping.clone()));
        if let Some(tls) = listening.tls {
            tasks.spawn(keep_current(tls, stopping.clone()));
        }
        let admin = TcpListener::bind(options.admin.unwrap_or_else(loopback))
            .await
            .context("listen for admin")?;
        let admin_addr = admin.local_addr()?;
        tasks.spawn(serve_admin(Arc::clone(&server), admin, stopping));
        Ok(Self {
            url,
            token,
            fingerprint,
            store,
            admin: admin_addr,
            server,
            stop,
            tasks,
            _serving: serving,
        })
    }

    /// Lets others find this coordinator in Consul.
    #[must_use]
    pub fn announce(&self, consul: Consul) -> Announced {
        let place = Place {
            url: self.url.clone(),
            admin: self.admin,
        };
        consul::announce(consul, place, Arc::clone(&self.server))
    }

    /// Waits until every run is closed; no new one should be launched meanwhile.
    pub async fn drained(&self) {
        self.server.drained().await;
    }

    /// Stops listening. Runs that are not closed lose their coordinator: their nodes end by themselves.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(std::time::Duration::from_secs(5), drained)
            .await
            .is_err()
        {
            self.tasks.shutdown().await;
        }
        self.store.close().await;
    }
}

async fn keep_current(tls: Arc<ServerTls>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = tls.keep_current() => {}
        // The sender is only dropped with the process.
        _gone = stop.wait_for(|&stop| stop) => {}
    }
}

async fn serve_grpc(server: Arc<Server>, gate: Gate, stop: watch::Receiver<bool>) {
    if let Err(error) = grpc::serve(server, gate, stop).await {
        tracing::error!(%error, "the gRPC server failed");
    }
}

async fn serve_admin(server: Arc<Server>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let admin = Admin::new();
    server.metrics().register(&admin);
    let discovery = metrics::discovery::router(Arc::clone(&server));
    let refresh = metrics::refresh(server, admin.watch("runs", std::time::Duration::from_secs(30)));
    let stopped = async move {
        // The sender is only dropped with the process.
        let _gone = stop.wait_for(|&stop| stop).await;
    };
    tokio::select! {
        served = admin.serve(listener, discovery, stopped) => if let Err(error) = served {
            tracing::error!(%error, "the admin pages cannot be served");
        },
        () = refresh => {}
    }
}
