//! Which store a command reads: the one that the environment names, else the embedded one of the home.

use mayfly_configs::S3Prefix;
use mayfly_kit::store::{Access, StoreConfig};
use mayfly_proto::v1::GetStoreReply;

use super::failure::Failure;

/// `s3://bucket/prefix`: as jobs have it in their environment.
pub(crate) const STORE_VAR: &str = "MAYFLY_STORE";

/// Whether the environment names a store.
///
/// # Errors
/// What it names is none.
pub(crate) fn is_named() -> Result<bool, Failure> {
    Ok(parse(&variable)?.is_some())
}

/// The store that the environment names, with the variables of AWS' own tools.
///
/// # Errors
/// It is not one, or there are no keys for it.
pub(crate) async fn named() -> Result<Option<StoreConfig>, Failure> {
    match parse(&variable)? {
        Some(named) => Ok(Some(open(named).await?)),
        None => Ok(None),
    }
}

/// A store by its `s3://bucket/prefix`, with the variables of AWS' own tools.
///
/// # Errors
/// As [`named`].
pub(crate) async fn at(url: &str) -> Result<StoreConfig, Failure> {
    open(place("the store", url, &variable)?).await
}

/// The store that a coordinator names, with the keys of AWS' own tools.
///
/// # Errors
/// There are no keys for it.
pub(crate) async fn told(place: GetStoreReply) -> Result<StoreConfig, Failure> {
    let url = format!("s3://{}/{}", place.bucket, place.prefix.trim_end_matches('/'));
    let named = self::place("the store of the coordinator", &url, &variable)?;
    open(Named {
        endpoint: Some(place.endpoint).filter(|endpoint| !endpoint.is_empty()),
        region: Some(place.region),
        ..named
    })
    .await
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The first part of every key below a prefix that has no `/` at its ends.
pub(crate) fn key_prefix(prefix: &str) -> String {
    if prefix.is_empty() {
        String::new()
    } else {
        format!("{prefix}/")
    }
}

/// A store as it is named; without keys where the environment has none.
struct Named {
    endpoint: Option<String>,
    bucket: String,
    prefix: String,
    region: Option<String>,
    keys: Option<(String, String)>,
}

fn parse(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Named>, Failure> {
    let url = variable(STORE_VAR);
    url.map(|url| place(STORE_VAR, &url, variable)).transpose()
}

fn place(what: &str, url: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Named, Failure> {
    let place =
        S3Prefix::new(url).map_err(|problem| Failure::usage(format!("{what} {}", problem.message)))?;
    // Keys with a session token end: the chain of AWS's own tools knows how to get others.
    let lasting = variable("AWS_SESSION_TOKEN").is_none();
    let keys = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
    Ok(Named {
        endpoint: variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL")),
        bucket: place.bucket().to_owned(),
        prefix: key_prefix(place.prefix()),
        region: variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")),
        keys: keys.filter(|_| lasting),
    })
}

async fn open(named: Named) -> Result<StoreConfig, Failure> {
    let (access, region) = match named.keys {
        Some((access_key, secret_key)) => (Access::keys(access_key, secret_key), named.region),
        None => chain(named.region).await?,
    };
    Ok(StoreConfig {
        endpoint: named.endpoint,
        bucket: named.bucket,
        prefix: named.prefix,
        region: region.unwrap_or_else(|| "us-east-1".to_owned()),
        access,
    })
}

/// What the AWS CLI would use here: a profile, single sign-on, the role of this machine.
#[cfg(feature = "aws")]
async fn chain(region: Option<String>) -> Result<(Access, Option<String>), Failure> {
    let place = mayfly_aws::Place {
        region,
        profile: variable("AWS_PROFILE"),
        endpoint: None,
    };
    let account = mayfly_aws::Account::open(&place)
        .await
        .map_err(|error| Failure::usage(error.to_string()))?;
    let chain = account.config().credentials_provider();
    let chain = chain.ok_or_else(|| Failure::usage("AWS's tools have no credentials on this machine"))?;
    Ok((Access::Chain(chain), Some(account.region().to_owned())))
}

#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "as with the feature")]
async fn chain(_region: Option<String>) -> Result<(Access, Option<String>), Failure> {
    Err(Failure::usage(format!(
        "{STORE_VAR} is set, and AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not: both are needed"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<Named>, Failure> {
        parse(&|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_store_is_named_by_its_url_and_keys_that_last_go_with_it() {
        assert!(of(&[]).unwrap().is_none());
        let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
        let with = |url| of(&[("MAYFLY_STORE", url), keys[0], keys[1]]);
        let named = with("s3://team/mayfly/").unwrap().unwrap();
        assert_eq!(
            (named.bucket.as_str(), named.prefix.as_str()),
            ("team", "mayfly/")
        );
        assert_eq!(named.keys, Some(("a".to_owned(), "b".to_owned())));
        assert_eq!(with("s3://team").unwrap().unwrap().prefix, "");
        assert!(with("team").is_err() && with("s3://").is_err());
        for lacks in [&keys[..1], &[keys[0], keys[1], ("AWS_SESSION_TOKEN", "c")]] {
            let all: Vec<_> = [("MAYFLY_STORE", "s3://team")]
                .iter()
                .chain(lacks)
                .copied()
                .collect();
            assert_eq!(of(&all).unwrap().unwrap().keys, None);
        }
    }
}
