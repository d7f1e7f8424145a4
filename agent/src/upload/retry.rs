//! Patience with a store that is away.

use std::time::Duration;

use mayfly_kit::backoff::{Backoff, Policy, jitter};
use mayfly_kit::store::StoreError;

use super::{Shared, UploadError};

/// Never given up here: what the job finished is worth more than the time of one node, and the deadline bounds it.
const POLICY: Policy = Policy {
    base: Duration::from_millis(250),
    cap: Duration::from_secs(10),
    budget: Duration::MAX,
};

impl Shared {
    /// Repeats a request until it succeeds or can never succeed.
    pub(super) async fn patiently<T, F>(&self, path: &str, request: impl Fn() -> F) -> Result<T, UploadError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut waits = Backoff::new(POLICY, jitter);
        loop {
            let error = match request().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let wait = if error.is_permanent() { None } else { waits.next() };
            let Some(wait) = wait else {
                return Err(UploadError::Store {
                    path: path.to_owned(),
                    source: error,
                });
            };
            tracing::warn!(
                path,
                error = &error as &dyn std::error::Error,
                "upload again in {wait:?}"
            );
            self.progress.send_modify(|p| p.ever.retries += 1);
            tokio::time::sleep(wait).await;
        }
    }
}
