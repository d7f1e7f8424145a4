//! Sessions of a role that are kept to one run: keys for a job, which may do less than the machine that it runs on.
//!
//! The session carries the tag `mayfly:run`, and the role's policy allows what that tag names (`configs/iam/job.json`).

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sts::Client;
use aws_sdk_sts::config::{BehaviorVersion, Config, Region, retry::RetryConfig};
use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_sdk_sts::types::Tag;
use mayfly_proto::RunId;
use serde::{Deserialize, Serialize};

use crate::imds::{Cache, InstanceProfile, SessionKeys};
use crate::store::{http, timeouts};

/// The tag of a session, and of everything of a run.
const RUN: &str = "mayfly:run";
/// Longest life of a session that was taken with another session's keys (IAM user guide, "Role chaining").
const LIFE: Duration = Duration::from_secs(3_600);
/// Tries of one request, the first included.
const TRIES: u32 = 3;
/// For one try, and for all of them together: a job waits for its keys.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest name of a session.
const NAME_MAX: usize = 64;

/// The role that jobs get sessions of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRole {
    /// Its ARN.
    pub arn: String,
    /// URL of STS, where it is not AWS's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
#[error("no session of {role} for {run}: {said}")]
pub struct SessionError {
    role: String,
    run: RunId,
    said: String,
}

/// Keys of a role for one run, renewed before they end. Cloning is cheap.
#[derive(Clone)]
pub struct RunSession {
    client: Client,
    role: String,
    run: RunId,
    keys: Arc<Cache>,
}

impl RunSession {
    /// Sessions that are taken with the keys of an instance; makes no request.
    #[must_use]
    pub fn new(role: &JobRole, run: &RunId, region: &str, instance: InstanceProfile) -> Self {
        let builder = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(region.to_owned()))
            .credentials_provider(instance)
            .http_client(http(role.endpoint.as_deref()))
            .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
            .timeout_config(timeouts(ATTEMPT_TIMEOUT, OPERATION_TIMEOUT));
        let builder = match &role.endpoint {
            Some(endpoint) => builder.endpoint_url(endpoint),
            None => builder,
        };
        Self {
            client: Client::from_conf(builder.build()),
            role: role.arn.clone(),
            run: run.clone(),
            keys: Arc::default(),
        }
    }

    /// The keys of now, with what they are still good for.
    ///
    /// # Errors
    /// STS gives none, and there are none from before.
    pub async fn keys(&self) -> Result<SessionKeys, SessionError> {
        self.keys.get("the job's session", self.fetch()).await
    }

    fn failed(&self, said: String) -> SessionError {
        SessionError {
            role: self.role.clone(),
            run: self.run.clone(),
            said,
        }
    }

    async fn fetch(&self) -> Result<SessionKeys, SessionError> {
        let tag = Tag::builder().key(RUN).value(self.run.as_str()).build();
        let tag = tag.map_err(|error| self.failed(error.to_string()))?;
        let name: String = self.run.as_str().chars().take(NAME_MAX).collect();
        let asked = self
            .client
            .assume_role()
            .role_arn(&self.role)
            .role_session_name(name)
            .tags(tag)
            .duration_seconds(i32::try_from(LIFE.as_secs()).unwrap_or(i32::MAX));
        let answer = asked.send().await;
        let answer = answer.map_err(|error| self.failed(said(&error)))?;
        let keys = answer
            .credentials
            .ok_or_else(|| self.failed("the answer has no keys".to_owned()))?;
        Ok(SessionKeys {
            access_key: keys.access_key_id,
            secret_key: keys.secret_access_key,
            token: keys.session_token,
            // What was granted, and not the time of their end: this machine's clock may be wrong by hours.
            good_for: LIFE,
        })
    }
}

/// In STS's words where there are any; else the causes.
fn said<E>(error: &E) -> String
where
    E: ProvideErrorMetadata + Error,
{
    if let (Some(code), Some(message)) = (error.code(), error.message()) {
        return format!("{code}: {message}");
    }
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
