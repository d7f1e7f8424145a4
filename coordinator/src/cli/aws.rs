//! What every verb that speaks to AWS is told: region, profile, endpoint.

use mayfly_aws::{Account, AwsError, Kind, Place};

use super::failure::Failure;
use crate::cloud::CloudError;

impl From<AwsError> for Failure {
    fn from(error: AwsError) -> Self {
        match error.kind() {
            // What this machine is told to ask with, and what that may do.
            Kind::Credentials | Kind::Invalid | Kind::Permission => Self::usage(error),
            Kind::Capacity
            | Kind::Quota
            | Kind::Unsupported
            | Kind::NotFound
            | Kind::Exists
            | Kind::InUse
            | Kind::Throttled
            | Kind::Transient => Self::infra(error),
        }
    }
}

impl From<CloudError> for Failure {
    /// Of what was looked up before anything is made.
    fn from(error: CloudError) -> Self {
        match error {
            CloudError::Permanent(_) => Self::usage(error),
            CloudError::Transient { .. } | CloudError::Pending(_) => Self::chain("", &error),
        }
    }
}

/// Where in AWS.
#[derive(Debug, clap::Args)]
pub(crate) struct AwsArgs {
    /// Region of AWS [default: that of the profile]
    #[arg(long, env = "AWS_REGION", value_name = "REGION")]
    region: Option<String>,
    /// Profile of ~/.aws/config
    #[arg(long, env = "AWS_PROFILE", value_name = "NAME")]
    profile: Option<String>,
    /// URL of all services of AWS, where they are not AWS's own
    #[arg(long, env = "AWS_ENDPOINT_URL", value_name = "URL", hide = true)]
    endpoint: Option<String>,
}

/// The account that AWS's own tools would use here.
///
/// # Errors
/// No region is configured.
pub(crate) async fn of_environment() -> Result<Account, Failure> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let args = AwsArgs {
        region: variable("AWS_REGION"),
        profile: variable("AWS_PROFILE"),
        endpoint: variable("AWS_ENDPOINT_URL"),
    };
    args.open().await
}

impl AwsArgs {
    /// The URL of all services, where they are not AWS's own.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// The account.
    ///
    /// # Errors
    /// No region is configured, or what is none.
    pub(crate) async fn open(&self) -> Result<Account, Failure> {
        Ok(Account::open(&self.place()).await?)
    }

    /// Where to look for it.
    pub(crate) fn place(&self) -> Place {
        Place {
            region: self.region.clone(),
            profile: self.profile.clone(),
            endpoint: self.endpoint.clone(),
        }
    }
}
