//! Instance metadata of EC2, version 2 only: a session token first, then everything with it.
//!
//! What answers there is taken for what it is: a plain HTTP server on the network. It is asked directly (no proxy), followed
//! nowhere (no redirect), read up to [`BODY_MAX_BYTES`], waited for a bounded time, and every word of it is checked by whoever
//! asked. Nothing here tries again by itself; [`Imds::patiently`] does, for as long as its caller says.

mod cache;
mod credentials;
mod error;
mod profile;
#[cfg(test)]
mod tests;
mod token;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy as Redirects;
use reqwest::{Client, Method, Response, StatusCode, Url};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::backoff::{Backoff, Policy, jitter};
use token::Token;

pub(crate) use cache::Cache;
pub use credentials::SessionKeys;
pub use error::ImdsError;
pub use profile::InstanceProfile;

/// Names another place of the metadata, as for every AWS SDK.
pub const ENDPOINT_VARIABLE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
/// Where the metadata of every instance is.
pub const ENDPOINT: &str = "http://169.254.169.254";
/// Longest answer that is read.
pub const BODY_MAX_BYTES: usize = 64 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// For one request with its answer. A healthy service takes milliseconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
const RETRY: Policy = Policy {
    base: Duration::from_millis(100),
    cap: Duration::from_secs(3),
    budget: Duration::MAX,
};

/// An answer, and when it was given by the clock of whoever gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The body, as it came.
    pub text: String,
    /// The `Date` header.
    pub date: Option<Timestamp>,
}

/// A client of the metadata. Cloning is cheap; all clones share one token.
#[derive(Clone)]
pub struct Imds {
    client: Client,
    endpoint: Url,
    token: Arc<Mutex<Option<Token>>>,
}

impl Imds {
    /// The metadata at an address; makes no request.
    ///
    /// # Errors
    /// It is no address, or the HTTP client cannot be made.
    pub fn at(endpoint: &str) -> Result<Self, ImdsError> {
        let refused = || ImdsError::Endpoint {
            value: endpoint.to_owned(),
        };
        let url = Url::parse(endpoint).map_err(|_| refused())?;
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if url.scheme() != "http" || url.host().is_none() || url.path() != "/" || !plain {
            return Err(refused());
        }
        let client = Client::builder()
            .redirect(Redirects::none())
            .no_proxy()
            // A question now and then; and no connection is left to a runtime that has ended.
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .build()
            .map_err(ImdsError::Client)?;
        Ok(Self {
            client,
            endpoint: url,
            token: Arc::default(),
        })
    }

    /// The metadata of this instance, or wherever [`ENDPOINT_VARIABLE`] says.
    ///
    /// # Errors
    /// See [`Imds::at`].
    pub fn from_environment() -> Result<Self, ImdsError> {
        let named = std::env::var(ENDPOINT_VARIABLE).ok();
        Self::at(named.as_deref().filter(|url| !url.is_empty()).unwrap_or(ENDPOINT))
    }

    /// The address that is asked, where it is one and no name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.endpoint.host_str()?.trim_matches(['[', ']']).parse().ok()
    }

    /// What is at `path` below `latest/`; `None` where there is nothing (404).
    ///
    /// # Errors
    /// No answer, or none that can be used.
    pub async fn get(&self, path: &str) -> Result<Option<Answer>, ImdsError> {
        match self.ask(path).await {
            // The service was started anew, or counts time otherwise than we do: one new token, and once more.
            Err(ImdsError::Status { status, .. }) if status == StatusCode::UNAUTHORIZED => {
                *self.token.lock().await = None;
                self.ask(path).await
            }
            settled => settled,
        }
    }

    /// The same of what every instance has.
    ///
    /// # Errors
    /// As [`Imds::get`]; also when there is nothing.
    pub async fn need(&self, path: &str) -> Result<Answer, ImdsError> {
        let found = self.get(path).await?;
        found.ok_or_else(|| ImdsError::Missing {
            path: path.to_owned(),
        })
    }

    /// Repeats what failed until it succeeds or the time is up; then the last failure is the answer. Whatever is wrong
    /// with metadata may be put right while an instance boots, so nothing counts as permanent.
    ///
    /// # Errors
    /// The last one, at `until`.
    pub async fn patiently<T, E, F>(until: Instant, ask: impl Fn() -> F) -> Result<T, E>
    where
        E: std::error::Error + 'static,
        F: Future<Output = Result<T, E>>,
    {
        let mut waits = Backoff::new(RETRY, jitter);
        loop {
            let error = match ask().await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let due = Instant::now() + waits.next().unwrap_or(RETRY.cap);
            if due >= until {
                return Err(error);
            }
            let cause: &dyn std::error::Error = &error;
            tracing::debug!(error = cause, "metadata is not there yet");
            sleep_until(due).await;
        }
    }

    async fn ask(&self, path: &str) -> Result<Option<Answer>, ImdsError> {
        let token = self.token().await?;
        let mut headers = HeaderMap::new();
        headers.insert(token::HEADER, token);
        let response = self.call(Method::GET, path, headers).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        read(path, response).await.map(Some)
    }

    /// The token of now; a new one when there is none, or when it is about to end. Whoever comes second waits for the first.
    async fn token(&self) -> Result<HeaderValue, ImdsError> {
        let mut known = self.token.lock().await;
        if let Some(token) = known.as_ref().filter(|token| token.is_good(Instant::now())) {
            return Ok(token.value());
        }
        let asked = Instant::now();
        let response = self.call(Method::PUT, token::PATH, token::request()).await?;
        let life = token::life(response.headers());
        let answer = read(token::PATH, response).await?;
        let token = Token::new(&answer.text, asked, life)?;
        let value = token.value();
        *known = Some(token);
        Ok(value)
    }

    async fn call(&self, method: Method, path: &str, headers: HeaderMap) -> Result<Response, ImdsError> {
        let mut url = self.endpoint.clone();
        url.set_path(&format!("latest/{path}"));
        let request = self.client.request(method, url).headers(headers);
        request.send().await.map_err(|source| ImdsError::Unreachable {
            endpoint: self.endpoint.to_string(),
            path: path.to_owned(),
            source,
        })
    }
}

/// The text of a good answer.
async fn read(path: &str, mut response: Response) -> Result<Answer, ImdsError> {
    let status = response.status();
    if status != StatusCode::OK {
        return Err(ImdsError::Status {
            path: path.to_owned(),
            status,
        });
    }
    let date = date(response.headers());
    let mut bytes = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|source| ImdsError::Broken {
            path: path.to_owned(),
            source,
        })?;
        let Some(chunk) = chunk else { break };
        if bytes.len() + chunk.len() > BODY_MAX_BYTES {
            return Err(ImdsError::TooLarge {
                path: path.to_owned(),
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    let text =
        String::from_utf8(bytes).map_err(|_| ImdsError::malformed(path, "text", "bytes that are none"))?;
    Ok(Answer { text, date })
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text)
        .ok()
        .map(|zoned| zoned.timestamp())
}
