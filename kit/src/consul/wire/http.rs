//! One request over HTTP and its answer, bounded in time and size; and the certificates that Consul is known by.

use std::time::Duration;

use consulrs_reqwest::{Certificate, Request, Response};
use rustify::endpoint::Endpoint;
use serde::de::DeserializeOwned;

use super::super::error::{At, ConsulError, ConsulFault};
use super::super::settings::{ConsulSettings, SettingsError};
use super::{SMALL_MAX, Wire};

const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// What may be asked beside what an endpoint of consulrs asks.
pub(super) struct Ask {
    query: Vec<(&'static str, String)>,
    max: usize,
    pub(super) timeout: Duration,
}

pub(in crate::consul) struct Answer {
    pub(super) index: u64,
    body: Vec<u8>,
}

impl Wire {
    /// Of the servers, in the datacenter of the settings. What is asked of the agent is about that agent.
    pub(super) fn ask(&self, max: usize) -> Ask {
        let query = self.datacenter.iter().map(|dc| ("dc", dc.clone())).collect();
        Ask {
            query,
            max,
            timeout: CALL_TIMEOUT,
        }
    }

    /// `None` for 404.
    pub(super) async fn exchange<E: Endpoint>(
        &self,
        at: &At<'_>,
        endpoint: E,
        ask: Ask,
    ) -> Result<Option<Answer>, ConsulError> {
        let built = endpoint.with_middleware(&self.middleware).request(&self.base);
        let built = built.map_err(|e| at.caused(unbuilt(), Some(e.into())))?;
        let mut request = Request::try_from(built).map_err(|e| at.caused(unbuilt(), Some(e.into())))?;
        if !ask.query.is_empty() {
            request.url_mut().query_pairs_mut().extend_pairs(&ask.query);
        }
        *request.timeout_mut() = Some(ask.timeout);
        let mut response = self.http.execute(request).await.map_err(|e| broken(at, e))?;
        let status = response.status().as_u16();
        let index = index(&response);
        let body = read(at, &mut response, ask.max).await?;
        match status {
            200..300 => Ok(Some(Answer { index, body })),
            404 => Ok(None),
            _ => Err(at.status(status, &body)),
        }
    }
}

impl Ask {
    pub(super) fn of_agent() -> Self {
        Self {
            query: Vec::new(),
            max: SMALL_MAX,
            timeout: CALL_TIMEOUT,
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }
}

impl Answer {
    pub(in crate::consul) fn parse<T: DeserializeOwned>(&self, at: &At<'_>) -> Result<T, ConsulError> {
        serde_json::from_slice(&self.body).map_err(|source| {
            let what = "its body is not the JSON that was asked for";
            at.caused(ConsulFault::NotConsul { what }, Some(source.into()))
        })
    }

    pub(super) fn empty(&self, at: &At<'_>) -> Result<(), ConsulError> {
        if self.body.trim_ascii().is_empty() {
            return Ok(());
        }
        Err(at.not_consul("a body where there is none"))
    }
}

pub(super) fn certificates(settings: &ConsulSettings) -> Result<Vec<Certificate>, SettingsError> {
    let Some(path) = &settings.ca_file else {
        return Ok(Vec::new());
    };
    let bad = |source| SettingsError::CaFile {
        path: path.clone(),
        source,
    };
    let pem = std::fs::read(path).map_err(|e| bad(e.into()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|e| bad(e.into()))?;
    if found.is_empty() {
        return Err(bad("there is no certificate in it".into()));
    }
    Ok(found)
}

fn unbuilt() -> ConsulFault {
    ConsulFault::Unsendable {
        what: "the request cannot be built".into(),
    }
}

fn broken(at: &At<'_>, error: consulrs_reqwest::Error) -> ConsulError {
    let fault = if error.is_timeout() {
        ConsulFault::Timeout
    } else if error.is_connect() {
        ConsulFault::Connect
    } else {
        ConsulFault::Broken
    };
    at.caused(fault, Some(error.without_url().into()))
}

/// 0 when there is none that makes sense: then nothing can be waited for.
fn index(response: &Response) -> u64 {
    let header = response.headers().get("x-consul-index");
    let text = header.and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

async fn read(at: &At<'_>, response: &mut Response, max: usize) -> Result<Vec<u8>, ConsulError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| broken(at, e))? {
        if body.len() + chunk.len() > max {
            return Err(at.fault(ConsulFault::TooLarge { max }));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
