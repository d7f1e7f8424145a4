//! User data: what a node is told that does not belong into tags.

use mayfly_kit::imds::{Imds, ImdsError};
use mayfly_kit::tls::Fingerprint;
use serde::Deserialize;

use crate::config::ConsulSettings;

const PATH: &str = "user-data";
/// The shape that this agent reads.
const VERSION: u32 = 1;
const TOKEN_MAX: usize = 4096;

/// User data. No `Debug`: the join token is a secret, if a short one.
pub(super) struct UserData {
    /// Exchanged at enrolment.
    pub(super) join_token: String,
    /// Authority that the coordinator's certificate must come from.
    pub(super) fingerprint: Option<String>,
    /// Consul, if nodes of this run are to use one.
    pub(super) consul: Option<ConsulSettings>,
    /// Where the store is; `None` for AWS itself.
    pub(super) store_endpoint: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    join_token: String,
    #[serde(default)]
    fingerprint: Option<String>,
    #[serde(default)]
    consul: Option<ConsulAt>,
    #[serde(default)]
    store_endpoint: Option<String>,
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
            "a JSON object of version, join_token, fingerprint, consul, store_endpoint",
            format!("not: {error}"),
        )
    })?;
    if document.version != VERSION {
        return Err(wrong("of version 1", format!("of version {}", document.version)));
    }
    let token = &document.join_token;
    if token.is_empty() || token.len() > TOKEN_MAX || !token.bytes().all(|c| c.is_ascii_graphic()) {
        let found = format!("with {} bytes of something else", token.len());
        return Err(wrong("with a join_token of visible characters", found));
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
    Ok(UserData {
        join_token: document.join_token,
        fingerprint: document.fingerprint,
        consul,
        store_endpoint: document.store_endpoint,
    })
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
                "consul":{{"address":"10.0.0.2:8500","datacenter":"dc1","prefix":"team"}}}}"#
        );
        let all = decode(&all).ok().unwrap();
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
                r#"{"version":1,"join_token":"abc","fingerprint":"md5:1"}"#,
                "fingerprint",
            ),
            (
                r#"{"version":1,"join_token":"abc","store_endpoint":"ftp://x"}"#,
                "store_endpoint",
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
