//! Policies for AWS, rendered from the templates in `configs/iam`.
//!
//! A template is JSON with `${account}`, `${region}`, `${network}`, `${bucket}` and `${prefix}` in its strings; `${prefix}` has
//! its `/` with it, or is nothing. They are filled in as strings, so no value can become JSON; and no value may hold what a
//! policy gives a meaning to. IAM's own variables are written as IAM does, with a colon (`${aws:PrincipalTag/…}`), and stay.

use serde_json::Value;

use crate::diag::Problem;
use crate::s3::S3Prefix;
use crate::text::quote;

/// What a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Whoever launches: a person, or the server of a team.
    Launcher,
    /// The nodes' role.
    Node,
    /// Whoever makes and destroys the network.
    Network,
    /// Whoever bakes the image.
    Bake,
    /// The bucket itself.
    Bucket,
    /// Who may take the nodes' role.
    Trust,
    /// The role of jobs, for the run that its session names.
    Job,
    /// Who may take the role of jobs.
    JobTrust,
    /// The role of a team's server, beside what whoever launches may do.
    Control,
    /// Whoever makes and destroys the server of a team.
    ControlAdmin,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Launcher,
        Self::Node,
        Self::Network,
        Self::Bake,
        Self::Bucket,
        Self::Trust,
        Self::Job,
        Self::JobTrust,
        Self::Control,
        Self::ControlAdmin,
    ];

    /// The name of its template in `configs/iam`, without `.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Launcher => "launcher",
            Self::Node => "node",
            Self::Network => "network",
            Self::Bake => "bake",
            Self::Bucket => "bucket",
            Self::Trust => "trust",
            Self::Job => "job",
            Self::JobTrust => "job-trust",
            Self::Control => "control",
            Self::ControlAdmin => "control-admin",
        }
    }

    fn template(self) -> &'static str {
        match self {
            Self::Launcher => include_str!("../iam/launcher.json"),
            Self::Node => include_str!("../iam/node.json"),
            Self::Network => include_str!("../iam/network.json"),
            Self::Bake => include_str!("../iam/bake.json"),
            Self::Bucket => include_str!("../iam/bucket.json"),
            Self::Trust => include_str!("../iam/trust.json"),
            Self::Job => include_str!("../iam/job.json"),
            Self::JobTrust => include_str!("../iam/job-trust.json"),
            Self::Control => include_str!("../iam/control.json"),
            Self::ControlAdmin => include_str!("../iam/control-admin.json"),
        }
    }

    /// The policy for one place, as JSON without spaces.
    ///
    /// # Errors
    /// The template is not JSON, or has a placeholder that is not known.
    pub fn render(self, place: &IamPlace) -> Result<String, IamError> {
        fill(self.template(), place).map_err(|problem| IamError {
            policy: self.name(),
            problem,
        })
    }
}

/// Why a policy cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[error("the template {policy}.json {problem}")]
pub struct IamError {
    policy: &'static str,
    problem: String,
}

/// What policies are rendered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IamPlace {
    account: String,
    region: String,
    network: String,
    store: S3Prefix,
}

impl IamPlace {
    /// Checks the parts of a place; the store is checked already.
    ///
    /// # Errors
    /// Says which part is wrong, and what it should be like.
    pub fn new(account: &str, region: &str, network: &str, store: S3Prefix) -> Result<Self, Problem> {
        if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(
                Problem::new(format!("has the account {}", quote(account))).help("an account is 12 digits")
            );
        }
        let plain = |text: &str, most: usize| {
            let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            (1..=most).contains(&text.len()) && text.bytes().all(known)
        };
        if !plain(region, 32) {
            return Err(
                Problem::new(format!("has the region {}", quote(region))).help("a region is like eu-west-1")
            );
        }
        if !plain(network, 32) {
            return Err(Problem::new(format!("has the network {}", quote(network)))
                .help("a network is named with 1 to 32 of a-z, 0-9 and -"));
        }
        Ok(Self {
            account: account.to_owned(),
            region: region.to_owned(),
            network: network.to_owned(),
            store,
        })
    }

    fn value(&self, name: &str) -> Option<String> {
        Some(match name {
            "account" => self.account.clone(),
            "region" => self.region.clone(),
            "network" => self.network.clone(),
            "bucket" => self.store.bucket().to_owned(),
            "prefix" if self.store.prefix().is_empty() => String::new(),
            "prefix" => format!("{}/", self.store.prefix()),
            _ => return None,
        })
    }
}

fn fill(template: &str, place: &IamPlace) -> Result<String, String> {
    let mut policy: Value =
        serde_json::from_str(template).map_err(|error| format!("is not JSON: {error}"))?;
    walk(&mut policy, place)?;
    Ok(policy.to_string())
}

/// Keys of objects have no placeholders: those of a condition may have IAM's own names in them, and nothing of ours.
fn walk(value: &mut Value, place: &IamPlace) -> Result<(), String> {
    match value {
        Value::String(text) => *text = replace(text, place)?,
        Value::Array(items) => items.iter_mut().try_for_each(|item| walk(item, place))?,
        Value::Object(fields) => fields.values_mut().try_for_each(|field| walk(field, place))?,
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

fn replace(text: &str, place: &IamPlace) -> Result<String, String> {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after
            .split_once('}')
            .ok_or_else(|| format!("has a placeholder without an end in {}", quote(text)))?;
        done.push_str(before);
        match place.value(name) {
            Some(value) => done.push_str(&value),
            None if name.starts_with("aws:") => done.push_str(&format!("${{{name}}}")),
            None => {
                return Err(format!(
                    "has the unknown placeholder ${{{name}}} in {}",
                    quote(text)
                ));
            }
        }
        rest = behind;
    }
    done.push_str(rest);
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(store: &str) -> IamPlace {
        IamPlace::new("111122223333", "eu-west-1", "main", S3Prefix::new(store).unwrap()).unwrap()
    }

    fn filled(template: &str) -> Result<String, String> {
        fill(template, &place("s3://my-bucket/a/b"))
    }

    #[test]
    fn placeholders_are_replaced_in_strings_at_any_depth() {
        let text =
            r#"{"a": ["${account}/${region}", {"b": "${bucket}/${prefix}x"}], "c": 1, "d": "${network}"}"#;
        let filled = filled(text).unwrap();
        assert_eq!(
            filled,
            r#"{"a":["111122223333/eu-west-1",{"b":"my-bucket/a/b/x"}],"c":1,"d":"main"}"#
        );
    }

    #[test]
    fn without_a_prefix_keys_begin_at_the_bucket() {
        let filled = fill(r#"["${bucket}/${prefix}runs/*"]"#, &place("s3://my-bucket")).unwrap();
        assert_eq!(filled, r#"["my-bucket/runs/*"]"#);
    }

    #[test]
    fn variables_of_iam_stay() {
        let text = r#"["runs/${aws:PrincipalTag/mayfly:run}/*"]"#;
        assert_eq!(filled(text).unwrap(), text);
    }

    #[test]
    fn an_unknown_placeholder_is_refused() {
        for (text, said) in [
            (r#"["${accounts}"]"#, "unknown placeholder ${accounts}"),
            (r#"["${}"]"#, "unknown placeholder ${}"),
            (r#"["${account"]"#, "without an end"),
            (r#"["#, "is not JSON"),
        ] {
            let error = filled(text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn odd_places_are_refused() {
        let store = || S3Prefix::new("s3://my-bucket").unwrap();
        for (account, region, network, said) in [
            ("11112222333", "eu-west-1", "main", "account"),
            ("11112222333x", "eu-west-1", "main", "account"),
            ("111122223333", "eu-west-*", "main", "region"),
            ("111122223333", "", "main", "region"),
            ("111122223333", "eu-west-1", "${account}", "network"),
            ("111122223333", "eu-west-1", "a\",\"b", "network"),
        ] {
            let problem = IamPlace::new(account, region, network, store()).unwrap_err();
            assert!(problem.to_string().contains(said), "{problem}");
        }
    }
}
