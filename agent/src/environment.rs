//! What a job finds in its environment beside what every program needs.

use std::collections::BTreeMap;
use std::path::Path;

use mayfly_proto::Attempt;
use mayfly_proto::v1::NodeSpec;

use crate::config::NodeConfig;
use crate::identity::Session;

/// The job's own variables, and ours over them: a job cannot pretend to be another run.
#[must_use]
pub fn of_job(
    config: &NodeConfig,
    spec: &NodeSpec,
    session: &Session,
    attempt: Attempt,
    results: &Path,
) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = spec.env.clone().into_iter().collect();
    let store = &config.store;
    let root = format!("s3://{}/{}", store.bucket, store.prefix);
    let ours = [
        ("MAYFLY_RUN", session.run.to_string()),
        ("MAYFLY_ATTEMPT", attempt.to_string()),
        ("MAYFLY_NODE", session.node.to_string()),
        ("MAYFLY_RESULTS", results.display().to_string()),
        ("MAYFLY_STORE", root.trim_end_matches('/').to_owned()),
        ("AWS_ACCESS_KEY_ID", store.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", store.secret_key.clone()),
        ("AWS_REGION", store.region.clone()),
        ("AWS_DEFAULT_REGION", store.region.clone()),
    ];
    env.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    if let Some(endpoint) = &store.endpoint {
        env.insert("AWS_ENDPOINT_URL".to_owned(), endpoint.clone());
    }
    env
}
