//! `s3://bucket/prefix`, by the naming rules of S3 and those of our own keys.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::diag::Problem;
use crate::text::{name_char, quote};

/// A bucket and a prefix in it; the prefix has no `/` at either end and may be empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct S3Prefix {
    bucket: String,
    prefix: String,
}

const HELP: &str = "write s3://bucket/prefix";
const BUCKET_HELP: &str = "a bucket is 3 to 63 of a-z, 0-9 and -, a letter or digit at both ends";
/// Leaves room for a run's own keys under the 1,024 bytes of S3.
const MAX_PREFIX: usize = 512;

impl S3Prefix {
    /// Checks a location.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn new(text: &str) -> Result<Self, Problem> {
        let Some(rest) = text.strip_prefix("s3://") else {
            return Err(
                Problem::new(format!("is {}, which is not an s3:// location", quote(text))).help(HELP),
            );
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        check_bucket(bucket)?;
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        check_prefix(prefix)?;
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The prefix, with no `/` at either end; may be empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

pub(crate) fn check_bucket(bucket: &str) -> Result<(), Problem> {
    let bad = |why: &str| {
        Err(Problem::new(format!("has the bucket {}, which {why}", quote(bucket))).help(BUCKET_HELP))
    };
    if bucket.is_empty() {
        return Err(Problem::new("has no bucket").help(HELP));
    }
    let is_address =
        bucket.split('.').count() == 4 && bucket.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_address {
        return bad("looks like an IP address");
    }
    if let Some(c) = bucket.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return bad(&format!("holds {}", name_char(c)));
    }
    if !(3..=63).contains(&bucket.len()) {
        return bad(&format!("is {} characters long", bucket.len()));
    }
    if bucket.starts_with('-') || bucket.ends_with('-') {
        return bad("begins or ends with a hyphen");
    }
    let starts = ["xn--", "sthree-", "amzn-s3-demo-"];
    let ends = ["-s3alias", "--ol-s3", "--x-s3", "--table-s3"];
    if starts.iter().any(|s| bucket.starts_with(s)) || ends.iter().any(|e| bucket.ends_with(e)) {
        return bad("is of a form that S3 keeps for itself");
    }
    Ok(())
}

pub(crate) fn check_prefix(prefix: &str) -> Result<(), Problem> {
    let bad =
        |why: &str| Err(Problem::new(format!("has the prefix {}, which {why}", quote(prefix))).help(HELP));
    if prefix.is_empty() {
        return Ok(());
    }
    if prefix.len() > MAX_PREFIX {
        return bad(&format!(
            "is {} bytes long; at most {MAX_PREFIX} are allowed",
            prefix.len()
        ));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=".contains(c);
    if let Some(c) = prefix.chars().find(|c| !plain(*c)) {
        return bad(&format!("holds {}", name_char(c)));
    }
    if prefix.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return bad("has an empty part, `.` or `..`");
    }
    Ok(())
}

impl fmt::Display for S3Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

impl TryFrom<String> for S3Prefix {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::new(&text)
    }
}

impl From<S3Prefix> for String {
    fn from(place: S3Prefix) -> Self {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ones() {
        for (text, shown) in [
            ("s3://my-bucket", "s3://my-bucket/"),
            ("s3://b2b/a/b/", "s3://b2b/a/b"),
            ("s3://abc/dt=1", "s3://abc/dt=1"),
        ] {
            assert_eq!(
                S3Prefix::new(text).map(|place| place.to_string()).as_deref(),
                Ok(shown)
            );
        }
    }

    #[test]
    fn bad_ones() {
        let long = format!("s3://{}", "a".repeat(64));
        for text in [
            "s3:/b",
            "s3://",
            "S3://bucket",
            "s3://B",
            "s3://my.bucket",
            "s3://my_bucket",
            "s3://192.168.0.1/x",
            &long,
            "s3://xn--abc",
            "s3://ab",
            "s3://-ab",
            "s3://ab-",
            "s3://abc-s3alias",
            "s3://abc//x",
            "s3://abc/../x",
            "s3://abc/a\nb",
            "s3://abc/ä",
            "https://abc/x",
            "",
            "s3:///x",
        ] {
            assert!(S3Prefix::new(text).is_err(), "{text:?}");
        }
    }
}
