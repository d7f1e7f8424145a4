//! What lies in the folder of a run on this machine: the request that made it, and how its coordinator is reached.

use std::path::Path;

use mayfly_configs::Job;
use mayfly_kit::crash::{self, Point};
use mayfly_proto::RunId;
use serde::{Deserialize, Serialize};

use super::{Launch, Server, ServerError};
use crate::driver::commit_of;
use crate::gc::unsaved_folder;
use crate::home::Home;
use crate::record::RunRecord;

/// How the coordinator of a run is reached from this machine: `coordinator.json`. No `Debug`: it holds a token.
#[derive(Clone, Serialize, Deserialize)]
pub struct Control {
    /// `http://host:port`, or `https:` where it speaks TLS.
    pub url: String,
    /// What people show.
    pub token: String,
    /// `sha256:…` of the authority that its certificate comes from, where it speaks TLS.
    #[serde(default)]
    pub fingerprint: Option<String>,
}

impl Server {
    /// Keeps what the record must not hold: in a file that only this user reads, and, as the server of a team, where its next
    /// machine finds it.
    pub(super) async fn keep_request(&self, run: &RunId, launch: &Launch) -> Result<(), ServerError> {
        write_json(&self.parts.home.request(run), launch)?;
        self.keep_request_in_store(run, launch).await
    }

    /// Lets another command on this machine find the coordinator of a run, and nobody else. The run's record is in the store
    /// by now: it goes on where there is no room for this.
    pub(super) fn write_control(&self, run: &RunId) {
        let control = Control {
            url: self.parts.url.clone(),
            token: self.parts.tokens.people().into(),
            fingerprint: self.fingerprint().map(|print| print.to_string()),
        };
        crash::before(Point::ControlWrite);
        let written = write_json(&self.parts.home.control(run), &control);
        crash::after(Point::ControlWrite);
        if let Err(error) = written {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(%run, error, "other commands on this machine do not find the coordinator of the run");
        }
    }

    /// The request as it came; without its file, as the record has it: nodes that enrol later lack the values that came
    /// from the launcher's environment.
    pub(super) fn request_of(&self, run: &RunId, record: &RunRecord) -> Launch {
        let kept = std::fs::read(self.parts.home.request(run)).ok();
        let kept = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        kept.unwrap_or_else(|| {
            tracing::warn!(%run, "request.json is missing: new nodes of this run lack hidden values");
            let job: Job = record.job.clone();
            Launch {
                request_id: record.request_id.clone(),
                job_json: serde_json::to_string(&job).unwrap_or_default(),
                job,
                commit: record.commit.clone(),
                bundle_key: record.bundle_key.clone(),
                owner: record.owner.clone(),
                cloud: record.cloud.clone(),
            }
        })
    }

    /// The folders of a closed run's nodes go, unless they hold the only copy of what the job wrote.
    pub(super) async fn clear_folder(&self, run: &RunId) {
        let home = &self.parts.home;
        // It may hold secrets of the launcher's environment, and nobody needs it any more.
        let _gone = tokio::fs::remove_file(home.request(run)).await;
        let committed = matches!(commit_of(&self.parts.store, run).await, Ok(Some(_)));
        if !committed && unsaved_folder(home, run).is_some() {
            return;
        }
        let removed = tokio::fs::remove_dir_all(home.run(run));
        if let Err(error) = crash::around(Point::FolderRemove, removed).await {
            tracing::warn!(%run, %error, "the folders of the run's nodes cannot be removed");
        }
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ServerError> {
    let bytes = serde_json::to_vec(value).map_err(|error| ServerError::BadJob(error.to_string()))?;
    Ok(Home::write(path, &bytes)?)
}
