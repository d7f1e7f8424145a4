//! The conditions of reading: If-Match and its kin on GET, HEAD and the source of a copy.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Result, s3_error};

use crate::store::Object;

/// The four condition headers of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadConditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

/// What the conditions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Proceed,
    /// The client has this object already.
    NotModified,
}

impl ReadConditions {
    /// Decides in the order of RFC 9110 section 13.2.2: an ETag condition silences the time condition beside it.
    pub(crate) fn decide(&self, object: &Object) -> S3Result<Verdict> {
        let failed = || {
            s3_error!(
                PreconditionFailed,
                "at least one of the preconditions you specified did not hold"
            )
        };
        let etag = object.meta.etag();
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !names(condition, &etag) => return Err(failed()),
            (None, Some(at)) if modified(object) > *at => return Err(failed()),
            (Some(_) | None, _) => {}
        }
        let unchanged = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => names(condition, &etag),
            (None, Some(at)) => modified(object) <= *at,
            (None, None) => false,
        };
        Ok(if unchanged {
            Verdict::NotModified
        } else {
            Verdict::Proceed
        })
    }
}

/// Whether a condition names this ETag. A header may list several; they arrive as one, with the inner quotes kept.
fn names(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(ETag::Strong(value) | ETag::Weak(value)) => value
            .split(',')
            .any(|one| one.trim().trim_start_matches("W/").trim_matches('"') == etag),
    }
}

/// When an object was last modified, to the second, as S3 says it everywhere.
pub(crate) fn modified(object: &Object) -> Timestamp {
    whole_second(object.stat.mtime())
}

/// The time so many seconds after 1970; what lies before that is 1970.
pub(crate) fn whole_second(unix_secs: i64) -> Timestamp {
    let after = Duration::from_secs(u64::try_from(unix_secs).unwrap_or(0));
    Timestamp::from(
        SystemTime::UNIX_EPOCH
            .checked_add(after)
            .unwrap_or(SystemTime::UNIX_EPOCH),
    )
}
