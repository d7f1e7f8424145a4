//! Looks the job's secrets up: into its environment, marked as what no record and no log may hold.

use std::path::Path;

#[cfg(feature = "aws")]
use mayfly_aws::{Account, AwsError, secrets};
use mayfly_configs::{Job, Secret};
use mayfly_kit::consul::Consul;

use crate::cli::consul::ConsulArgs;
use crate::cli::failure::Failure;
use crate::cli::secret;

/// A shorter one cannot be taken out of logs without innocent text.
const CHARS_MIN: usize = 8;
const BYTES_MAX: usize = 16_384;

/// Every secret of the job; files are relative to `base`.
///
/// # Errors
/// One is not there, or is too short to be kept out of logs.
pub(super) async fn resolve(job: &mut Job, base: &Path, consul: &ConsulArgs) -> Result<(), Failure> {
    for (name, from) in job.secrets.clone() {
        let what = format!("the secret {name}");
        let value = match &from {
            Secret::Env(variable) => std::env::var(variable)
                .map_err(|_| Failure::usage(format!("{what}: the variable {variable} is not set")))?,
            Secret::File(file) => secret::read(&what, &base.join(file))?,
            Secret::Consul(key) => in_consul(&what, key, consul).await?,
            #[cfg(feature = "aws")]
            Secret::Ssm(name) => {
                in_aws(&what, name, async |account, name| {
                    secrets::parameter(account, name).await
                })
                .await?
            }
            #[cfg(feature = "aws")]
            Secret::SecretsManager(name) => {
                in_aws(&what, name, async |account, name| {
                    secrets::secret(account, name).await
                })
                .await?
            }
            #[cfg(not(feature = "aws"))]
            Secret::Ssm(_) | Secret::SecretsManager(_) => {
                return Err(Failure::usage(format!(
                    "{what} is kept by AWS, and this program was built without it"
                )));
            }
        };
        if value.chars().count() < CHARS_MIN || value.len() > BYTES_MAX {
            return Err(Failure::usage(format!(
                "{what} has {} characters: a secret has {CHARS_MIN} at least, so that it can be kept out of logs, and \
                 {BYTES_MAX} bytes at most",
                value.chars().count()
            )));
        }
        if value.chars().any(|c| c == '\0') {
            return Err(Failure::usage(format!(
                "{what} holds a NUL, which no environment can"
            )));
        }
        job.env.interpolated.insert(name.clone());
        job.env.values.insert(name, value);
    }
    Ok(())
}

async fn in_consul(what: &str, key: &str, consul: &ConsulArgs) -> Result<String, Failure> {
    let sides = consul.sides()?;
    let Some(sides) = sides else {
        return Err(Failure::usage(format!(
            "{what} is in Consul: say where that is with --consul"
        )));
    };
    let consul = Consul::open(&sides.own).map_err(|error| Failure::chain("open Consul", &error))?;
    let found = consul
        .get(key)
        .await
        .map_err(|error| Failure::chain("ask Consul", &error))?;
    let found = found.ok_or_else(|| Failure::usage(format!("{what}: there is no key {key:?} in Consul")))?;
    let text =
        String::from_utf8(found.bytes).map_err(|_| Failure::usage(format!("{what}: not UTF-8 text")))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// With the keys, the region and the endpoint that AWS's own tools would use here.
#[cfg(feature = "aws")]
async fn in_aws(
    what: &str,
    name: &str,
    read: impl AsyncFnOnce(&Account, &str) -> Result<Option<String>, AwsError>,
) -> Result<String, Failure> {
    let account = crate::cli::aws::of_environment().await?;
    let found = read(&account, name).await;
    let found = found.map_err(|error| Failure::usage(format!("{what}: {error}")))?;
    found.ok_or_else(|| {
        let region = account.region();
        Failure::usage(format!("{what}: AWS has no {name:?} in {region}"))
    })
}
