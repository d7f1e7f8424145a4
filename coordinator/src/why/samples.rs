//! Facts that tests explain.

use jiff::Timestamp;
use mayfly_configs::{AdHoc, ad_hoc};
use mayfly_proto::Attempt;

use super::Facts;
use crate::record::{Outcome, RunRecord, SCHEMA};

/// A run with this end and this output.
pub(crate) fn facts(outcome: Outcome, reason: &str, exit_code: Option<i32>, output: &str) -> Facts {
    let flags = AdHoc {
        entry: "main.py".to_owned(),
        ..AdHoc::default()
    };
    Facts {
        record: RunRecord {
            schema: SCHEMA,
            run: "job-abcdefgh".parse().unwrap(),
            request_id: String::new(),
            job: ad_hoc(&flags, &|_| None).unwrap(),
            commit: "0".repeat(40),
            bundle_key: None,
            owner: String::new(),
            cloud: "local".to_owned(),
            folder: None,
            coordinator: String::new(),
            on_master: false,
            control: None,
            plan: None,
            claim: String::new(),
            created: Timestamp::UNIX_EPOCH,
            deadline: Timestamp::UNIX_EPOCH,
            attempt: Attempt::FIRST,
            phases: Vec::new(),
            nodes: Vec::new(),
            job_ended: None,
            held_until: None,
            ended: None,
        },
        outcome,
        reason: reason.to_owned(),
        exit_code,
        output: output.lines().map(str::to_owned).collect(),
        engine: Vec::new(),
        agent: Vec::new(),
        spark: None,
        nodes: Vec::new(),
    }
}

/// A job that ended with this code after this output.
pub(crate) fn failed(code: i32, output: &str) -> Facts {
    let reason = format!("the job ended with exit code {code}");
    facts(Outcome::JobFailed, &reason, Some(code), output)
}
