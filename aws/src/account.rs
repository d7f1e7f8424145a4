//! An account of AWS in one region: the clients that everything else uses.

mod clock;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use jiff::SignedDuration;

use crate::clock::Clock;
use crate::error::{AwsError, Kind, failed};

/// Tries of one request, the first included; throttled ones are paid for out of the client's own budget of retries.
const TRIES: u32 = 6;
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// Longest name of a region.
const REGION_MAX: usize = 32;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one try of a request.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// For all tries of a request together.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(120);

/// Where to look for credentials and a region, as the AWS CLI does; what is not given here it finds by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Region, such as `eu-north-1`.
    pub region: Option<String>,
    /// Profile of `~/.aws/config`.
    pub profile: Option<String>,
    /// URL of all services, where they are not AWS's own.
    pub endpoint: Option<String>,
}

/// Clients of one region, which share credentials and connections. Cloning is cheap.
#[derive(Clone)]
pub struct Account {
    region: String,
    config: SdkConfig,
    pub(crate) clock: Clock,
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) groups: aws_sdk_autoscaling::Client,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) pricing: aws_sdk_pricing::Client,
    pub(crate) quotas: aws_sdk_servicequotas::Client,
    sts: aws_sdk_sts::Client,
}

/// Who the credentials belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Number of the account.
    pub account: String,
    /// ARN of the user or of the role's session.
    pub arn: String,
}

impl Account {
    /// Reads configuration and credentials; no request is made to AWS.
    ///
    /// # Errors
    /// No region is configured, or one that cannot be one.
    pub async fn open(place: &Place) -> Result<Self, AwsError> {
        let http = Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http)
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(TRIES)
                    .with_max_backoff(BACKOFF_MAX),
            )
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .read_timeout(ATTEMPT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .operation_timeout(OPERATION_TIMEOUT)
                    .build(),
            );
        if let Some(region) = &place.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &place.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(endpoint) = &place.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let config = loader.load().await;
        let region = config.region().map(ToString::to_string).ok_or_else(no_region)?;
        is_region(&region)?;
        Ok(Self::of(region, config))
    }

    fn of(region: String, config: SdkConfig) -> Self {
        let clock = Clock::default();
        let ec2 = aws_sdk_ec2::config::Builder::from(&config).interceptor(clock.clone());
        let groups = aws_sdk_autoscaling::config::Builder::from(&config).interceptor(clock.clone());
        Self {
            ec2: aws_sdk_ec2::Client::from_conf(ec2.build()),
            groups: aws_sdk_autoscaling::Client::from_conf(groups.build()),
            clock,
            iam: aws_sdk_iam::Client::new(&config),
            pricing: aws_sdk_pricing::Client::new(&price_list(&config)),
            quotas: aws_sdk_servicequotas::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
            region,
            config,
        }
    }

    /// The same account in another region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let config = self.config.to_builder().region(Region::new(region.to_owned()));
        Self::of(region.to_owned(), config.build())
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// URL of all services, where they are not AWS's own.
    #[must_use]
    pub fn endpoint(&self) -> Option<String> {
        self.config.endpoint_url().map(ToOwned::to_owned)
    }

    /// AWS's clock, as far as it has been heard of.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What clients of other services are made from.
    #[must_use]
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Whose credentials these are.
    ///
    /// # Errors
    /// There are none, they are not valid, or AWS does not answer.
    pub async fn identity(&self) -> Result<Identity, AwsError> {
        self.identity_and_clock().await.0
    }

    /// The same, and by how much this machine's clock is ahead of AWS's, which a refusal tells too; to the second.
    pub async fn identity_and_clock(&self) -> (Result<Identity, AwsError>, Option<SignedDuration>) {
        let watch = clock::Watch::default();
        let asked = self
            .sts
            .get_caller_identity()
            .customize()
            .interceptor(watch.clone());
        let answer = asked.send().await;
        let identity = answer.map(|answer| Identity {
            account: answer.account.unwrap_or_default(),
            arn: answer.arn.unwrap_or_default(),
        });
        let identity = identity.map_err(|error| failed("ask AWS whose credentials these are", error));
        (identity, watch.ahead())
    }

    /// The regions that this account may use.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub async fn regions(&self) -> Result<Vec<String>, AwsError> {
        let answer = self.ec2.describe_regions().send().await;
        let answer = answer.map_err(|error| failed("list the regions of the account", error))?;
        Ok(answer
            .regions
            .unwrap_or_default()
            .into_iter()
            .filter_map(|region| region.region_name)
            .collect())
    }
}

/// The price list of all regions is kept in a few of them (AWS Billing user guide, "Price List Query API endpoints").
const PRICE_LIST_REGION: &str = "us-east-1";

fn price_list(config: &SdkConfig) -> SdkConfig {
    config.to_builder().region(Region::new(PRICE_LIST_REGION)).build()
}

/// Whether it could be one: it becomes a part of the names of AWS's hosts.
fn is_region(region: &str) -> Result<(), AwsError> {
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if (1..=REGION_MAX).contains(&region.len()) && region.bytes().all(fits) {
        return Ok(());
    }
    let shown: String = region.chars().take(REGION_MAX).collect();
    let what = format!("{shown:?} is no region: write it as eu-central-1");
    Err(AwsError::new(Kind::Invalid, "use the region of AWS", what))
}

fn no_region() -> AwsError {
    AwsError::new(
        Kind::Invalid,
        "find the region of AWS",
        "no region is configured: give --region, set AWS_REGION, or `region` in ~/.aws/config",
    )
}
