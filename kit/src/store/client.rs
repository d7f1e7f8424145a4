//! Builds the client: one HTTP pool, bounded retries, a bound on every wait.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Credentials, Region, SharedCredentialsProvider, SharedHttpClient,
    StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::{Access, StoreConfig};

/// Tries of one request, the first included.
const TRIES: u32 = 5;
const BACKOFF_MAX: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one try of a request with a small body. Parts have a longer one of their own.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// For all tries of a request together.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(120);
/// A body that makes no progress for this long is given up.
const STALL_GRACE: Duration = Duration::from_secs(20);

pub(super) fn build(config: &StoreConfig) -> Client {
    let builder = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(config.region.clone()))
        .credentials_provider(credentials(&config.access))
        .http_client(http(config.endpoint.as_deref()))
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(TRIES)
                .with_max_backoff(BACKOFF_MAX),
        )
        .timeout_config(timeouts(ATTEMPT_TIMEOUT, OPERATION_TIMEOUT))
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .grace_period(STALL_GRACE)
                .build(),
        );
    let config = match &config.endpoint {
        Some(endpoint) => builder.endpoint_url(endpoint).force_path_style(true),
        None => builder,
    };
    Client::from_conf(config.build())
}

fn credentials(access: &Access) -> SharedCredentialsProvider {
    match access {
        Access::Keys {
            access_key,
            secret_key,
        } => {
            let (id, secret) = (access_key.as_str(), secret_key.as_str());
            SharedCredentialsProvider::new(Credentials::new(id, secret, None, None, "mayfly"))
        }
        Access::InstanceProfile(profile) => SharedCredentialsProvider::new(profile.clone()),
        Access::Chain(chain) => chain.clone(),
    }
}

pub(crate) fn timeouts(attempt: Duration, operation: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(attempt)
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build()
}

/// A plain endpoint needs no TLS and so no set of root certificates in memory.
pub(crate) fn http(endpoint: Option<&str>) -> SharedHttpClient {
    let builder = Builder::new();
    if endpoint.is_some_and(|e| e.starts_with("http://")) {
        return builder.build_http();
    }
    builder
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}
