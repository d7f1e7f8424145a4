//! The coordinator itself: the runs it drives, and what nodes and people may do with them. How these reach it is in
//! [`crate::grpc`] and [`crate::transport`].

mod adopt;
mod carriers;
mod control;
mod drive;
mod error;
mod folder;
mod launch;
mod place;
mod runs;
mod session;
mod sizing;
mod spec;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::admin::Admin;
use mayfly_kit::store::Store;
use mayfly_kit::tls::Fingerprint;
use mayfly_proto::RunId;
use tokio::sync::{Mutex, RwLock};
use tokio_util::task::TaskTracker;

use crate::authority::Authority;
use crate::cloud::Clouds;
use crate::home::Home;
use crate::incoming::{Incoming, IncomingError, Piece, Progress};
use crate::metrics::Metrics;
use crate::notify::Notify;
use crate::shelf::Shelf;
use crate::tokens::Tokens;
pub(crate) use carriers::Down;
pub use carriers::{Answered, Carriers, CarryError};
pub(crate) use carriers::{Opened, Socket};
pub use error::ServerError;
pub use folder::Control;
pub use launch::Launch;
pub use place::{Placement, Placing};
pub use runs::Entry;
pub use session::Session;

/// What a coordinator is made of.
pub struct Parts {
    /// Where machines come from.
    pub clouds: Clouds,
    /// The store.
    pub store: Store,
    /// How people read it; `None` where nobody but its runs does.
    pub shelf: Option<Shelf>,
    /// Local folders.
    pub home: Home,
    /// Tokens of this process.
    pub tokens: Tokens,
    /// Where agents and people reach this process.
    pub url: String,
    /// What vouches for nodes and listener; `None` where it listens in plaintext, on loopback.
    pub security: Option<Security>,
    /// Runs that may be open at one time; those that are taken over do not count as new.
    pub runs_max: usize,
    /// Where the coordinators of its runs live.
    pub placement: Placement,
    /// The token of nodes in a Consul that is this coordinator's own.
    pub nodes_in_consul: Option<String>,
    /// Who is told of its runs, beside those that their jobs name.
    pub notify: Notify,
}

/// What vouches for the other end of a connection.
#[derive(Clone)]
pub struct Security {
    /// Issues the certificates of nodes.
    pub authority: Arc<Authority>,
    /// How long each of them lasts, in all.
    pub node_life: Duration,
    /// Authority of the listener's certificate, which nodes and people pin.
    pub fingerprint: Fingerprint,
}

/// A coordinator.
pub struct Server {
    parts: Parts,
    runs: RwLock<HashMap<RunId, Arc<Entry>>>,
    /// Held while a run is made, so that the same request twice at once is one run.
    launching: Mutex<()>,
    /// Runs that are closed and still shown, the oldest first.
    closed: Mutex<VecDeque<RunId>>,
    incoming: Incoming,
    drivers: TaskTracker,
    metrics: Metrics,
    admin: Admin,
}

impl Server {
    /// A coordinator with no run.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            runs: RwLock::default(),
            launching: Mutex::default(),
            closed: Mutex::default(),
            incoming: Incoming::default(),
            drivers: TaskTracker::new(),
            metrics: Metrics::default(),
            admin: Admin::new(),
        })
    }

    /// How people read the store.
    #[must_use]
    pub fn shelf(&self) -> Option<&Shelf> {
        self.parts.shelf.as_ref()
    }

    /// Tokens of this process.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.parts.tokens
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.parts.store
    }

    /// What vouches for nodes; `None` in plaintext.
    #[must_use]
    pub fn security(&self) -> Option<&Security> {
        self.parts.security.as_ref()
    }

    /// What its admin pages show: each open run has a line there.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// What is counted for Prometheus.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        self.security().map(|security| security.fingerprint)
    }

    /// Takes a piece of a bundle that somebody brings for a launch.
    ///
    /// # Errors
    /// It is too much, or the store does not answer.
    pub async fn put_code(&self, piece: Piece) -> Result<Progress, IncomingError> {
        self.incoming.take(&self.parts.store, piece).await
    }

    /// Waits until every run is closed.
    pub async fn drained(&self) {
        self.drivers.close();
        self.drivers.wait().await;
    }
}
