//! Keys that end: kept until shortly before their end, and as long as there are no others.

use std::error::Error;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::SessionKeys;

/// So long before their end others are wanted, if they last that long.
const AHEAD: Duration = Duration::from_secs(5 * 60);
/// What a request that was just signed may still take to arrive.
const IN_FLIGHT: Duration = Duration::from_secs(10);
/// Before a giver that does not answer is asked again, as long as the keys of now are good.
const AGAIN: Duration = Duration::from_secs(5);

/// The keys of now.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Option<Known>>);

struct Known {
    keys: SessionKeys,
    /// When others are to be fetched.
    refresh_at: Instant,
    /// When these cannot be used any more.
    ends_at: Instant,
}

impl Cache {
    /// The keys of now, with what they are still good for; others from `fetch` where it is time. `what` is for the log.
    pub(crate) async fn get<E, F>(&self, what: &str, fetch: F) -> Result<SessionKeys, E>
    where
        E: Error + 'static,
        F: Future<Output = Result<SessionKeys, E>>,
    {
        let mut known = self.0.lock().await;
        let now = Instant::now();
        if let Some(known) = known.as_ref().filter(|known| now < known.refresh_at) {
            return Ok(known.at(now));
        }
        match fetch.await {
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
                let cause: &dyn Error = &error;
                tracing::warn!(
                    error = cause,
                    "no new keys of {what} yet; those of now are still good"
                );
                old.refresh_at = now + AGAIN;
                Ok(old.at(now))
            }
        }
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
pub(crate) fn refresh_after(good_for: Duration) -> Duration {
    good_for.saturating_sub(AHEAD).max(good_for / 2)
}
