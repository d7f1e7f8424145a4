//! The Consul beside a server: new on each of its machines, closed to everybody without a token, with the same tokens again.
//!
//! What people keep in it, their jobs, is copied into the store every few seconds, and put back on the next machine.
//! Everything else in it comes back by itself.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use data_encoding::BASE64;
use mayfly_configs::ConsulPolicy;
use mayfly_kit::backoff::{Backoff, Policy, jitter};
use mayfly_kit::consul::{Bootstrap, Cas, Consul, ConsulSettings};
use mayfly_kit::layout;
use mayfly_kit::store::Store;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::consul::Sides;
use crate::home::{Home, write_private};
use crate::tokens::Tokens;

/// The token that may do everything, as this machine's Consul has told it.
const FIRST: &str = "consul.token";
/// Consul tells its first token again to whoever writes a number into this file of its data folder.
const RESET: &str = "acl-bootstrap-reset";
/// What is kept.
const FOLDER: &str = "jobs/";
/// Most keys, and most bytes of their values together, that are kept.
const KEYS_MAX: usize = 2_000;
const BYTES_MAX: usize = 16 << 20;
/// Between two copies.
const COPY_EVERY: Duration = Duration::from_secs(15);
const AGAIN: Policy = Policy {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(15),
    budget: Duration::MAX,
};

/// What the agent tells of the Consul that it keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// `http://host:port`.
    pub address: String,
    /// Its data folder.
    pub data: PathBuf,
}

/// One key and its value in base64.
type Pair = (String, String);

/// How it is used here, and by nodes.
pub(super) fn sides(beside: &Beside, tokens: &Tokens) -> Sides {
    let with = |policy: ConsulPolicy| ConsulSettings {
        token: Some(tokens.consul(policy.name())),
        ..ConsulSettings::at(&beside.address)
    };
    Sides {
        own: with(ConsulPolicy::Coordinator),
        nodes: with(ConsulPolicy::Node),
    }
}

/// Sets it up as soon as it is there, and then copies what people keep in it, for ever.
pub(super) async fn tend(beside: Beside, tokens: Tokens, home: Home, store: Store, network: String) {
    let mut waits = Backoff::new(AGAIN, jitter);
    let consul = loop {
        match set_up(&beside, &tokens, &home, &store, &network).await {
            Ok(consul) => break consul,
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "Consul is not set up yet; trying again"
                );
                sleep(waits.next().unwrap_or(AGAIN.cap)).await;
            }
        }
    };
    tracing::info!(address = beside.address, "Consul is set up");
    let mut kept = None;
    loop {
        match pairs(&consul).await {
            Ok(found) if kept.as_ref() != Some(&found) => match keep(&store, &network, &found).await {
                Ok(()) => kept = Some(found),
                Err(error) => tracing::warn!(error = format!("{error:#}"), "jobs in Consul are not copied"),
            },
            Ok(_) => {}
            Err(error) => tracing::warn!(error = format!("{error:#}"), "jobs in Consul are not copied"),
        }
        sleep(COPY_EVERY).await;
    }
}

/// Policies, tokens, and what the last machine's had; the client that may do everything.
async fn set_up(
    beside: &Beside,
    tokens: &Tokens,
    home: &Home,
    store: &Store,
    network: &str,
) -> anyhow::Result<Consul> {
    let first = first_token(beside, home).await?;
    let consul = Consul::open(&ConsulSettings {
        token: Some(first),
        ..ConsulSettings::at(&beside.address)
    })?;
    for policy in ConsulPolicy::ALL {
        consul.ensure_policy(policy.name(), policy.rules()).await?;
        consul
            .ensure_token(&tokens.consul(policy.name()), policy.name())
            .await?;
    }
    let own = tokens.consul(ConsulPolicy::Agent.name());
    consul.set_agent_token(&own).await?;
    put_back(&consul, store, network).await?;
    Ok(consul)
}

/// Told once by each Consul, and kept on this machine.
async fn first_token(beside: &Beside, home: &Home) -> anyhow::Result<String> {
    let file = home.path().join(FIRST);
    match std::fs::read_to_string(&file) {
        Ok(token) => return Ok(token.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).context("read Consul's first token"),
    }
    match Consul::open(&ConsulSettings::at(&beside.address))?
        .bootstrap()
        .await?
    {
        Bootstrap::Token(token) => {
            write_private(&file, token.as_bytes()).context("keep Consul's first token")?;
            Ok(token)
        }
        // This process died between the answer and the file.
        Bootstrap::Closed { reset_index } => {
            let reset = beside.data.join(RESET);
            std::fs::write(&reset, reset_index.to_string())
                .context("have Consul tell its first token again")?;
            anyhow::bail!("its first token was told and lost; it is asked to tell it again");
        }
    }
}

async fn pairs(consul: &Consul) -> anyhow::Result<Vec<Pair>> {
    let keys = consul.list(FOLDER).await?;
    anyhow::ensure!(keys.len() <= KEYS_MAX, "there are more than {KEYS_MAX} of them");
    let (mut found, mut bytes) = (Vec::new(), 0);
    for key in keys {
        let Some(value) = consul.get(&key).await? else {
            continue;
        };
        bytes += value.bytes.len();
        anyhow::ensure!(bytes <= BYTES_MAX, "they are larger than {BYTES_MAX} bytes");
        found.push((key, BASE64.encode(&value.bytes)));
    }
    Ok(found)
}

async fn keep(store: &Store, network: &str, pairs: &[Pair]) -> anyhow::Result<()> {
    let text = serde_json::to_vec(pairs)?;
    store.put(&layout::control_consul(network), text).await?;
    Ok(())
}

/// Keys that are there already stay as they are.
async fn put_back(consul: &Consul, store: &Store, network: &str) -> anyhow::Result<()> {
    // In base64, with quotes and keys around it.
    let max = 2 * BYTES_MAX as u64;
    let Some(object) = store.get_capped(&layout::control_consul(network), max).await? else {
        return Ok(());
    };
    let pairs: Vec<Pair> =
        serde_json::from_slice(&object.bytes).context("read the jobs that were in Consul")?;
    for (key, value) in pairs {
        let value = BASE64
            .decode(value.as_bytes())
            .context("read the jobs that were in Consul")?;
        consul.put(&key, value, Cas::New).await?;
    }
    Ok(())
}
