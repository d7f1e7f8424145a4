//! The coordinator and Consul: a server registers itself there, and commands find it there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::consul::{
    Consul, ConsulError, ConsulSettings, Found, Health, Kind, Presence, Query, Service,
};
use mayfly_proto::v1::Phase;
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::{Host, Url};

use crate::server::Server;

/// To be taken out when the server stops.
const WITHDRAW_MAX: Duration = Duration::from_secs(2);
/// To find the address of the server's own name.
const RESOLVE_MAX: Duration = Duration::from_secs(3);
const SCHEME: &str = "scheme";
const HOST: &str = "host";

/// Consul as the coordinator uses it, and as nodes are told to use it, who may do less there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// With the coordinator's token.
    pub own: ConsulSettings,
    /// With the nodes' token.
    pub nodes: ConsulSettings,
}

/// Where a server is.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where agents and people reach it: an address, or a name of the machine.
    pub url: String,
    /// Where its admin pages listen.
    pub admin: SocketAddr,
}

/// A server that Consul knows of, until it is withdrawn.
pub struct Announced {
    stop: watch::Sender<bool>,
    task: JoinSet<()>,
}

/// Registers a server, and keeps it registered whatever happens to Consul.
#[must_use]
pub fn announce(consul: Consul, place: Place, server: Arc<Server>) -> Announced {
    let (stop, stopping) = watch::channel(false);
    let mut task = JoinSet::new();
    task.spawn(keep(Presence::new(consul), place, server, stopping));
    Announced { stop, task }
}

async fn keep(mut presence: Presence, place: Place, server: Arc<Server>, mut stop: watch::Receiver<bool>) {
    let mut service = None;
    loop {
        if service.is_none() {
            service = located(&place).await;
        }
        let views = server.views().await;
        let open = views.iter().filter(|view| view.phase() != Phase::Closed).count();
        let line = format!("{open} runs go on");
        let wait = presence.turn(service.as_ref(), Health::Passing, &line).await;
        // The sender gone is a stop too.
        if timeout(wait, stop.wait_for(|&stop| stop)).await.is_ok() {
            break;
        }
    }
    presence.turn(None, Health::Critical, "").await;
}

/// What is registered: an address, and the name that the certificate has where the URL has one. Its health is what it says
/// of itself: its pages may listen where no other machine reaches them, on loopback unless the settings say otherwise.
async fn located(place: &Place) -> Option<Service> {
    let url = Url::parse(&place.url).ok()?;
    let scheme = url.scheme().to_owned();
    let port = url.port_or_known_default()?;
    let mut tags = vec![("role", "coordinator".into()), (SCHEME, scheme)];
    let ip = match url.host()? {
        Host::Ipv4(ip) => IpAddr::V4(ip),
        Host::Ipv6(ip) => IpAddr::V6(ip),
        Host::Domain(name) => {
            tags.push((HOST, name.to_owned()));
            resolved(name, port).await?
        }
    };
    Some(Service {
        kind: Kind::Coordinator,
        name: format!("coordinator-{ip}-{port}"),
        address: SocketAddr::new(ip, port),
        tags,
        ready: None,
        admin_port: answers(place.admin.ip(), ip).then(|| place.admin.port()),
        ui_port: None,
    })
}

/// Whether what listens at one address is reached at the other.
fn answers(listening: IpAddr, at: IpAddr) -> bool {
    listening == at
        || listening == Ipv6Addr::UNSPECIFIED
        || (listening == Ipv4Addr::UNSPECIFIED && at.is_ipv4())
}

async fn resolved(name: &str, port: u16) -> Option<IpAddr> {
    let found = timeout(RESOLVE_MAX, lookup_host((name, port))).await;
    let first = found.ok().and_then(Result::ok).and_then(|mut all| all.next());
    if first.is_none() {
        tracing::warn!("not in Consul: the name {name} of this server has no address");
    }
    first.map(|address| address.ip())
}

impl Announced {
    /// Takes it out of Consul, as far as this can be done in a moment.
    pub async fn withdraw(mut self) {
        self.stop.send_replace(true);
        let done = async { while self.task.join_next().await.is_some() {} };
        if timeout(WITHDRAW_MAX, done).await.is_err() {
            tracing::warn!(
                "Consul did not answer in time: it forgets this server by itself in a minute or two"
            );
        }
    }
}

/// The URL of a coordinator that Consul knows; of several the first by name. All that is known of it is that somebody
/// who may register coordinators says so: who connects checks its certificate.
///
/// # Errors
/// Consul cannot be asked, or its answer makes no sense.
pub async fn find_coordinator(consul: &Consul) -> Result<Option<String>, ConsulError> {
    // Loopback addresses are believed only of a Consul that is on this machine.
    let from = if consul.is_local() {
        Ipv4Addr::LOCALHOST
    } else {
        Ipv4Addr::UNSPECIFIED
    };
    let query = Query {
        kind: Kind::Coordinator,
        tags: vec![("role", "coordinator".into())],
        from: IpAddr::V4(from),
    };
    let found = consul.healthy(&query, 0, Duration::ZERO).await?;
    for why in &found.refused {
        tracing::warn!("a coordinator in Consul is not believed: {why}");
    }
    Ok(first(&found))
}

fn first(found: &Found) -> Option<String> {
    let mut urls = found.instances.iter().filter_map(|instance| {
        let scheme = instance
            .tag(SCHEME)
            .filter(|scheme| ["http", "https"].contains(scheme))?;
        let port = instance.address.port();
        match instance.tag(HOST) {
            Some(name) => is_name(name).then(|| format!("{scheme}://{name}:{port}")),
            None => Some(format!("{scheme}://{}", instance.address)),
        }
    });
    urls.next()
}

fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        (1..=63).contains(&part.len())
            && !part.starts_with('-')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    name.len() <= 253 && name.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn registered(url: &str, admin: &str) -> Option<Service> {
        let place = Place {
            url: url.into(),
            admin: admin.parse().unwrap(),
        };
        located(&place).await
    }

    async fn tags(url: &str) -> Option<(SocketAddr, Vec<String>)> {
        let service = registered(url, "127.0.0.1:9000").await?;
        let tags = service
            .tags
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"));
        Some((service.address, tags.collect()))
    }

    #[tokio::test]
    async fn a_server_is_registered_under_its_address_and_its_name() {
        let (address, of_address) = tags("http://10.0.0.1:7070").await.unwrap();
        assert_eq!(address, "10.0.0.1:7070".parse().unwrap());
        assert_eq!(of_address, ["role=coordinator", "scheme=http"]);
        let (address, of_name) = tags("https://localhost:7070").await.unwrap();
        assert!(address.ip().is_loopback() && address.port() == 7070);
        assert_eq!(of_name, ["role=coordinator", "scheme=https", "host=localhost"]);
        assert_eq!(
            tags("https://[fd00::1]:7070").await.unwrap().0,
            "[fd00::1]:7070".parse().unwrap()
        );
        assert!(tags("https://no-such-name.invalid:7070").await.is_none());
    }

    #[tokio::test]
    async fn pages_are_named_where_they_answer_at_the_servers_address() {
        let port = async |url: &str, admin: &str| registered(url, admin).await.unwrap().admin_port;
        let url = "https://10.0.0.1:7070";
        assert_eq!(port(url, "127.0.0.1:7071").await, None);
        assert_eq!(port(url, "10.0.0.2:7071").await, None);
        for admin in ["10.0.0.1:7071", "0.0.0.0:7071", "[::]:7071"] {
            assert_eq!(port(url, admin).await, Some(7071), "{admin}");
        }
        assert_eq!(port("http://127.0.0.1:7070", "127.0.0.1:7071").await, Some(7071));
        assert_eq!(port("https://[fd00::1]:7070", "0.0.0.0:7071").await, None);
        // Nor does its health depend on them.
        assert_eq!(registered(url, "0.0.0.0:7071").await.unwrap().ready, None);
    }

    #[test]
    fn only_names_are_taken_for_names() {
        assert!(is_name("mayfly.example") && is_name("a-1"));
        for bad in ["", "-a", "a..b", "a/b", "a@b", "a:1", "a b", &"x".repeat(64)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
