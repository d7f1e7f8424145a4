//! A coordinator inside a command: the embedded store, the local cloud and the server, on loopback.
//!
//! `launch` without a server runs this, and so does `serve`. Verbs that only read open the store alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use mayfly_configs::AwsSettings;
use mayfly_kit::consul::Consul;
use mayfly_kit::store::{Access, Store, StoreConfig};
use mayfly_kit::tls::Fingerprint;
use mayfly_proto::RunId;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cloud::local::{LocalCloud, Patience, Site, timing};
use crate::cloud::{Clouds, Offered};
use crate::consul::{self, Announced, Place, Sides};
use crate::driver::Message;
use crate::grpc;
use crate::home::{BUCKET, Home};
use crate::metrics;
use crate::notify::Notify;
use crate::placed::wish::Wish;
use crate::run::Cancel;
use crate::server::{Parts, Placement, Server};
use crate::serving::{Addresses, Serving};
use crate::shelf::Shelf;
use crate::tokens::Tokens;
use crate::toolchain::{self, Step};
use crate::transport::{Gate, Listen, Listening, ServerTls};
use crate::web::Web;

/// Region of the embedded store: any would do, clients want one.
const REGION: &str = "us-east-1";
/// What is asked of a store to see whether it answers; nothing is there.
const PROBE: &str = "runs/probe";
const DRAW: &str = "draw the coordinator's tokens";
const ALREADY: &str =
    "another `coordinator serve` runs with this folder; use it, or choose another folder with --home";

/// What the embedded coordinator needs to know. No `Debug`: it holds the store's keys.
#[derive(Clone)]
pub struct Options {
    /// The folder `.mayfly`.
    pub home: PathBuf,
    /// Where gRPC listens.
    pub listen: Listen,
    /// Runs that may be open at one time.
    pub runs_max: usize,
    /// Where the admin pages are served; a free port of 127.0.0.1 by default.
    pub admin: Option<SocketAddr>,
    /// Release of Spark that the nodes run.
    pub spark: String,
    /// Consul, if there is one.
    pub consul: Option<Sides>,
    /// A store of S3; none is the embedded one.
    pub store: Option<StoreConfig>,
    /// Where in AWS fleets are launched, if anywhere.
    pub aws: Option<AwsSettings>,
    /// What it is embedded in.
    pub life: Life,
    /// Who is told of its runs, beside those that their jobs name.
    pub notify: Notify,
}

/// How long a coordinator lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// As long as the one run of a command.
    Command,
    /// On and on: started again after its death it is where it was, and goes on with every run.
    Server,
}

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

/// The store alone. No `Debug`: it knows the keys.
pub struct OpenStore {
    /// A client of it.
    pub store: Store,
    /// How others open it.
    pub config: StoreConfig,
    /// The bucket's folder on this machine, where the store is the embedded one.
    pub folder: Option<PathBuf>,
    server: Option<mayfly_s3::Server>,
    /// What carries its connections, where it is reached through a coordinator elsewhere.
    _way: JoinSet<()>,
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
    web: Web,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    _serving: Option<Serving>,
}

/// A free port of this machine alone.
pub(crate) fn loopback() -> SocketAddr {
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
        _way: JoinSet::new(),
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
            _way: JoinSet::new(),
        })
    }

    /// The same, reached as long as these tasks live.
    #[must_use]
    pub(crate) fn by(self, way: JoinSet<()>) -> Self {
        Self { _way: way, ..self }
    }

    /// Where the embedded store listens.
    pub(crate) fn addr(&self) -> Option<SocketAddr> {
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

/// There may be no room: then only the next life of this coordinator is one that nodes of open runs do not find.
fn remember(serving: &Serving, addresses: &Addresses) {
    if let Err(error) = serving.remember(addresses) {
        tracing::warn!(%error, "cannot write serve.json: where this coordinator listens is forgotten when it ends");
    }
}

/// The program `agent` lies beside this one.
pub(crate) fn agent_program() -> anyhow::Result<PathBuf> {
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
        if let Some(serving) = &serving {
            let addresses = Addresses {
                listen: Some(at),
                store: store.addr(),
                url: listening.url.clone(),
            };
            remember(serving, &addresses);
        }
        let (patience, tokens) = match options.life {
            Life::Command => (Patience::COMMAND, Tokens::generate().context(DRAW)?),
            Life::Server => (Patience::SERVER, Tokens::kept(&home)?),
        };
        let site = Site {
            agent,
            store: store.for_nodes()?,
            toolchain,
            consul: options.consul.as_ref().map(|sides| sides.nodes.clone()),
            alone: patience.alone,
        };
        let aws = match &options.aws {
            Some(settings) => Some(aws_cloud(settings, &store.config, options.consul.clone()).await?),
            None => None,
        };
        let mut clouds = Clouds::one(Offered {
            name: "local",
            cloud: Arc::new(LocalCloud::new(home.clone(), site)),
            timing: timing(patience),
        });
        clouds.extend(aws);
        let embedded = Self::open(Pieces {
            home,
            store,
            listening,
            clouds,
            tokens,
            placement: Placement::Here,
            runs_max: options.runs_max,
            admin: options.admin,
            serving,
            nodes_in_consul: None,
            notify: options.notify,
        });
        let embedded = embedded.await?;
        if options.life == Life::Server {
            embedded.server.adopt().await.context("take over the open runs")?;
        }
        embedded.serve_from_now_on()
    }

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

    /// The address of a page, which lets the browser in that is sent there: for the person who started this.
    #[must_use]
    pub fn entrance(&self, path: &str) -> String {
        self.web.entrance(&self.url, path)
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

    #[cfg(feature = "aws")]
    /// Begins to follow a run whose coordinator lives on its own master.
    ///
    /// # Errors
    /// There is no such run, or another command on this machine follows it.
    pub(crate) async fn follow(&self, run: &RunId) -> Result<(), crate::server::ServerError> {
        self.server.follow_of_another(run).await
    }

    /// Asks the coordinator that lives on a run's own master to end the run, through the store.
    ///
    /// # Errors
    /// The store does not take it.
    pub(crate) async fn ask(&self, run: &str, level: Cancel) -> anyhow::Result<()> {
        let run: RunId = run.parse()?;
        Wish::ask(&self.store.store, &run, &Message::Cancel(level)).await?;
        Ok(())
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

/// The cloud of AWS, as the settings have it.
#[cfg(feature = "aws")]
async fn aws_cloud(
    settings: &AwsSettings,
    store: &StoreConfig,
    consul: Option<Sides>,
) -> anyhow::Result<Offered> {
    let place = mayfly_aws::Place {
        region: settings.region.clone(),
        profile: settings.profile.clone(),
        endpoint: settings.endpoint.clone(),
    };
    let site = crate::cloud::aws::AwsSite {
        account: mayfly_aws::Account::open(&place).await?,
        network: crate::cloud::aws::Place::of(settings, consul.as_ref().map(|sides| &sides.own))?,
        image: settings.image.clone(),
        key_pair: settings.key_pair.clone(),
        consul: consul.map(|sides| sides.nodes),
        store_endpoint: store.endpoint.clone(),
        look_every: settings.look_every.as_duration(),
        own: None,
    };
    Ok(Offered {
        name: "aws",
        cloud: Arc::new(crate::cloud::aws::AwsCloud::new(site)),
        timing: crate::cloud::aws::timing(),
    })
}

#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "as with the feature")]
async fn aws_cloud(
    _settings: &AwsSettings,
    _store: &StoreConfig,
    _consul: Option<Sides>,
) -> anyhow::Result<Offered> {
    anyhow::bail!("the settings name a network of AWS, and this program was built without the feature `aws`")
}

async fn keep_current(tls: Arc<ServerTls>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = tls.keep_current() => {}
        // The sender is only dropped with the process.
        _gone = stop.wait_for(|&stop| stop) => {}
    }
}

async fn serve_grpc(server: Arc<Server>, gate: Gate, page: Router, stop: watch::Receiver<bool>) {
    if let Err(error) = grpc::serve(server, gate, page, stop).await {
        tracing::error!(%error, "the gRPC server failed");
    }
}

async fn serve_admin(server: Arc<Server>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let admin = server.admin().clone();
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
