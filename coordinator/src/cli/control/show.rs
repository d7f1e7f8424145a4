//! `control show`.

use std::path::PathBuf;

use mayfly_aws::catalog::prices;
use mayfly_aws::control::{self, Parts};

use super::text::Known;
use super::{Failure, Site, Which, write};
use crate::cli::out;
use crate::control::identity::Identity;
use crate::control::whereabouts::Whereabouts;
use crate::embedded::OpenStore;

/// Flags of `control show`.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    #[command(flatten)]
    which: Which,
    /// Write the token of people to a file that nobody else may read
    #[arg(long, value_name = "FILE")]
    token_to: Option<PathBuf>,
    /// Write the token of people in the server's Consul to a file that nobody else may read
    #[arg(long, value_name = "FILE")]
    consul_token_to: Option<PathBuf>,
    /// Write the settings of a person's commands (client.yml), and the token beside them
    #[arg(long, value_name = "FILE")]
    client: Option<PathBuf>,
}

/// Shows what there is, and writes what is asked for.
pub(super) async fn run(flags: &Flags) -> Result<u8, Failure> {
    let site = flags.which.open().await?;
    let parts = control::find(&site.account, &flags.which.network).await?;
    let store = site.store().await?;
    let server = match &store {
        Some(store) => Whereabouts::read(&store.store, &parts.network).await?,
        None => None,
    };
    let known = Known {
        parts: &parts,
        server: server.as_ref(),
        hourly: hourly(&site, &parts).await,
    };
    known.show(flags.which.json)?;
    if flags.token_to.is_some() || flags.consul_token_to.is_some() || flags.client.is_some() {
        let store = site.its_store().await?;
        files(flags, &parts, server.as_ref(), &store).await?;
    }
    Ok(0)
}

/// What its machine costs, as far as AWS says so.
async fn hourly(site: &Site, parts: &Parts) -> Option<u64> {
    let kinds = [parts.machines.first()?.kind.clone()];
    match prices(&site.account, &kinds, false).await {
        Ok(prices) => prices.most(&kinds),
        Err(error) => {
            out::note(&error.to_string());
            None
        }
    }
}

async fn files(
    flags: &Flags,
    parts: &Parts,
    server: Option<&Whereabouts>,
    store: &OpenStore,
) -> Result<(), Failure> {
    let network = &parts.network;
    let none = || {
        Failure::usage(format!(
            "the network {network} has no server that has ever served: `coordinator control create {network}` makes it"
        ))
    };
    let identity = Identity::read(&store.store, network).await?.ok_or_else(none)?;
    if let Some(path) = &flags.token_to {
        write::token(path, identity.people())?;
        out::note(&format!("the token is in {}", path.display()));
    }
    if let Some(path) = &flags.consul_token_to {
        write::token(path, &identity.people_in_consul())?;
        out::note(&format!("the token of Consul is in {}", path.display()));
    }
    if let Some(path) = &flags.client {
        write::client(path, server.ok_or_else(none)?, identity.people())?;
        out::note(&format!(
            "{} names the server, and the token beside it",
            path.display()
        ));
    }
    Ok(())
}
