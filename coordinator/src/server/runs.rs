//! The runs of a coordinator, as nodes and people find them, and what these may ask of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::tls::Fingerprint;
use mayfly_proto::{NodeId, RunId, v1};
use tokio::sync::{Mutex, oneshot};

use super::spec::{Secrets, node_spec};
use super::{Carriers, Launch, Server, ServerError, Session};
use crate::cloud::{Cloud, Offered, Sizes};
use crate::driver::{Handle, Message};
use crate::run::{Cancel, Role};

/// The hard cap of a job's own deadline.
const EXTEND_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Closed runs that are kept in memory.
const CLOSED_MAX: usize = 200;

/// One run of this coordinator.
pub struct Entry {
    /// Its owner and projections.
    pub handle: Handle,
    /// What its nodes are told when they enrol.
    pub spec: v1::NodeSpec,
    /// Where its machines come from.
    pub cloud: Arc<dyn Cloud>,
    /// First interval between the reports of its nodes.
    pub sync_fast: Duration,
    /// Where its master waits for requests to the engine's pages, and for clients of a session.
    pub carriers: Carriers,
    sessions: Mutex<HashMap<NodeId, Arc<Session>>>,
}

impl Entry {
    /// Remembers a node's session; the same process of its agent, with the same key, may enrol again, another one may
    /// not.
    pub async fn open_session(
        &self,
        node: &NodeId,
        boot_id: &str,
        role: Role,
        key: Option<Fingerprint>,
    ) -> Option<Arc<Session>> {
        let mut sessions = self.sessions.lock().await;
        let fresh = || Arc::new(Session::new(boot_id, role, key));
        let session = sessions.entry(node.clone()).or_insert_with(fresh);
        session.is_of(boot_id, role, key).then(|| Arc::clone(session))
    }

    /// The session of a node.
    pub async fn session(&self, node: &NodeId) -> Option<Arc<Session>> {
        self.sessions.lock().await.get(node).cloned()
    }
}

impl Server {
    /// Nodes and people find the run from now on.
    pub(super) async fn enter(
        &self,
        run: &RunId,
        launch: &Launch,
        offered: &Offered,
        sizes: Sizes,
        handle: Handle,
    ) {
        let entry = Entry {
            handle,
            spec: node_spec(launch, self.secrets(run), sizes),
            cloud: Arc::clone(&offered.cloud),
            sync_fast: offered.timing.sync_fast,
            carriers: Carriers::default(),
            sessions: Mutex::default(),
        };
        self.runs.write().await.insert(run.clone(), Arc::new(entry));
    }

    fn secrets(&self, run: &RunId) -> Secrets {
        Secrets {
            engine: self.parts.tokens.engine(run),
            consul: self.parts.nodes_in_consul.clone().unwrap_or_default(),
        }
    }

    /// A run that this coordinator drives or drove.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn run(&self, run: &RunId) -> Result<Arc<Entry>, ServerError> {
        let runs = self.runs.read().await;
        runs.get(run)
            .cloned()
            .ok_or_else(|| ServerError::NoSuchRun(run.clone()))
    }

    /// All runs of this coordinator.
    pub async fn entries(&self) -> Vec<Arc<Entry>> {
        self.runs.read().await.values().cloned().collect()
    }

    /// Views of all runs of this coordinator.
    pub async fn views(&self) -> Vec<v1::RunView> {
        let entries = self.entries().await;
        entries
            .iter()
            .map(|entry| entry.handle.view.borrow().clone())
            .collect()
    }

    /// Asks the owner of a run to end it.
    ///
    /// # Errors
    /// There is no such run, or it is closed.
    pub async fn cancel(&self, run: &RunId, level: Cancel) -> Result<v1::RunView, ServerError> {
        let entry = self.run(run).await?;
        let sent = entry.handle.messages.send(Message::Cancel(level)).await;
        sent.map_err(|_closed| ServerError::Closed(run.clone()))?;
        Ok(entry.handle.view.borrow().clone())
    }

    /// Moves the end of a run to so long from now.
    ///
    /// # Errors
    /// There is no such run, it ends already, or that is no time.
    pub async fn extend(&self, run: &RunId, from_now: Duration) -> Result<v1::RunView, ServerError> {
        if from_now.is_zero() || from_now > EXTEND_MAX {
            return Err(ServerError::TooLate);
        }
        let entry = self.run(run).await?;
        let closed = || ServerError::Closed(run.clone());
        let (reply, moved) = oneshot::channel();
        let sent = entry.handle.messages.send(Message::Extend(from_now, reply)).await;
        sent.map_err(|_closed| closed())?;
        if !moved.await.map_err(|_closed| closed())? {
            return Err(ServerError::Ending(run.clone()));
        }
        Ok(entry.handle.view.borrow().clone())
    }

    /// A run that was closed is shown for a while; the store has it for ever.
    pub(super) async fn forget_older(&self, closed: RunId) {
        let mut known = self.closed.lock().await;
        known.push_back(closed);
        if known.len() > CLOSED_MAX
            && let Some(oldest) = known.pop_front()
        {
            self.runs.write().await.remove(&oldest);
        }
    }
}
