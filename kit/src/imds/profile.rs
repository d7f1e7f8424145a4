//! The instance's role as credentials of the AWS SDK: fetched when they are needed, and again before they end.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result as Provided, future};

use super::cache::{Cache, refresh_after};
use super::{Imds, ImdsError, SessionKeys};

/// The keys of now, for any number of users. Cloning is cheap.
#[derive(Clone)]
pub struct InstanceProfile {
    imds: Imds,
    keys: Arc<Cache>,
}

impl InstanceProfile {
    /// The role that `imds` knows; makes no request.
    #[must_use]
    pub fn new(imds: Imds) -> Self {
        Self {
            imds,
            keys: Arc::default(),
        }
    }

    /// The keys of now, with what they are still good for.
    ///
    /// # Errors
    /// Metadata gives none, and there are none from before.
    pub async fn keys(&self) -> Result<SessionKeys, ImdsError> {
        self.keys
            .get("the instance's role", self.imds.session_keys())
            .await
    }

    async fn provide(&self) -> Provided {
        let keys = self.keys().await.map_err(CredentialsError::provider_error)?;
        // The SDK asks again after this; what it asks is answered from here. Its own cache is not told the end, since it would
        // compare that with a clock that may be wrong.
        let look_again = SystemTime::now() + refresh_after(keys.good_for);
        Ok(Credentials::new(
            keys.access_key,
            keys.secret_key,
            Some(keys.token),
            Some(look_again),
            "instance-profile",
        ))
    }
}

impl fmt::Debug for InstanceProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstanceProfile")
    }
}

impl ProvideCredentials for InstanceProfile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}
