//! A coordinator inside a program: the store, the clouds and the server, put together.
//!
//! `launch` without a server runs one on loopback, `serve` where it is told to, and masters and the machines of servers run
//! one of their own. Verbs that only read open the store alone.

mod addresses;
mod clouds;
mod opened;
mod store;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use mayfly_configs::AwsSettings;
use mayfly_kit::consul::Consul;
use mayfly_kit::store::StoreConfig;
use mayfly_kit::tls::Fingerprint;
use mayfly_proto::RunId;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cloud::Clouds;
use crate::cloud::local::{Patience, Site};
use crate::consul::{self, Announced, Place, Sides};
use crate::driver::Message;
use crate::home::Home;
use crate::notify::Notify;
use crate::placed::wish::Wish;
use crate::run::Cancel;
use crate::server::{Placement, Server};
use crate::serving::{Addresses, Serving};
use crate::tokens::Tokens;
use crate::toolchain::{self, Step};
use crate::transport::Listen;
use crate::web::Web;
#[cfg(feature = "aws")]
pub(crate) use addresses::loopback;
use addresses::{listen, open_store_again, remember};
pub(crate) use opened::Pieces;
pub use store::{OpenStore, open_store, open_store_at};

/// How long its tasks have to end by themselves.
const STOP_LIMIT: Duration = Duration::from_secs(5);
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
        let mut clouds = Clouds::one(clouds::local(home.clone(), site, patience));
        if let Some(settings) = &options.aws {
            clouds.extend([clouds::aws(settings, &store.config, options.consul).await?]);
        }
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

    /// Begins to follow a run whose coordinator lives on its own master.
    ///
    /// # Errors
    /// There is no such run, or another command on this machine follows it.
    #[cfg(feature = "aws")]
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
        if timeout(STOP_LIMIT, drained).await.is_err() {
            self.tasks.shutdown().await;
        }
        self.store.close().await;
    }
}
