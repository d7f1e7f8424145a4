//! Ids as checked newtypes: a value of these types is safe in a path, a key, a tag and a log line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest job name, in characters, so that every name derived from a run id stays within AWS' limits.
pub const JOB_NAME_MAX: usize = 40;
const SUFFIX_LEN: usize = 8;

/// Why a string is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is not valid: {expected}")]
pub struct IdError {
    what: &'static str,
    value: String,
    expected: &'static str,
}

impl IdError {
    fn new(what: &'static str, value: &str, expected: &'static str) -> Self {
        Self {
            what,
            value: value.chars().take(60).collect(),
            expected,
        }
    }
}

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(value: String) -> Result<Self, IdError> {
                value.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

string_id! {
    /// One execution of a job: `<job>-<8 characters of base32>`.
    RunId
}
string_id! {
    /// One machine of a run: `master-<n>`, `worker-<n>`, or `node-<n>` where all are alike; never used twice within a run.
    NodeId
}

fn is_job_name(s: &str) -> bool {
    s.len() <= JOB_NAME_MAX
        && s.starts_with(|c: char| c.is_ascii_lowercase())
        && !s.ends_with('-')
        && s.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_suffix(s: &str) -> bool {
    s.len() == SUFFIX_LEN && s.chars().all(|c| matches!(c, 'a'..='z' | '2'..='7'))
}

fn is_number(s: &str) -> bool {
    (1..=6).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit())
}

/// An instance of EC2: `i-` and 8 or 17 hex digits.
fn is_instance(s: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
    s.strip_prefix("i-")
        .is_some_and(|id| matches!(id.len(), 8 | 17) && id.bytes().all(hex))
}

impl FromStr for RunId {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        match s.rsplit_once('-') {
            Some((job, suffix)) if is_job_name(job) && is_suffix(suffix) => Ok(Self(s.to_owned())),
            _ => Err(IdError::new(
                "run id",
                s,
                "a run id is <job>-<8 characters a-z, 2-7>, as `list` shows it",
            )),
        }
    }
}

impl FromStr for NodeId {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let rest = ["master-", "worker-", "node-"]
            .iter()
            .find_map(|kind| s.strip_prefix(kind));
        match rest {
            Some(rest) if is_number(rest) || is_instance(rest) => Ok(Self(s.to_owned())),
            _ => Err(IdError::new(
                "node id",
                s,
                "a node id is master-<n>, worker-<n> or node-<n>, on AWS master-<instance> or worker-<instance>",
            )),
        }
    }
}

impl RunId {
    /// The id of the run that this request makes: the same request for the same job is the same run.
    ///
    /// # Errors
    /// That is no name of a job.
    pub fn derive(job: &str, request_id: &str, job_json: &str, commit: &str) -> Result<Self, IdError> {
        let mut hash = Sha256::new();
        for part in [request_id, job_json, commit] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let text = data_encoding::BASE32_NOPAD
            .encode(&hash.finalize())
            .to_ascii_lowercase();
        let suffix: String = text.chars().take(SUFFIX_LEN).collect();
        format!("{job}-{suffix}").parse()
    }

    /// The job this is a run of.
    #[must_use]
    pub fn job(&self) -> &str {
        self.0.rsplit_once('-').map_or(self.0.as_str(), |(job, _)| job)
    }
}

impl NodeId {
    /// The `n`-th master of a run.
    #[must_use]
    pub fn master(n: u32) -> Self {
        Self(format!("master-{n}"))
    }

    /// The `n`-th worker of a run.
    #[must_use]
    pub fn worker(n: u32) -> Self {
        Self(format!("worker-{n}"))
    }

    /// The `n`-th node of a run whose nodes are alike.
    #[must_use]
    pub fn alike(n: u32) -> Self {
        Self(format!("node-{n}"))
    }
}

/// One try of the job inside a run, from 1; the fencing epoch of everything the try does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(u32);

impl Attempt {
    /// The first try.
    pub const FIRST: Self = Self(1);

    /// The number, as sent.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }

    /// The try after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl TryFrom<u32> for Attempt {
    type Error = IdError;
    fn try_from(n: u32) -> Result<Self, IdError> {
        if n == 0 {
            return Err(IdError::new("attempt", "0", "attempts are numbered from 1"));
        }
        Ok(Self(n))
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_would_escape_a_path_or_a_line() {
        for bad in [
            "",
            "../../x",
            "a",
            "a-ABCDEFGH",
            "-abcdefgh",
            "a-abcdefg1",
            "é-abcdefgh",
            "a-abcdefgh\n",
            "a/b-abcdefgh",
        ] {
            assert!(bad.parse::<RunId>().is_err(), "{bad:?} was taken as a run id");
        }
        for bad in [
            "",
            "master",
            "master-",
            "worker-x",
            "worker-1/..",
            "other-1",
            "worker-1234567",
        ] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad:?} was taken as a node id");
        }
        let long = "x".repeat(JOB_NAME_MAX + 1);
        for bad in ["", "-a", "a-", "A", "1a", "a_b", "a b", long.as_str()] {
            assert!(
                RunId::derive(bad, "r", "{}", "c").is_err(),
                "{bad:?} was taken as a job name"
            );
        }
    }

    #[test]
    fn a_derived_run_id_is_valid_and_depends_on_each_part() {
        let derive = |request: &str, json: &str, commit: &str| {
            RunId::derive("log-reg-iris", request, json, commit).unwrap()
        };
        let id = derive("r", "{}", "c");
        assert_eq!(id, id.as_str().parse().unwrap());
        assert_eq!(id.job(), "log-reg-iris");
        assert_eq!(id, derive("r", "{}", "c"));
        for other in [
            derive("s", "{}", "c"),
            derive("r", "{ }", "c"),
            derive("r", "{}", "d"),
        ] {
            assert_ne!(id, other);
        }
    }
}
