//! Services of ours: registration on the agent that we speak to.

use std::net::{IpAddr, SocketAddr};

use super::error::{At, ConsulError};
use super::{Consul, names};

/// A node that says nothing for this long is critical.
const TTL: &str = "15s";
/// A service that is critical for this long is forgotten; Consul allows no less, and looks every half minute.
const DEREGISTER_AFTER: &str = "1m";
const HTTP_INTERVAL: &str = "2s";
const HTTP_TIMEOUT: &str = "1s";
/// Characters of a status line that Consul is given.
const OUTPUT_MAX: usize = 300;

/// What a service is for; its name in Consul is `<prefix>-<kind>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A coordinator that serves.
    Coordinator,
    /// The node that drives a run's job.
    Master,
    /// Any other node of a run.
    Worker,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Master => "master",
            Self::Worker => "worker",
        }
    }
}

/// One instance of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// What it is for.
    pub kind: Kind,
    /// What tells it from others of its kind, such as `flights-abcdefgh-master-1`.
    pub name: String,
    /// Where others reach it.
    pub address: SocketAddr,
    /// Tags `name=value`.
    pub tags: Vec<(&'static str, String)>,
    /// Where Consul asks its page `/ready`; nowhere when what it says of itself is all that counts.
    pub ready: Option<SocketAddr>,
    /// Port of its admin pages, as `admin_port` in the metadata; none when they are not at its address.
    pub admin_port: Option<u16>,
    /// Port of its page for people, as `ui_port` in the metadata.
    pub ui_port: Option<u16>,
}

/// What a service says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Passing,
    /// It does not.
    Critical,
}

impl Health {
    fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Critical => "critical",
        }
    }
}

/// A service with its checks.
pub(super) struct RawService<'a> {
    pub(super) name: &'a str,
    pub(super) id: &'a str,
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) tags: Vec<String>,
    pub(super) meta: Vec<(&'static str, String)>,
    pub(super) checks: Vec<RawCheck>,
}

/// A check: fed by us when it has a `ttl`, or made by Consul at the URL `http`.
#[derive(Default)]
pub(super) struct RawCheck {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) ttl: Option<&'static str>,
    pub(super) deregister_after: Option<&'static str>,
    pub(super) status: Option<&'static str>,
    pub(super) http: Option<String>,
    pub(super) interval: Option<&'static str>,
    pub(super) timeout: Option<&'static str>,
}

impl Service {
    fn tags(&self) -> Vec<String> {
        self.tags
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    fn ports(&self) -> Vec<(&'static str, String)> {
        let all = [("admin_port", self.admin_port), ("ui_port", self.ui_port)];
        all.into_iter()
            .filter_map(|(name, port)| Some((name, port?.to_string())))
            .collect()
    }

    fn checks(&self, id: &str) -> Vec<RawCheck> {
        let alive = RawCheck {
            id: ttl_check(id),
            name: "what it says of itself",
            ttl: Some(TTL),
            deregister_after: Some(DEREGISTER_AFTER),
            // Who registers is alive.
            status: Some(Health::Passing.as_str()),
            ..RawCheck::default()
        };
        let ready = self.ready.map(|at| RawCheck {
            id: format!("{id}:ready"),
            name: "its page /ready",
            http: Some(format!("http://{at}/ready")),
            interval: Some(HTTP_INTERVAL),
            timeout: Some(HTTP_TIMEOUT),
            ..RawCheck::default()
        });
        std::iter::once(alive).chain(ready).collect()
    }
}

impl Consul {
    /// The name of a kind of service in Consul, such as `mayfly-master`.
    #[must_use]
    pub fn service_name(&self, kind: Kind) -> String {
        format!("{}-{}", self.prefix, kind.as_str())
    }

    /// The id of a service in Consul, such as `mayfly-flights-abcdefgh-master-1`.
    #[must_use]
    pub fn service_id(&self, service: &Service) -> String {
        format!("{}-{}", self.prefix, service.name)
    }

    /// Registers a service, or changes what is registered under its id. It has a check that is fed through
    /// [`Consul::report`], and where it is `ready` somewhere one for which Consul asks there.
    ///
    /// # Errors
    /// Consul cannot be asked, or refuses.
    pub async fn register(&self, service: &Service) -> Result<(), ConsulError> {
        let (at, id) = self.at_service("register", service)?;
        let tags = service.tags();
        if let Some(bad) = tags.iter().find(|tag| !names::is_tag(tag)) {
            return Err(at.unsendable(format!("{bad:?} is not a tag that we use")));
        }
        let raw = RawService {
            name: &self.service_name(service.kind),
            id: &id,
            address: service.address.ip().to_string(),
            port: service.address.port(),
            tags,
            meta: service.ports(),
            checks: service.checks(&id),
        };
        self.wire.register(&at, raw).await
    }

    /// Takes a service out; true when Consul knew it.
    ///
    /// # Errors
    /// As [`Consul::register`].
    pub async fn deregister(&self, service: &Service) -> Result<bool, ConsulError> {
        let (at, id) = self.at_service("deregister", service)?;
        self.wire.deregister(&at, &id).await
    }

    /// Feeds the check of a service; false when Consul does not know it (any more): then register it.
    ///
    /// # Errors
    /// As [`Consul::register`].
    pub async fn report(&self, service: &Service, health: Health, line: &str) -> Result<bool, ConsulError> {
        let (at, id) = self.at_service("feed the check of", service)?;
        let line: String = line.chars().take(OUTPUT_MAX).collect();
        let output = crate::telemetry::escape(&line);
        self.wire
            .update_check(&at, &ttl_check(&id), health.as_str(), &output)
            .await
    }

    fn at_service(&self, doing: &str, service: &Service) -> Result<(At<'_>, String), ConsulError> {
        let (name, id) = (self.service_name(service.kind), self.service_id(service));
        let rule = format!("service \"{name}\" {{ policy = \"write\" }}");
        let at = self.at(format!("{doing} {id:?} as {name}"), rule);
        if !names::is_id(&id) {
            return Err(at.unsendable("this is not an id that we use"));
        }
        if service.address.port() == 0 || !is_usable(service.address.ip()) {
            let address = service.address;
            return Err(at.unsendable(format!("nobody could reach {address}")));
        }
        Ok((at, id))
    }
}

fn ttl_check(id: &str) -> String {
    format!("{id}:alive")
}

/// An address of one machine, that may be connected to.
pub(super) fn is_usable(address: IpAddr) -> bool {
    let special = match address {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_link_local() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some(),
    };
    !special && !address.is_unspecified() && !address.is_multicast()
}
