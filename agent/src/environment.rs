//! What a job finds in its environment beside what every program needs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mayfly_proto::Attempt;

use crate::attempt::Common;

/// Where inputs are, at the same path on every node.
#[must_use]
pub fn inputs(common: &Common) -> PathBuf {
    common.config.shared.join("inputs")
}

/// The job's own variables, and ours over them: a job cannot pretend to be another run.
#[must_use]
pub fn of_job(common: &Common, attempt: Attempt) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = common.spec.env.clone().into_iter().collect();
    let store = &common.config.store;
    let root = format!("s3://{}/{}", store.bucket, store.prefix);
    let ours = [
        ("MAYFLY_RUN", common.session.run.to_string()),
        ("MAYFLY_ATTEMPT", attempt.to_string()),
        ("MAYFLY_NODE", common.session.node.to_string()),
        ("MAYFLY_RESULTS", common.results.display().to_string()),
        ("MAYFLY_INPUTS", inputs(common).display().to_string()),
        ("MAYFLY_STORE", root.trim_end_matches('/').to_owned()),
        ("AWS_REGION", store.region.clone()),
        ("AWS_DEFAULT_REGION", store.region.clone()),
    ];
    let endpoint = store.endpoint.clone().map(|url| ("AWS_ENDPOINT_URL", url));
    let all = ours
        .into_iter()
        .chain(common.store_access.clone())
        .chain(endpoint);
    env.extend(all.map(|(name, value)| (name.to_owned(), value)));
    env
}
