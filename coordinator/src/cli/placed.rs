//! Runs whose coordinator lives on their own master: begun and followed by a command that nobody needs to reach.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use mayfly_aws::{Account, network};
use mayfly_kit::consul::ConsulSettings;
use mayfly_proto::RunId;
use tokio::net::TcpListener;

use super::aws::{self, AwsArgs};
use super::failure::Failure;
use super::{notify, signals, storage};
use crate::authority::Authority;
use crate::cloud::aws::{AwsCloud, AwsSite, Place as Network, timing};
use crate::cloud::{Clouds, Offered};
use crate::embedded::{Embedded, OpenStore, Pieces, loopback};
use crate::home::Home;
use crate::placed::host::{Beside, host};
use crate::placed::package::Place;
use crate::server::{Placement, Placing};
use crate::tokens::Tokens;
use crate::transport::Listen;

/// Between two looks at the machines.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Where `launch --on aws` finds everything, when no server does it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "AWS, without a coordinator")]
pub(crate) struct Placed {
    /// Network that fleets are launched in
    #[arg(long, env = "MAYFLY_NETWORK", default_value = "default", value_name = "NAME")]
    network: String,
    /// Where runs are kept [default: what the network was made with]
    #[arg(long, env = "MAYFLY_STORE", value_name = "s3://BUCKET/PREFIX")]
    store: Option<String>,
    /// The image, as ami-… [default: the newest that fits]
    #[arg(long, env = "MAYFLY_IMAGE", value_name = "AMI")]
    image: Option<String>,
    /// Key pair for whoever wants to log in
    #[arg(long, env = "MAYFLY_KEY_PAIR", value_name = "NAME")]
    key_pair: Option<String>,
    #[command(flatten)]
    aws: AwsArgs,
}

/// What begins a run and follows it; `kept` is where its job says that it is kept.
///
/// # Errors
/// There are no credentials, no network or no store.
pub(crate) async fn open(
    flags: &Placed,
    home: &Path,
    consul: Option<ConsulSettings>,
    kept: Option<&str>,
) -> Result<Embedded, Failure> {
    let account = flags.aws.open().await?;
    let store = match kept.or(flags.store.as_deref()) {
        Some(store) => store.to_owned(),
        None => store_of(&account, &flags.network).await?,
    };
    let store = OpenStore::elsewhere(storage::at(&store).await?).await?;
    let site = AwsSite {
        account,
        network: Network::Named(flags.network.clone()),
        image: flags.image.clone(),
        key_pair: flags.key_pair.clone(),
        consul,
        store_endpoint: store.config.endpoint.clone(),
        look_every: LOOK_EVERY,
        own: None,
    };
    Ok(begin(home, store, site, flags.aws.endpoint()).await?)
}

async fn store_of(account: &Account, name: &str) -> Result<String, Failure> {
    let parts = network::find(account, name).await?;
    if parts.vpc.is_none() {
        return Err(Failure::usage(format!(
            "there is no network {name} in {}: `coordinator network create` makes one, --coordinator names a server that \
             has one",
            account.region()
        )));
    }
    parts.store.ok_or_else(|| {
        Failure::usage(format!(
            "the network {name} does not say where its runs are kept: give --store s3://BUCKET/PREFIX, or make it again \
             with `coordinator network create`"
        ))
    })
}

/// Follows a run that is there, with what the environment has.
///
/// # Errors
/// There are no credentials, or another command on this machine follows it already.
pub(super) async fn follow(home: &Path, store: OpenStore, run: &RunId) -> Result<Embedded, Failure> {
    let account = aws::of_environment().await?;
    let endpoint = account.endpoint();
    let site = AwsSite {
        account,
        network: Network::Named(String::new()),
        image: None,
        key_pair: None,
        consul: None,
        store_endpoint: store.config.endpoint.clone(),
        look_every: LOOK_EVERY,
        own: None,
    };
    let embedded = begin(home, store, site, endpoint.as_deref()).await?;
    let followed = embedded.follow(run).await;
    followed.map_err(|error| Failure::chain("follow the run", &error))?;
    Ok(embedded)
}

async fn begin(
    home: &Path,
    store: OpenStore,
    site: AwsSite,
    endpoint: Option<&str>,
) -> anyhow::Result<Embedded> {
    let home = Home::open(home)?;
    let (authority, fingerprint) = Authority::fresh()?;
    let placing = Placing {
        authority,
        fingerprint,
        place: Place {
            region: site.account.region().to_owned(),
            endpoint: endpoint.map(str::to_owned),
            look_every_secs: site.look_every.as_secs(),
        },
    };
    let listener = TcpListener::bind(loopback())
        .await
        .context("listen on loopback")?;
    let listening = Listen::default().protect(listener, &home)?;
    let opened = Embedded::open(Pieces {
        home,
        store,
        listening,
        clouds: Clouds::one(Offered {
            name: "aws",
            cloud: Arc::new(AwsCloud::new(site)),
            timing: timing(),
        }),
        tokens: Tokens::generate().context("draw the run's tokens")?,
        placement: Placement::OnMaster(placing),
        runs_max: 1,
        admin: None,
        serving: None,
        nodes_in_consul: None,
        notify: notify::of_command().map_err(|failure| anyhow::anyhow!(failure.message))?,
    });
    opened.await?.serve_from_now_on()
}

/// `on-master`: the coordinator beside the agent of a master.
///
/// # Errors
/// What the agent says cannot be used, or the run cannot be taken over.
pub(crate) async fn on_master(file: &Path) -> Result<u8, Failure> {
    let shown = file.display();
    let text = std::fs::read(file).map_err(|e| Failure::usage(format!("cannot read {shown}: {e}")))?;
    let beside: Beside =
        serde_json::from_slice(&text).map_err(|e| Failure::usage(format!("{shown} cannot be used: {e}")))?;
    let signals = signals::counting()?;
    host(beside, signals.level.clone()).await?;
    Ok(0)
}
