//! The web page: what runs, how far it is, what it says, what it left and what it cost.
//!
//! It is served where gRPC is, at the same address and behind the same token. Pages are made here, from what the store has
//! and, of runs whose owner is in this process, from what that owner shows: [`shown`] is both. They work without a script;
//! a small one makes them live over server-sent events ([`events`]). The engine's own pages come through the connection
//! that the master's agent keeps ([`engine`]), and so do their WebSockets ([`socket`]).
//!
//! Everything that a job, a person or a file says is text here and never markup: `maud` escapes it, a policy forbids what
//! gets past that, and files of results are shown in a sandbox.

mod access;
mod answer;
mod assets;
mod charts;
mod csv;
mod engine;
mod events;
mod frame;
mod history;
mod index;
mod lines;
mod list;
mod logs;
mod parquet;
mod parts;
mod query;
mod receipt;
mod results;
mod routes;
mod run;
mod sampler;
mod samples;
mod shown;
mod socket;
mod yaml;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use mayfly_proto::RunId;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::home::Home;
use crate::server::Server;
use access::Door;
use index::Index;
use samples::Samples;

/// Readers that follow a run at one time.
const READERS_MAX: usize = 256;

/// What the pages are made from. Clones share it.
#[derive(Clone)]
pub(crate) struct Web(Arc<Inner>);

struct Inner {
    server: Arc<Server>,
    door: Door,
    index: Index,
    samples: Mutex<HashMap<RunId, Samples>>,
    readers: Arc<Semaphore>,
    histories: history::Histories,
    sockets: TaskTracker,
    stop: watch::Receiver<bool>,
}

impl Web {
    /// The page of a coordinator that people reach by `url`; its streams end when `stop` says so.
    pub(crate) fn new(server: Arc<Server>, url: &str, home: Home, stop: watch::Receiver<bool>) -> Self {
        Self(Arc::new(Inner {
            door: Door::new(url, sysinfo::System::host_name()),
            index: Index::default(),
            samples: Mutex::default(),
            readers: Arc::new(Semaphore::new(READERS_MAX)),
            histories: history::Histories::new(home),
            sockets: TaskTracker::new(),
            server,
            stop,
        }))
    }

    /// What answers requests.
    pub(crate) fn router(&self) -> Router {
        routes::router(self.clone())
    }

    /// The address that lets a browser in, for the person who started this coordinator.
    pub(crate) fn entrance(&self, url: &str, path: &str) -> String {
        let key = access::key(self.0.server.tokens());
        let next: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
        format!("{url}/login?key={key}&next={next}")
    }

    /// Looks at the nodes of open runs until the coordinator stops, and keeps what was seen for afterwards.
    pub(crate) async fn sample(self) {
        sampler::run(&self).await;
    }

    /// Waits until the coordinator stops, and until the WebSockets of engines' pages have ended then.
    pub(crate) async fn keep_sockets(self) {
        let mut stop = self.stop();
        // An error means the same.
        drop(stop.wait_for(|&stop| stop).await);
        self.0.sockets.close();
        self.0.sockets.wait().await;
    }

    fn stop(&self) -> watch::Receiver<bool> {
        self.0.stop.clone()
    }

    /// Holders only copy values, so a poisoned lock still guards sound ones.
    fn samples(&self) -> MutexGuard<'_, HashMap<RunId, Samples>> {
        self.0.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_samples<T>(&self, run: &RunId, use_them: impl FnOnce(&Samples) -> T) -> T {
        match self.samples().get(run) {
            Some(samples) => use_them(samples),
            None => use_them(&Samples::default()),
        }
    }
}
