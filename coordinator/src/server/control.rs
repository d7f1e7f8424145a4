//! What the server of a team leaves in the store for its next machine: the requests of its open runs.

use mayfly_kit::layout;
use mayfly_proto::RunId;

use super::{Launch, Placement, Server, ServerError};
use crate::home::Home;

/// Most runs that are gone on with.
const RUNS_MAX: usize = 10_000;
/// Largest request that is read, in bytes: a job file has a megabyte at most.
const REQUEST_MAX: u64 = 8 << 20;

impl Server {
    /// The network whose team this serves, on a machine that may be replaced.
    pub(super) fn control(&self) -> Option<&str> {
        match &self.parts.placement {
            Placement::Control { network } => Some(network),
            Placement::Here | Placement::OnMaster(_) | Placement::Master => None,
        }
    }

    /// Before there is a record: a run of which nothing else is known is none.
    pub(super) async fn keep_request_in_store(
        &self,
        run: &RunId,
        launch: &Launch,
    ) -> Result<(), ServerError> {
        let Some(network) = self.control() else {
            return Ok(());
        };
        let text = serde_json::to_vec(launch).map_err(|error| ServerError::BadJob(error.to_string()))?;
        let key = layout::control_request(network, run);
        Ok(self.parts.store.put(&key, text).await?)
    }

    /// The runs whose requests this server has left in the store.
    pub(super) async fn runs_in_store(&self) -> Result<Vec<RunId>, ServerError> {
        let Some(network) = self.control() else {
            return Ok(Vec::new());
        };
        let folder = layout::control_requests(network);
        let all = self.parts.store.list_all(&folder, RUNS_MAX).await?;
        let named = all.iter().filter_map(|entry| {
            let name = entry.key.strip_prefix(&folder)?.strip_suffix(".json")?;
            name.parse().ok()
        });
        Ok(named.collect())
    }

    /// Lays the request of a run down where [`Server::request_of`] finds it. The run's lock is held.
    pub(super) async fn fetch_request(&self, run: &RunId) -> Result<(), ServerError> {
        let file = self.parts.home.request(run);
        let Some(network) = self.control().filter(|_| !file.exists()) else {
            return Ok(());
        };
        let key = layout::control_request(network, run);
        if let Some(object) = self.parts.store.get_capped(&key, REQUEST_MAX).await? {
            Home::write(&file, &object.bytes)?;
        }
        Ok(())
    }
}
