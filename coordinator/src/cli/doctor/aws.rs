//! What is looked at in an account of AWS, with the credentials of whoever asks.

use std::path::PathBuf;

use mayfly_aws::Account;
use mayfly_configs::{AwsSettings, Job, NetworkAt, Secs, Settings, load_settings};
use mayfly_kit::store::{Store, StoreConfig};

use super::Flags;
use crate::check::{self, Check, Checks};
use crate::cli::aws::AwsArgs;
use crate::cli::consul::ConsulArgs;
use crate::cli::failure::Failure;
use crate::cli::{serve, storage};
use crate::cloud::aws::{AwsSite, Place};

/// Where in AWS.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "AWS")]
pub(super) struct Whereabouts {
    /// Settings of a server (YAML), for its network, image and store
    #[arg(long, env = "MAYFLY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    place: AwsArgs,
    /// The network: its name, `consul:PATH`, or ids of subnets
    #[arg(long, default_value = "default", value_name = "NETWORK", value_parser = network)]
    network: NetworkAt,
    /// The machine image [default: the newest of the account that fits]
    #[arg(long, value_name = "AMI")]
    image: Option<String>,
}

fn network(text: &str) -> Result<NetworkAt, String> {
    NetworkAt::new(text).map_err(|problem| problem.to_string())
}

/// Looks at everything that a launch of this job needs.
///
/// # Errors
/// The settings are wrong, or no region is configured.
pub(super) async fn examine(flags: &Flags, job: &Job, checks: &mut Checks) -> Result<(), Failure> {
    let settings = flags
        .aws
        .config
        .as_deref()
        .map(|path| load_settings(Some(path), &[]))
        .transpose()?;
    let store = match settings.as_ref().and_then(|settings| settings.store.as_ref()) {
        Some(store) => Some(serve::store_config(store)?),
        None => storage::named().await?,
    };
    let site = site(flags, settings.as_ref(), store.as_ref()).await?;
    let place = match &store {
        Some(config) => {
            let store = Store::open(config);
            checks.0.push(check::store(&store).await);
            store.s3_url("")
        }
        None => {
            checks.0.push(Check::skipped(
                "store",
                "none is named: MAYFLY_STORE=s3://BUCKET/PREFIX, or --config",
            ));
            String::new()
        }
    };
    site.examine(job, &place, checks).await;
    Ok(())
}

async fn site(
    flags: &Flags,
    settings: Option<&Settings>,
    store: Option<&StoreConfig>,
) -> Result<AwsSite, Failure> {
    let aws = settings.and_then(|settings| settings.aws.clone());
    let aws = aws.unwrap_or_else(|| of_flags(&flags.aws));
    let consul = match settings.and_then(|settings| settings.consul.clone()) {
        Some(file) => ConsulArgs::from(file).sides()?,
        None => flags.consul.sides()?,
    };
    let place = mayfly_aws::Place {
        region: aws.region.clone(),
        profile: aws.profile.clone(),
        endpoint: aws.endpoint.clone(),
    };
    let account = Account::open(&place).await;
    Ok(AwsSite {
        account: account.map_err(|error| Failure::usage(error.to_string()))?,
        network: Place::of(&aws, consul.as_ref().map(|sides| &sides.own))
            .map_err(|error| Failure::usage(error.to_string()))?,
        image: aws.image,
        key_pair: aws.key_pair,
        consul: None,
        store_endpoint: store.and_then(|store| store.endpoint.clone()),
        look_every: aws.look_every.as_duration(),
        own: None,
    })
}

fn of_flags(flags: &Whereabouts) -> AwsSettings {
    let mayfly_aws::Place {
        region,
        profile,
        endpoint,
    } = flags.place.place();
    AwsSettings {
        network: flags.network.clone(),
        security_group: None,
        instance_profile: None,
        job_role: None,
        region,
        profile,
        endpoint,
        image: flags.image.clone(),
        key_pair: None,
        // Nothing is watched.
        look_every: Secs(1),
    }
}
