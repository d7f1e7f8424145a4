//! What is posted, and its signature.

use jiff::Timestamp;
use ring::hmac;
use serde::Serialize;

use crate::record::{Outcome, PhaseName, RunRecord};

/// Version of the shape of the body.
const SCHEMA: u32 = 1;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The run has begun.
    Started,
    /// Its outcome is known; its machines are being given back.
    Ended,
    /// The job failed, and its machines stay for a look.
    Held,
    /// The lease of its machines cannot be renewed.
    LeaseTrouble,
    /// Its machines were told to end, and are still there long after.
    ReleaseTrouble,
}

impl What {
    /// As the body and the header have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ended => "ended",
            Self::Held => "held",
            Self::LeaseTrouble => "lease-trouble",
            Self::ReleaseTrouble => "release-trouble",
        }
    }
}

/// Something that happened to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    schema: u32,
    /// What.
    #[serde(rename = "event")]
    pub what: What,
    run: String,
    job: String,
    commit: String,
    owner: String,
    cloud: String,
    attempt: u32,
    phase: Option<PhaseName>,
    outcome: Option<Outcome>,
    reason: String,
    at: Timestamp,
    deadline: Timestamp,
}

impl Event {
    /// Of a run as its record is now; `reason` where the record has none.
    #[must_use]
    pub fn of(what: What, record: &RunRecord, reason: &str, at: Timestamp) -> Self {
        let ended = record.ended.as_ref();
        let known = ended
            .map(|ended| ended.reason.as_str())
            .filter(|_| reason.is_empty());
        Self {
            schema: SCHEMA,
            what,
            run: record.run.to_string(),
            job: record.job.name.to_string(),
            commit: record.commit.clone(),
            owner: record.owner.clone(),
            cloud: record.cloud.clone(),
            attempt: record.attempt.number(),
            phase: record.phases.last().map(|mark| mark.phase),
            outcome: ended.map(|ended| ended.outcome),
            reason: known.unwrap_or(reason).to_owned(),
            at,
            deadline: record.deadline,
        }
    }

    pub(super) fn body(&self) -> String {
        // Strings, numbers and times: it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The value of the header `x-mayfly-signature`: `t=<seconds of Unix time>,v1=<HMAC-SHA256 of "<t>.<body>", in hex>`.
#[must_use]
pub fn signature(secret: &str, at_secs: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{at_secs}.{body}").as_bytes());
    format!("t={at_secs},v1={}", data_encoding::HEXLOWER.encode(tag.as_ref()))
}
