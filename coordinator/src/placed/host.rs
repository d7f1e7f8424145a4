//! The coordinator on a master: it opens the package of its one run, takes the run over, and ends with it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use mayfly_aws::{Account, Place};
use mayfly_kit::consul::{Consul, ConsulSettings};
use mayfly_kit::imds::{Imds, InstanceProfile};
use mayfly_kit::layout;
use mayfly_kit::shutdown::{self, Level};
use mayfly_kit::store::{Access, StoreConfig};
use mayfly_proto::RunId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::package::{MAX, Package};
use super::{listen, publish};
use crate::authority::Authority;
use crate::cloud::aws::{AwsCloud, AwsSite, Own, Place as Network, timing};
use crate::cloud::{Clouds, Offered};
use crate::embedded::{Embedded, OpenStore, Pieces};
use crate::home::Home;
use crate::notify::Notify;
use crate::notify::reach::Reach;
use crate::server::Placement;
use crate::tokens::Tokens;
use crate::transport::Listen;

/// What the agent of a master tells the coordinator beside it, in a file. One signal later says that the agent has nothing
/// more to do on this machine. No `Debug`: it holds a key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// The run.
    pub run: RunId,
    /// Opens the run's package.
    pub key: String,
    /// This machine, by AWS's name.
    pub instance: String,
    /// Where nodes reach this machine, and on which port.
    pub listen: SocketAddr,
    /// Folder of its own.
    pub home: PathBuf,
    /// Bucket of the store.
    pub bucket: String,
    /// Prefix before every key, empty or ending in `/`.
    pub prefix: String,
    /// Region of the store.
    pub region: String,
    /// URL of the store, where it is not AWS's own.
    pub store_endpoint: Option<String>,
    /// Where nodes register, if anywhere.
    pub consul: Option<ConsulSettings>,
}

/// Drives the run to its end, or until it is told to stop: the first signal says that the agent has ended, the second one
/// that this shall end too.
///
/// # Errors
/// The package cannot be read or opened, or something of this machine cannot be used. The agent starts it again.
pub async fn host(beside: Beside, mut level: watch::Receiver<Level>) -> anyhow::Result<()> {
    let store = OpenStore::elsewhere(store_config(&beside)?).await?;
    let sealed = store.store.get_capped(&layout::package(&beside.run), MAX).await?;
    let sealed = sealed.context("there is no package of the run in the store")?;
    let package = Package::open(&sealed.bytes, &beside.key)?;
    let home = Home::open(&beside.home)?;
    Tokens::lay_down(&home, &package.secret, &package.people)?;
    Authority::lay_down(&home, &package.authority)?;
    let listen = Listen {
        address: Some(beside.listen),
        always_tls: true,
        ..Listen::default()
    };
    let listener = TcpListener::bind(beside.listen)
        .await
        .with_context(|| format!("listen for nodes on {}", beside.listen))?;
    let listening = listen.protect(listener, &home)?;
    let (done, is_done) = watch::channel(false);
    let opened = Embedded::open(Pieces {
        clouds: Clouds::one(offered(&package, &beside, is_done).await?),
        tokens: Tokens::kept(&home)?,
        home,
        store,
        listening,
        placement: Placement::Master,
        notify: Notify {
            always: Vec::new(),
            secret: package.notify_secret.as_deref().map(Into::into),
            // A job's address is not to be taken for somebody of this network.
            reach: Reach::Public,
        },
        runs_max: 1,
        admin: None,
        serving: None,
        nodes_in_consul: None,
    });
    let opened = opened.await?;
    if !opened.server.host(&package.launch, &beside.run).await? {
        tracing::info!(run = %beside.run, "the run is over");
        return Ok(());
    }
    let entry = opened.server.run(&beside.run).await?;
    let embedded = opened.serve_from_now_on()?;
    let mut tasks = JoinSet::new();
    let store = embedded.store.store.clone();
    tasks.spawn(publish::publish(
        store.clone(),
        beside.run.clone(),
        entry.handle.view.clone(),
    ));
    tasks.spawn(listen::listen(
        store,
        beside.run.clone(),
        entry.handle.messages.clone(),
    ));
    let announced = match &beside.consul {
        Some(consul) => Some(embedded.announce(Consul::open(consul)?)),
        None => None,
    };
    let mut again = level.clone();
    let agent_ends = async {
        shutdown::reached(&mut level, 1).await;
        done.send_replace(true);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = embedded.drained() => {}
        () = agent_ends => {}
        () = shutdown::reached(&mut again, 2) => {}
    }
    // The last view is written when its owner is gone.
    let _late = tokio::time::timeout(super::PUBLISH_EVERY * 2, tasks.join_next()).await;
    if let Some(announced) = announced {
        announced.withdraw().await;
    }
    tasks.shutdown().await;
    embedded.stop().await;
    Ok(())
}

fn store_config(beside: &Beside) -> anyhow::Result<StoreConfig> {
    Ok(StoreConfig {
        endpoint: beside.store_endpoint.clone(),
        bucket: beside.bucket.clone(),
        prefix: beside.prefix.clone(),
        region: beside.region.clone(),
        access: Access::InstanceProfile(InstanceProfile::new(Imds::from_environment()?)),
    })
}

async fn offered(package: &Package, beside: &Beside, done: watch::Receiver<bool>) -> anyhow::Result<Offered> {
    let place = Place {
        region: Some(package.place.region.clone()),
        profile: None,
        endpoint: package.place.endpoint.clone(),
    };
    let site = AwsSite {
        account: Account::open(&place).await?,
        // Its plan names all that there is of it.
        network: Network::Named(String::new()),
        image: None,
        key_pair: None,
        consul: beside.consul.clone(),
        store_endpoint: beside.store_endpoint.clone(),
        look_every: Duration::from_secs(package.place.look_every_secs.max(1)),
        own: Some(Own {
            instance: beside.instance.clone(),
            done,
        }),
    };
    Ok(Offered {
        name: "aws",
        cloud: Arc::new(AwsCloud::new(site)),
        timing: timing(),
    })
}
