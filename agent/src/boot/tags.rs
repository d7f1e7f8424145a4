//! The tags of the instance that say which node it carries. They appear seconds after the instance.

use jiff::Timestamp;
use mayfly_kit::imds::{Imds, ImdsError};
use mayfly_proto::{ON_MASTER, RunId};

use crate::config::RoleName;

const FOLDER: &str = "meta-data/tags/instance/";
/// Longest value that AWS allows.
const VALUE_MAX: usize = 256;

/// The node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tags {
    /// `mayfly:run`.
    pub(super) run: RunId,
    /// `mayfly:role`.
    pub(super) role: RoleName,
    /// `mayfly:deadline`.
    pub(super) deadline: Timestamp,
    /// `mayfly:coordinator`: its URL, or [`ON_MASTER`].
    pub(super) coordinator: String,
    /// The bucket of `mayfly:store`.
    pub(super) bucket: String,
    /// Its prefix, empty or ending in `/`.
    pub(super) prefix: String,
}

/// What an instance is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A node of a run.
    Node(Tags),
    /// The server of a team.
    Control(ControlTags),
}

/// The server of a team: it is of no run and has no end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ControlTags {
    /// `mayfly:control`: the network that it serves.
    pub(super) network: String,
    /// The bucket of `mayfly:store`.
    pub(super) bucket: String,
    /// Its prefix, empty or ending in `/`.
    pub(super) prefix: String,
}

/// Why the tags make no node.
#[derive(Debug, thiserror::Error)]
pub enum TagError {
    /// They cannot be read.
    #[error("ask for tag {name}")]
    Metadata {
        /// The tag.
        name: &'static str,
        /// What went wrong.
        #[source]
        source: ImdsError,
    },
    /// Nobody made this instance for a run, or for a team.
    #[error("this instance has no tag {name} that makes it a node of a run")]
    NotOurs {
        /// The tag.
        name: &'static str,
    },
    /// One is missing.
    #[error("this instance has no tag {name}")]
    Missing {
        /// The tag.
        name: &'static str,
    },
    /// One makes no sense.
    #[error("tag {name} of this instance is {value:?}, and must be {wanted}")]
    Wrong {
        /// The tag.
        name: &'static str,
        /// Its value, shortened.
        value: String,
        /// What would be right.
        wanted: &'static str,
    },
}

impl Purpose {
    pub(super) async fn read(imds: &Imds) -> Result<Self, TagError> {
        let ours = value(imds, "managed-by").await?;
        if ours.as_deref() != Some("mayfly") {
            return Err(TagError::NotOurs { name: "managed-by" });
        }
        if let Some(run) = value(imds, "mayfly:run").await? {
            return Tags::read(imds, run).await.map(Self::Node);
        }
        match value(imds, "mayfly:control").await? {
            Some(network) => ControlTags::read(imds, network).await.map(Self::Control),
            None => Err(TagError::NotOurs { name: "mayfly:run" }),
        }
    }
}

impl ControlTags {
    async fn read(imds: &Imds, network: String) -> Result<Self, TagError> {
        let network = checked("mayfly:control", network, "the name of a network", network_name)?;
        let (bucket, prefix) = need(imds, "mayfly:store", "s3://BUCKET/PREFIX", store).await?;
        Ok(Self {
            network,
            bucket,
            prefix,
        })
    }
}

impl Tags {
    async fn read(imds: &Imds, run: String) -> Result<Self, TagError> {
        let run = checked("mayfly:run", run, "the id of a run, as iris-abcdefgh", |text| {
            text.parse().ok()
        })?;
        let role = need(imds, "mayfly:role", "master or worker", role).await?;
        let wanted = "a time in UTC, as 2030-01-31T12:00:00Z";
        let deadline = need(imds, "mayfly:deadline", wanted, utc).await?;
        let wanted = "https://HOST:PORT, http://HOST:PORT or master";
        let coordinator = need(imds, "mayfly:coordinator", wanted, address).await?;
        let (bucket, prefix) = need(imds, "mayfly:store", "s3://BUCKET/PREFIX", store).await?;
        Ok(Self {
            run,
            role,
            deadline,
            coordinator,
            bucket,
            prefix,
        })
    }
}

async fn value(imds: &Imds, name: &'static str) -> Result<Option<String>, TagError> {
    let answer = imds.get(&format!("{FOLDER}{name}")).await;
    let answer = answer.map_err(|source| TagError::Metadata { name, source })?;
    Ok(answer.map(|answer| answer.text))
}

async fn need<T>(
    imds: &Imds,
    name: &'static str,
    wanted: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, TagError> {
    let value = value(imds, name).await?.ok_or(TagError::Missing { name })?;
    checked(name, value, wanted, read)
}

fn checked<T>(
    name: &'static str,
    value: String,
    wanted: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, TagError> {
    let plain = value.len() <= VALUE_MAX && !value.chars().any(char::is_control);
    let found = if plain { read(&value) } else { None };
    found.ok_or_else(|| TagError::Wrong {
        name,
        value: value.chars().take(VALUE_MAX).collect(),
        wanted,
    })
}

fn network_name(text: &str) -> Option<String> {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let good = (1..=32).contains(&text.len()) && text.bytes().all(plain);
    good.then(|| text.to_owned())
}

fn role(text: &str) -> Option<RoleName> {
    match text {
        "master" => Some(RoleName::Master),
        "worker" => Some(RoleName::Worker),
        _ => None,
    }
}

fn utc(text: &str) -> Option<Timestamp> {
    text.ends_with('Z').then(|| text.parse().ok()).flatten()
}

fn address(text: &str) -> Option<String> {
    if text == ON_MASTER {
        return Some(text.to_owned());
    }
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    (!rest.is_empty() && rest.chars().all(fits)).then(|| text.to_owned())
}

/// Bucket, and prefix as keys begin with it.
fn store(text: &str) -> Option<(String, String)> {
    let rest = text.strip_prefix("s3://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-.".contains(&c);
    let is_bucket = (3..=63).contains(&bucket.len()) && bucket.bytes().all(fits);
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let is_prefix = prefix.is_empty() || prefix.split('/').all(|part| !matches!(part, "" | "." | ".."));
    let prefix = if prefix.is_empty() {
        String::new()
    } else {
        format!("{prefix}/")
    };
    (is_bucket && is_prefix).then(|| (bucket.to_owned(), prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_tags_are_taken_or_named() {
        assert_eq!(store("s3://team/a/b"), Some(("team".into(), "a/b/".into())));
        assert_eq!(store("s3://team/"), Some(("team".into(), String::new())));
        assert_eq!(store("s3://team"), Some(("team".into(), String::new())));
        for bad in [
            "team",
            "s3://",
            "s3://Team/a",
            "s3://team//a",
            "s3://team/../a",
            "file:///team",
        ] {
            assert_eq!(store(bad), None, "{bad}");
        }
        assert!(utc("2030-01-31T12:00:00Z").is_some());
        for bad in [
            "2030-01-31T12:00:00+01:00",
            "2030-01-31",
            "soon",
            "2030-02-31T12:00:00Z",
            "10000-01-01T00:00:00Z",
            "2030-01-31T24:00:00Z",
            "-999999-01-01T00:00:00Z",
            "4102444800",
            "",
        ] {
            assert_eq!(utc(bad), None, "{bad}");
        }
        assert!(address("https://10.0.0.1:7070").is_some() && address("http://[::1]:1").is_some());
        assert!(address("master").is_some() && address("masters").is_none());
        for bad in [
            "10.0.0.1:7070",
            "https://",
            "https://u@h:1",
            "https://h/path",
            "file://x",
        ] {
            assert_eq!(address(bad), None, "{bad}");
        }
        assert_eq!(network_name("default"), Some("default".into()));
        for bad in ["", "../x", "A", "a/b", &"a".repeat(33)] {
            assert_eq!(network_name(bad), None, "{bad}");
        }
        let error = checked("mayfly:role", "master\nworker".into(), "master or worker", role).unwrap_err();
        assert!(error.to_string().contains("master\\nworker"), "{error}");
        assert!(
            checked("mayfly:role", "m".repeat(10_000), "short", role)
                .unwrap_err()
                .to_string()
                .len()
                < 500
        );
    }
}
