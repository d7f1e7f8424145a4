//! The one module that knows consulrs: its requests and its middleware, over an HTTP client with bounds of ours.
//!
//! consulrs' own client reads bodies of any size, follows redirects, takes proxies from the environment and stops the
//! program at a header that is not ASCII; so its requests are sent from here.

mod endpoints;
mod http;

use std::time::Duration;

use consulrs::api::EndpointMiddleware;
use consulrs::api::check::common::AgentServiceCheck;
use consulrs::api::check::requests::TtlCheckUpdateRequest;
use consulrs::api::kv::common::KVPair;
use consulrs::api::kv::requests::{DeleteKeyRequest, ReadKeyRequest, ReadKeysRequest, SetKeyRequest};
use consulrs::api::service::requests::{DeregisterServiceRequest, RegisterServiceRequest};
use consulrs::api::session::requests::{CreateSessionRequest, DeleteSessionRequest, RenewSessionRequest};
use consulrs_reqwest::{Client, redirect};
use rustify::endpoint::Endpoint;
use rustify::enums::RequestMethod;
use serde::de::DeserializeOwned;

use super::error::{At, ConsulError, ConsulFault};
use super::kv::{RawPair, Write};
use super::service::{RawCheck, RawService};
use super::settings::{ConsulSettings, SettingsError, base};
use super::txn::RawPut;
use endpoints::{HealthService, OfAcl, WriteKeys};
use http::{Answer, Ask, certificates};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Consul answers a blocking query up to a sixteenth later than it was asked to.
const BLOCK_SLACK: u32 = 16;
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Short answers: true, an id, an error.
const SMALL_MAX: usize = 64 * 1024;
/// A value of 512 KiB in base64, and what is around it.
const VALUE_MAX: usize = 800 * 1024;
/// What a transaction wrote, without the values.
const TXN_MAX: usize = 128 * 1024;
/// Names of keys.
const LIST_MAX: usize = 512 * 1024;
/// All instances of a service that answer a query.
const SERVICES_MAX: usize = 64 * 1024;

pub(super) struct Wire {
    http: Client,
    base: String,
    datacenter: Option<String>,
    middleware: EndpointMiddleware,
}

impl Wire {
    pub(super) fn new(settings: &ConsulSettings) -> Result<Self, SettingsError> {
        let base = base(&settings.address)?;
        let mut builder = Client::builder()
            .use_rustls_tls()
            .no_proxy()
            .referer(false)
            .redirect(redirect::Policy::none())
            .http1_only()
            .pool_idle_timeout(IDLE_MAX)
            .connect_timeout(CONNECT_TIMEOUT)
            // Neither is in memory where it is not needed.
            .tls_built_in_root_certs(base.starts_with("https:") && settings.ca_file.is_none());
        for certificate in certificates(settings)? {
            builder = builder.add_root_certificate(certificate);
        }
        Ok(Self {
            http: builder.build().map_err(|e| SettingsError::Client(e.into()))?,
            base,
            datacenter: settings.datacenter.clone(),
            middleware: EndpointMiddleware {
                features: None,
                token: settings.token.clone(),
                version: "v1".into(),
            },
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.base
    }

    pub(super) fn datacenter(&self) -> Option<&str> {
        self.datacenter.as_deref()
    }

    pub(super) async fn read_key(&self, at: &At<'_>, key: &str) -> Result<Option<RawPair>, ConsulError> {
        let endpoint = ReadKeyRequest {
            key: key.into(),
            ..ReadKeyRequest::default()
        };
        let ask = self.ask(VALUE_MAX).with("consistent", "");
        let Some(answer) = self.exchange(at, endpoint, ask).await? else {
            return Ok(None);
        };
        let mut pairs: Vec<KVPair> = answer.parse(at)?;
        let pair = pairs.pop().filter(|_| pairs.is_empty());
        let pair = pair.ok_or_else(|| at.not_consul("not one key"))?;
        let value = pair.value.map(TryInto::<Vec<u8>>::try_into).transpose();
        Ok(Some(RawPair {
            key: pair.key,
            value: value
                .map_err(|_| at.not_consul("a value that is not base64"))?
                .unwrap_or_default(),
            modify_index: pair.modify_index,
            session: pair.session,
        }))
    }

    pub(super) async fn list_keys(&self, at: &At<'_>, folder: &str) -> Result<Vec<String>, ConsulError> {
        let mut builder = ReadKeysRequest::builder();
        let endpoint = builder.key(folder).build();
        let endpoint = endpoint.map_err(|_| at.unsendable("the request cannot be built"))?;
        let ask = self.ask(LIST_MAX).with("consistent", "");
        let answer = self.exchange(at, endpoint, ask).await?;
        answer.map_or(Ok(Vec::new()), |answer| answer.parse(at))
    }

    pub(super) async fn write_key(
        &self,
        at: &At<'_>,
        key: &str,
        value: Vec<u8>,
        how: Write<'_>,
    ) -> Result<bool, ConsulError> {
        let endpoint = SetKeyRequest {
            key: key.into(),
            value,
            cas: how.cas,
            acquire: how.acquire.map(Into::into),
            release: how.release.map(Into::into),
            ..SetKeyRequest::default()
        };
        let answer = self.exchange(at, endpoint, self.ask(SMALL_MAX)).await?;
        answer.ok_or_else(|| at.not_consul("404"))?.parse(at)
    }

    /// All of them, or none: false when one of the conditions does not hold.
    pub(super) async fn write_keys(&self, at: &At<'_>, puts: Vec<RawPut>) -> Result<bool, ConsulError> {
        let answer = self.exchange(at, WriteKeys(puts), self.ask(TXN_MAX)).await;
        let error = match answer {
            Ok(answer) => {
                let done: serde_json::Value = answer.ok_or_else(|| at.not_consul("404"))?.parse(at)?;
                let whole = done.get("Errors").is_some_and(serde_json::Value::is_null);
                return if whole {
                    Ok(true)
                } else {
                    Err(at.not_consul("errors without a conflict"))
                };
            }
            Err(error) => error,
        };
        match error.fault() {
            ConsulFault::Refused { status: 409, said } if said.contains("Permission denied") => {
                Err(at.status(403, said.as_bytes()))
            }
            ConsulFault::Refused { status: 409, said } if said.contains("index is stale") => Ok(false),
            _ => Err(error),
        }
    }

    pub(super) async fn delete_key(
        &self,
        at: &At<'_>,
        key: &str,
        cas: Option<u64>,
    ) -> Result<bool, ConsulError> {
        let endpoint = DeleteKeyRequest {
            key: key.into(),
            cas,
            ..DeleteKeyRequest::default()
        };
        let answer = self.exchange(at, endpoint, self.ask(SMALL_MAX)).await?;
        answer.ok_or_else(|| at.not_consul("404"))?.parse(at)
    }

    pub(super) async fn register(&self, at: &At<'_>, service: RawService<'_>) -> Result<(), ConsulError> {
        let check = |check: RawCheck| AgentServiceCheck {
            check_id: Some(check.id),
            name: Some(check.name.into()),
            ttl: check.ttl.map(Into::into),
            deregister_critical_service_after: check.deregister_after.map(Into::into),
            status: check.status.map(Into::into),
            http: check.http,
            interval: check.interval.map(Into::into),
            timeout: check.timeout.map(Into::into),
            ..AgentServiceCheck::default()
        };
        let meta = service.meta.into_iter().map(|(name, value)| (name.into(), value));
        let endpoint = RegisterServiceRequest {
            name: Some(service.name.into()),
            id: Some(service.id.into()),
            address: Some(service.address),
            port: Some(service.port.into()),
            tags: Some(service.tags),
            meta: Some(meta.collect()),
            checks: Some(service.checks.into_iter().map(check).collect()),
            ..RegisterServiceRequest::default()
        };
        // A check of an earlier life of this service that is not made any more would fail for ever.
        let ask = Ask::of_agent().with("replace-existing-checks", "true");
        let answer = self.exchange(at, endpoint, ask).await?;
        answer.ok_or_else(|| at.not_consul("404"))?.empty(at)
    }

    /// Whether Consul knew it.
    pub(super) async fn deregister(&self, at: &At<'_>, id: &str) -> Result<bool, ConsulError> {
        let endpoint = DeregisterServiceRequest {
            id: id.into(),
            ..DeregisterServiceRequest::default()
        };
        self.known(at, endpoint).await
    }

    /// Whether Consul knew it.
    pub(super) async fn update_check(
        &self,
        at: &At<'_>,
        id: &str,
        status: &str,
        output: &str,
    ) -> Result<bool, ConsulError> {
        let endpoint = TtlCheckUpdateRequest {
            check: id.into(),
            status: Some(status.into()),
            output: Some(output.into()),
            ..TtlCheckUpdateRequest::default()
        };
        self.known(at, endpoint).await
    }

    /// Instances whose checks all pass and that have all of these tags, and the index of the answer. A query that blocks
    /// returns when this changes after `index`, or `wait` has passed.
    pub(super) async fn healthy<T: DeserializeOwned>(
        &self,
        at: &At<'_>,
        name: &str,
        tags: &[String],
        block: Option<(u64, Duration)>,
    ) -> Result<(u64, T), ConsulError> {
        let mut ask = self.ask(SERVICES_MAX).with("passing", "1");
        for tag in tags {
            ask = ask.with("tag", tag);
        }
        if let Some((index, wait)) = block {
            ask.timeout += wait + wait / BLOCK_SLACK;
            ask = ask
                .with("index", index.to_string())
                .with("wait", format!("{}ms", wait.as_millis()));
        }
        let answer = self.exchange(at, HealthService(name.into()), ask).await?;
        let answer = answer.ok_or_else(|| at.not_consul("404"))?;
        Ok((answer.index, answer.parse(at)?))
    }

    pub(super) async fn create_session(
        &self,
        at: &At<'_>,
        name: &str,
        ttl: &str,
        lock_delay: &str,
    ) -> Result<String, ConsulError> {
        let endpoint = CreateSessionRequest {
            name: Some(name.into()),
            ttl: Some(ttl.into()),
            lock_delay: Some(lock_delay.into()),
            behavior: Some("delete".into()),
            ..CreateSessionRequest::default()
        };
        #[derive(serde::Deserialize)]
        struct Created {
            #[serde(rename = "ID")]
            id: String,
        }
        let answer = self.exchange(at, endpoint, self.ask(SMALL_MAX)).await?;
        let created: Created = answer.ok_or_else(|| at.not_consul("404"))?.parse(at)?;
        Ok(created.id)
    }

    /// Whether it still exists.
    pub(super) async fn renew_session(&self, at: &At<'_>, id: &str) -> Result<bool, ConsulError> {
        let endpoint = RenewSessionRequest {
            uuid: id.into(),
            ..RenewSessionRequest::default()
        };
        let answer = self.exchange(at, endpoint, self.ask(SMALL_MAX)).await?;
        Ok(answer.is_some())
    }

    pub(super) async fn destroy_session(&self, at: &At<'_>, id: &str) -> Result<(), ConsulError> {
        let endpoint = DeleteSessionRequest {
            uuid: id.into(),
            ..DeleteSessionRequest::default()
        };
        self.exchange(at, endpoint, self.ask(SMALL_MAX)).await?;
        Ok(())
    }

    /// Of the agent that is asked, whose own servers answer.
    pub(super) async fn put_json(
        &self,
        at: &At<'_>,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<Answer, ConsulError> {
        let endpoint = OfAcl {
            path: path.into(),
            method: RequestMethod::PUT,
            body,
        };
        let answer = self.exchange(at, endpoint, Ask::of_agent()).await?;
        answer.ok_or_else(|| at.not_consul("404"))
    }

    /// `None` for 404.
    pub(super) async fn get_json(&self, at: &At<'_>, path: &str) -> Result<Option<Answer>, ConsulError> {
        let endpoint = OfAcl {
            path: path.into(),
            method: RequestMethod::GET,
            body: None,
        };
        self.exchange(at, endpoint, Ask::of_agent()).await
    }

    /// False when the agent does not know the id: 404, or 500 in older releases.
    async fn known<E: Endpoint>(&self, at: &At<'_>, endpoint: E) -> Result<bool, ConsulError> {
        match self.exchange(at, endpoint, Ask::of_agent()).await {
            Ok(Some(answer)) => answer.empty(at).map(|()| true),
            Ok(None) => Ok(false),
            Err(error) if is_unknown(error.fault()) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn is_unknown(fault: &ConsulFault) -> bool {
    let ConsulFault::Refused { status: 500, said } = fault else {
        return false;
    };
    said.starts_with("Unknown service")
        || said.starts_with("Unknown check")
        || said.ends_with("does not have associated TTL")
}
