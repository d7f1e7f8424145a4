//! `control`: the server of a team on AWS, one machine in a group of one.

mod create;
mod destroy;
mod show;
mod text;
mod write;

use std::path::Path;

use mayfly_aws::Account;
use mayfly_aws::network::{self, Parts};

use super::aws::AwsArgs;
use super::failure::Failure;
use super::network::{DEFAULT, name};
use super::{signals, storage};
use crate::control::host::{Told, host};
use crate::embedded::OpenStore;

/// Flags of `control`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator network create --bucket my-runs        first a network, once
  coordinator control create --from 203.0.113.0/24   says what it costs, asks, makes it, waits until it serves
  coordinator control show --client ~/.config/mayfly/client.yml
                                                     for whoever launches: where it is, whom to trust, the token
  coordinator launch flights                         goes there from then on
  coordinator control destroy --yes

Every step may be repeated. When its machine ends AWS makes another, which goes on with its runs.")]
pub(crate) struct Flags {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make the server of a network, or what is missing of it
    Create(create::Flags),
    /// Show what there is of it; write what people need to reach it
    Show(show::Flags),
    /// Take it away, with what it keeps in the store
    Destroy(destroy::Flags),
}

/// Which server.
#[derive(Debug, clap::Args)]
struct Which {
    /// Name of its network
    #[arg(default_value = DEFAULT, value_parser = name)]
    network: String,
    #[command(flatten)]
    aws: AwsArgs,
    /// One JSON object: {schema, control, server, hourly_micros}
    #[arg(long)]
    json: bool,
}

/// The network of a server.
struct Site {
    account: Account,
    parts: Parts,
}

impl Which {
    async fn open(&self) -> Result<Site, Failure> {
        let account = self.aws.open().await?;
        let parts = network::find(&account, &self.network).await?;
        Ok(Site { account, parts })
    }
}

impl Site {
    /// `s3://bucket/prefix` of its runs, and the store there; `None` where the network does not say.
    async fn store(&self) -> Result<Option<OpenStore>, Failure> {
        match &self.parts.store {
            Some(url) => Ok(Some(OpenStore::elsewhere(storage::at(url).await?).await?)),
            None => Ok(None),
        }
    }

    /// The same, where it must be there.
    async fn its_store(&self) -> Result<OpenStore, Failure> {
        let (name, region) = (&self.parts.name, self.account.region());
        self.store().await?.ok_or_else(|| {
            Failure::usage(format!(
                "there is no network {name} with a store in {region}: `coordinator network create {name} --bucket …` makes \
                 one"
            ))
        })
    }
}

/// Does what the verb says.
///
/// # Errors
/// AWS refuses or does not answer.
pub(crate) async fn run(flags: &Flags) -> Result<u8, Failure> {
    match &flags.verb {
        Verb::Create(flags) => create::run(flags).await,
        Verb::Show(flags) => show::run(flags).await,
        Verb::Destroy(flags) => destroy::run(flags).await,
    }
}

/// `on-control`: the coordinator on the machine of a server.
///
/// # Errors
/// What the agent says cannot be used, or it cannot serve.
pub(crate) async fn on_control(file: &Path) -> Result<u8, Failure> {
    let shown = file.display();
    let text = std::fs::read(file).map_err(|e| Failure::usage(format!("cannot read {shown}: {e}")))?;
    let told: Told =
        serde_json::from_slice(&text).map_err(|e| Failure::usage(format!("{shown} cannot be used: {e}")))?;
    let signals = signals::counting()?;
    host(told, signals.level.clone()).await?;
    Ok(0)
}
