//! The instance's role as credentials of the AWS SDK: fetched when they are needed, and again before they end.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result as Provided, future};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Imds, ImdsError, SessionKeys};

/// So long before their end others are wanted, if they last that long.
const AHEAD: Duration = Duration::from_secs(5 * 60);
/// What a request that was just signed may still take to arrive.
const IN_FLIGHT: Duration = Duration::from_secs(10);
/// Before metadata that does not answer is asked again, as long as the keys of now are good.
const AGAIN: Duration = Duration::from_secs(5);

/// The keys of now, for any number of users. Cloning is cheap.
#[derive(Clone)]
pub struct InstanceProfile {
    imds: Imds,
    known: Arc<Mutex<Option<Known>>>,
}

struct Known {
    keys: SessionKeys,
    /// When others are to be fetched.
    refresh_at: Instant,
    /// When these cannot be used any more.
    ends_at: Instant,
}

impl InstanceProfile {
    /// The role that `imds` knows; makes no request.
    #[must_use]
    pub fn new(imds: Imds) -> Self {
        Self {
            imds,
            known: Arc::default(),
        }
    }

    /// The keys of now, with what they are still good for.
    ///
    /// # Errors
    /// Metadata gives none, and there are none from before.
    pub async fn keys(&self) -> Result<SessionKeys, ImdsError> {
        let mut known = self.known.lock().await;
        let now = Instant::now();
        if let Some(known) = known.as_ref().filter(|known| now < known.refresh_at) {
            return Ok(known.at(now));
        }
        match self.imds.session_keys().await {
            Ok(keys) => {
                *known = Some(Known {
                    refresh_at: now + refresh_after(keys.good_for),
                    ends_at: now + keys.good_for,
                    keys: keys.clone(),
                });
                Ok(keys)
            }
            Err(error) => {
                let Some(old) = known.as_mut().filter(|known| now + IN_FLIGHT < known.ends_at) else {
                    return Err(error);
                };
                let cause: &dyn std::error::Error = &error;
                tracing::warn!(
                    error = cause,
                    "no new keys of the instance's role yet; those of now are still good"
                );
                old.refresh_at = now + AGAIN;
                Ok(old.at(now))
            }
        }
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

impl Known {
    fn at(&self, now: Instant) -> SessionKeys {
        SessionKeys {
            good_for: self.ends_at.saturating_duration_since(now),
            ..self.keys.clone()
        }
    }
}

/// Keys that last are renewed some minutes before their end, short ones after half their life.
fn refresh_after(good_for: Duration) -> Duration {
    good_for.saturating_sub(AHEAD).max(good_for / 2)
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
