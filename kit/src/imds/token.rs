//! The session token that everything is asked with.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::ImdsError;

/// Where a token is asked for.
pub(super) const PATH: &str = "api/token";
/// Carries the token.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const TTL_HEADER: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
/// The longest life that the service grants.
const TTL_SECS: u64 = 6 * 3600;
/// Share of its life after which another is asked for, in percent.
const RENEW_AT: u32 = 90;
const LENGTH_MAX: usize = 512;

/// A token and its end. No `Debug`: it is a secret.
pub(super) struct Token {
    value: HeaderValue,
    renew_at: Instant,
}

impl Token {
    /// Checks what came for a token that was asked for at `asked`. Of what is wrong nothing is shown.
    pub(super) fn new(text: &str, asked: Instant, life: Duration) -> Result<Self, ImdsError> {
        let text = text.trim_end_matches(['\r', '\n']);
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"+/=_-".contains(&c);
        if text.is_empty() || text.len() > LENGTH_MAX || !text.bytes().all(fits) {
            let found = format!("{} bytes of something else", text.len());
            return Err(ImdsError::malformed(
                PATH,
                "1 to 512 letters, digits and +/=_-",
                found,
            ));
        }
        let mut value =
            HeaderValue::from_str(text).map_err(|_| ImdsError::malformed(PATH, "fit for a header", "not"))?;
        value.set_sensitive(true);
        Ok(Self {
            value,
            renew_at: asked + life * RENEW_AT / 100,
        })
    }

    pub(super) fn value(&self) -> HeaderValue {
        self.value.clone()
    }

    pub(super) fn is_good(&self, now: Instant) -> bool {
        now < self.renew_at
    }
}

/// What a token is asked for with.
pub(super) fn request() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(TTL_HEADER, HeaderValue::from(TTL_SECS));
    headers
}

/// The life that was granted; what was asked for where the answer does not say.
pub(super) fn life(headers: &HeaderMap) -> Duration {
    let text = headers.get(TTL_HEADER).and_then(|value| value.to_str().ok());
    let granted = text.and_then(|text| text.parse().ok());
    Duration::from_secs(granted.unwrap_or(TTL_SECS).min(TTL_SECS))
}
