//! User data: what a node is told that does not belong into tags.

use mayfly_kit::imds::{Imds, ImdsError};
use mayfly_kit::tls::Fingerprint;
use serde::Deserialize;

use crate::config::{ConsulSettings, JobRole};

const PATH: &str = "user-data";
/// The shape that this agent reads.
const VERSION: u32 = 1;
const TOKEN_MAX: usize = 4096;

/// User data. No `Debug`: the join token is a secret, if a short one.
pub(super) struct UserData {
    /// Exchanged at enrolment.
    pub(super) join_token: String,
    /// Opens the package of the coordinator that this master is to start.
    pub(super) package_key: Option<String>,
    /// Authority that the coordinator's certificate must come from.
    pub(super) fingerprint: Option<String>,
    /// Consul, if nodes of this run are to use one.
    pub(super) consul: Option<ConsulSettings>,
    /// Where the store is; `None` for AWS itself.
    pub(super) store_endpoint: Option<String>,
    /// What the job gets its keys from.
    pub(super) job_role: Option<JobRole>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    join_token: String,
    #[serde(default)]
    package_key: Option<String>,
    #[serde(default)]
    fingerprint: Option<String>,
    #[serde(default)]
    consul: Option<ConsulAt>,
    #[serde(default)]
    store_endpoint: Option<String>,
    #[serde(default)]
    job_role: Option<JobRole>,
}

/// Consul without a token: everybody on the instance can read user data.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsulAt {
    address: String,
    #[serde(default)]
    datacenter: Option<String>,
    #[serde(default)]
    prefix: Option<String>,
}

impl UserData {
    pub(super) async fn read(imds: &Imds) -> Result<Self, ImdsError> {
        decode(&imds.need(PATH).await?.text)
    }
}

fn decode(text: &str) -> Result<UserData, ImdsError> {
    let wrong = |wanted, found: String| ImdsError::malformed(PATH, wanted, found);
    let document: Document = serde_json::from_str(text).map_err(|error| {
        wrong(
            "a JSON object of version, join_token, package_key, fingerprint, consul, store_endpoint, job_role",
            format!("not: {error}"),
        )
    })?;
    if document.version != VERSION {
        return Err(wrong("of version 1", format!("of version {}", document.version)));
    }
    let secrets = [
        (
            Some(&document.join_token),
            "with a join_token of visible characters",
        ),
        (
            document.package_key.as_ref(),
            "with a package_key of visible characters",
        ),
    ];
    for (secret, wanted) in secrets {
        if let Some(found) = secret.filter(|secret| !is_secret(secret)) {
            return Err(wrong(
                wanted,
                format!("with {} bytes of something else", found.len()),
            ));
        }
    }
    if let Some(print) = &document.fingerprint {
        let parsed: Result<Fingerprint, _> = print.parse();
        parsed.map_err(|error| wrong("with a fingerprint as sha256:… or null", error.to_string()))?;
    }
    let consul = document.consul.map(consul).transpose()?;
    let http = |url: &String| url.starts_with("http://") || url.starts_with("https://");
    if let Some(url) = document.store_endpoint.as_ref().filter(|url| !http(url)) {
        return Err(wrong("with a store_endpoint as https://HOST", format!("{url:?}")));
    }
    if let Some(role) = &document.job_role {
        let role_of_iam = role.arn.starts_with("arn:") && role.arn.contains(":role/");
        if !role_of_iam || !role.endpoint.as_ref().is_none_or(http) {
            return Err(wrong(
                "with a job_role of an ARN and perhaps an endpoint",
                format!("{role:?}"),
            ));
        }
    }
    Ok(UserData {
        job_role: document.job_role,
        join_token: document.join_token,
        package_key: document.package_key,
        fingerprint: document.fingerprint,
        consul,
        store_endpoint: document.store_endpoint,
    })
}

fn is_secret(text: &str) -> bool {
    !text.is_empty() && text.len() <= TOKEN_MAX && text.bytes().all(|c| c.is_ascii_graphic())
}

fn consul(at: ConsulAt) -> Result<ConsulSettings, ImdsError> {
    let defaults = ConsulSettings::at(at.address);
    let settings = ConsulSettings {
        datacenter: at.datacenter,
        prefix: at.prefix.unwrap_or_else(|| defaults.prefix.clone()),
        ..defaults
    };
    let checked = settings.check();
    checked.map_err(|error| ImdsError::malformed(PATH, "with settings of Consul", error.to_string()))?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_is_taken_whole_or_what_would_be_right_is_said() {
        let least = decode(r#"{"version":1,"join_token":"abc"}"#).ok().unwrap();
        assert!(least.consul.is_none() && least.fingerprint.is_none() && least.store_endpoint.is_none());
        let print = format!("sha256:{}", "0a".repeat(32));
        let all = format!(
            r#"{{"version":1,"join_token":"abc","fingerprint":"{print}","store_endpoint":"http://127.0.0.1:1",
                "job_role":{{"arn":"arn:aws:iam::111122223333:role/mayfly-default-job"}},
                "consul":{{"address":"10.0.0.2:8500","datacenter":"dc1","prefix":"team"}}}}"#
        );
        let all = decode(&all).ok().unwrap();
        assert!(all.job_role.is_some_and(|role| role.endpoint.is_none()));
        assert_eq!(all.consul.map(|consul| consul.prefix), Some("team".into()));
        for (bad, says) in [
            (r#"{"version":2,"join_token":"abc"}"#, "of version 1"),
            (
                r#"{"version":1,"join_token":"abc","color":"red"}"#,
                "expected one of",
            ),
            (
                r#"{"version":1,"join_token":"abc","join_token":"abd"}"#,
                "duplicate field",
            ),
            (r#"{"version":1,"join_token":""}"#, "join_token"),
            (r#"{"version":1}"#, "missing field `join_token`"),
            (
                r#"{"version":1,"join_token":"abc","package_key":"a b"}"#,
                "package_key",
            ),
            (
                r#"{"version":1,"join_token":"abc","fingerprint":"md5:1"}"#,
                "fingerprint",
            ),
            (
                r#"{"version":1,"join_token":"abc","store_endpoint":"ftp://x"}"#,
                "store_endpoint",
            ),
            (
                r#"{"version":1,"join_token":"abc","job_role":{"arn":"admin"}}"#,
                "job_role",
            ),
            (
                r#"{"version":1,"join_token":"abc","job_role":{"arn":"arn:aws:iam::1:role/x","endpoint":"file:///x"}}"#,
                "job_role",
            ),
            (
                r#"{"version":1,"join_token":"abc","consul":{"address":"x","token":"t"}}"#,
                "unknown field `token`",
            ),
            (
                r#"{"version":1,"join_token":"abc","consul":{"address":"a b"}}"#,
                "Consul",
            ),
            ("#!/bin/sh\nreboot", "line 1"),
            ("", "line 1"),
        ] {
            let error = decode(bad).err().map(|error| error.to_string()).unwrap();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }
}
