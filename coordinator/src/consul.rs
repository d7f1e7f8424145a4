//! The coordinator and Consul: a server registers itself there, and commands find it there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::consul::{
    Consul, ConsulError, ConsulSettings, Found, Health, Kind, Presence, Query, Service,
};
use mayfly_proto::v1::Phase;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::server::Server;

/// To be taken out when the server stops.
const WITHDRAW_MAX: Duration = Duration::from_secs(2);
const SCHEME: &str = "scheme";

/// Consul as the coordinator uses it, and as nodes are told to use it, who may do less there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// With the coordinator's token.
    pub own: ConsulSettings,
    /// With the nodes' token.
    pub nodes: ConsulSettings,
}

/// Where a server is.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Where agents and people reach it.
    pub address: SocketAddr,
    /// Where its admin pages are.
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
    task.spawn(keep(Presence::new(consul), service(place), server, stopping));
    Announced { stop, task }
}

fn service(place: Place) -> Service {
    let Place {
        scheme,
        address,
        admin,
    } = place;
    Service {
        kind: Kind::Coordinator,
        name: format!("coordinator-{}-{}", address.ip(), address.port()),
        address,
        tags: vec![("role", "coordinator".into()), (SCHEME, scheme.into())],
        admin,
        ui_port: None,
    }
}

async fn keep(
    mut presence: Presence,
    service: Service,
    server: Arc<Server>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let views = server.views().await;
        let open = views.iter().filter(|view| view.phase() != Phase::Closed).count();
        let line = format!("{open} runs go on");
        let wait = presence.turn(Some(&service), Health::Passing, &line).await;
        // The sender gone is a stop too.
        if timeout(wait, stop.wait_for(|&stop| stop)).await.is_ok() {
            break;
        }
    }
    presence.turn(None, Health::Critical, "").await;
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
        Some(format!("{scheme}://{}", instance.address))
    });
    urls.next()
}
