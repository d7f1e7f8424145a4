//! The coordinator on the machine of a server: it is the one that was there before, goes on with its runs, and serves.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use mayfly_aws::{Account, Place};
use mayfly_kit::backoff::{Backoff, Policy, jitter};
use mayfly_kit::consul::Consul;
use mayfly_kit::imds::{Imds, InstanceProfile};
use mayfly_kit::shutdown::{self, Level};
use mayfly_kit::store::{Access, Store, StoreConfig};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::consul::{self, Beside};
use super::identity::Identity;
use super::whereabouts::{Whereabouts, at_port};
use crate::cloud::aws::{AwsCloud, AwsSite, Place as Network, timing};
use crate::cloud::{Clouds, Offered};
use crate::consul::Sides;
use crate::embedded::{Embedded, OpenStore, Pieces};
use crate::home::Home;
use crate::notify::Notify;
use crate::run::Timing;
use crate::server::Placement;
use crate::serving::Serving;
use crate::tokens::Tokens;
use crate::transport::{Listen, raise_files};

/// Between two looks at the machines of a run.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long nodes live without a word of this server, while its next machine comes up: a little less than AWS lets groups
/// live that nobody keeps, at the end of a step of their lease.
const NODES_WAIT: Duration = Duration::from_secs(330);
/// Runs that may be open at one time.
const RUNS_MAX: usize = 1_000;
/// Between two tries to say where it is.
const SAY_AGAIN: Policy = Policy {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(15),
    budget: Duration::MAX,
};

/// What the agent of its machine tells it, in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The network that it serves.
    pub network: String,
    /// This machine, by AWS's name.
    pub instance: String,
    /// Where nodes reach this machine, and on which port.
    pub listen: SocketAddr,
    /// Where the internet reaches it, if it does.
    pub public: Option<IpAddr>,
    /// Folder of its own.
    pub home: PathBuf,
    /// Bucket of the store.
    pub bucket: String,
    /// Prefix before every key, empty or ending in `/`.
    pub prefix: String,
    /// Region of the store and of the fleets.
    pub region: String,
    /// URL of the store, where it is not AWS's own.
    pub store_endpoint: Option<String>,
    /// URL of all services, where they are not AWS's own.
    pub endpoint: Option<String>,
    /// The image of nodes, unless it is the newest that fits.
    pub image: Option<String>,
    /// The Consul beside it, if there is one.
    pub consul: Option<Beside>,
}

/// Serves until it is told to stop, with the first signal: whoever starts it again goes on with its runs.
///
/// # Errors
/// The store or the cloud cannot be read, or something of this machine cannot be used. The agent starts it again.
pub async fn host(told: Told, mut level: watch::Receiver<Level>) -> anyhow::Result<()> {
    raise_files();
    let store = OpenStore::elsewhere(store_config(&told)?).await?;
    let home = Home::open(&told.home)?;
    let serving = Serving::claim(&home)?;
    let serving = serving.context("another process serves with this folder")?;
    Identity::kept(&store.store, &told.network)
        .await?
        .lay_down(&home)?;
    let listen = Listen {
        address: Some(told.listen),
        always_tls: true,
        names: told.public.iter().map(IpAddr::to_string).collect(),
        ..Listen::default()
    };
    let listener = TcpListener::bind(told.listen)
        .await
        .with_context(|| format!("listen on {}", told.listen))?;
    let listening = listen.protect(listener, &home)?;
    let tokens = Tokens::kept(&home)?;
    let sides = told.consul.as_ref().map(|beside| consul::sides(beside, &tokens));
    let opened = Embedded::open(Pieces {
        clouds: Clouds::one(offered(&told, sides.as_ref()).await?),
        tokens: tokens.clone(),
        home: home.clone(),
        store,
        listening,
        placement: Placement::Control {
            network: told.network.clone(),
        },
        runs_max: RUNS_MAX,
        admin: None,
        serving: Some(serving),
        notify: Notify::default(),
        nodes_in_consul: sides.as_ref().and_then(|sides| sides.nodes.token.clone()),
    });
    let opened = opened.await?;
    opened.server.adopt().await.context("take over the open runs")?;
    let embedded = opened.serve_from_now_on()?;
    let fingerprint = embedded.fingerprint.map(|print| print.to_string());
    let here = Whereabouts::new(
        &embedded.url,
        at_port(told.public, told.listen),
        fingerprint.unwrap_or_default(),
        &told.instance,
    );
    let here = Whereabouts {
        consul: told.consul.as_ref().map(|beside| beside.address.clone()),
        ..here
    };
    let store = embedded.store.store.clone();
    let mut beside = JoinSet::new();
    let announced = match (told.consul.clone(), &sides) {
        (Some(consul), Some(sides)) => {
            let network = told.network.clone();
            beside.spawn(consul::tend(consul, tokens, home, store.clone(), network));
            Some(embedded.announce(Consul::open(&sides.own)?))
        }
        _ => None,
    };
    tokio::select! {
        () = say(&here, &store, &told.network) => {}
        () = shutdown::reached(&mut level, 1) => {}
    }
    beside.shutdown().await;
    if let Some(announced) = announced {
        announced.withdraw().await;
    }
    embedded.stop().await;
    Ok(())
}

/// Says where it is until it is heard, and then does nothing for ever.
async fn say(here: &Whereabouts, store: &Store, network: &str) {
    let mut waits = Backoff::new(SAY_AGAIN, jitter);
    while let Err(error) = here.write(store, network).await {
        tracing::warn!(
            error = format!("{error:#}"),
            "cannot say in the store where this server is; trying again"
        );
        sleep(waits.next().unwrap_or(SAY_AGAIN.cap)).await;
    }
    tracing::info!(url = here.url, public = here.public_url, "serving");
    std::future::pending::<()>().await;
}

fn store_config(told: &Told) -> anyhow::Result<StoreConfig> {
    Ok(StoreConfig {
        endpoint: told.store_endpoint.clone(),
        bucket: told.bucket.clone(),
        prefix: told.prefix.clone(),
        region: told.region.clone(),
        access: Access::InstanceProfile(InstanceProfile::new(Imds::from_environment()?)),
    })
}

async fn offered(told: &Told, consul: Option<&Sides>) -> anyhow::Result<Offered> {
    let place = Place {
        region: Some(told.region.clone()),
        profile: None,
        endpoint: told.endpoint.clone(),
    };
    let site = AwsSite {
        account: Account::open(&place).await?,
        network: Network::Named(told.network.clone()),
        image: told.image.clone(),
        key_pair: None,
        consul: consul.map(|sides| sides.nodes.clone()),
        store_endpoint: told.store_endpoint.clone(),
        look_every: LOOK_EVERY,
        own: None,
    };
    Ok(Offered {
        name: "aws",
        cloud: Arc::new(AwsCloud::new(site)),
        timing: Timing {
            lease: NODES_WAIT,
            ..timing()
        },
    })
}
