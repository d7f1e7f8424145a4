//! Taking over open runs whose coordinator is dead: after a restart every run of this home goes on.

use std::sync::Arc;

use jiff::Timestamp;
use mayfly_configs::Job;
use mayfly_kit::layout;
use mayfly_proto::RunId;

use super::spec::run_spec;
use super::{Launch, Ready, Server, ServerError};
use crate::driver::{Start, commit_of, elapsed, known, past_of, since};
use crate::home::RunLock;
use crate::record::RunRecord;
use crate::run::Run;

impl Server {
    /// Takes over every open run of this home that no other process holds. Returns them.
    ///
    /// # Errors
    /// The folder or the store cannot be read; runs taken over before that are driven.
    pub async fn adopt(self: &Arc<Self>) -> Result<Vec<RunId>, ServerError> {
        let mut adopted = Vec::new();
        for run in self.parts.home.runs()? {
            // Nothing of another coordinator's runs is touched, not even by looking.
            let Some(lock) = self.parts.home.lock(&run)? else {
                continue;
            };
            if self.adopt_one(&run, lock).await? {
                adopted.push(run);
            }
        }
        Ok(adopted)
    }

    async fn adopt_one(self: &Arc<Self>, run: &RunId, lock: RunLock) -> Result<bool, ServerError> {
        let Some((record, etag)) = self.open_record(run).await? else {
            return Ok(false);
        };
        let launch = self.request_of(run, &record);
        self.write_control(run)?;
        let order = self.order(run, &launch, record.deadline);
        // The machines that the dead coordinator started are this one's from now on, whatever the phase.
        let offered = self.offered(&record.cloud)?;
        offered.cloud.arm(&order).await?;
        let sizes = offered.cloud.check(&order.job).await?;
        let commit = commit_of(&self.parts.store, run).await?.map(known);
        let elapsed = elapsed(&record, Timestamp::now());
        let mut spec = run_spec(&order.job, offered.timing.clone());
        // It may have been moved since the launch.
        spec.deadline = since(&record, record.deadline);
        let (state, effects) = Run::adopt(spec, past_of(&record, commit), elapsed);
        tracing::info!(%run, phase = ?state.phase(), "taken over");
        let mut record = record;
        record.coordinator.clone_from(&self.parts.url);
        let start = Start {
            run: state,
            effects,
            elapsed,
            record,
        };
        let ready = Ready {
            offered,
            sizes,
            start,
            order,
            etag,
            lock,
        };
        self.drive(&launch, ready).await;
        Ok(true)
    }

    /// The record of a run that is not closed and whose machines are this coordinator's to reach.
    async fn open_record(&self, run: &RunId) -> Result<Option<(RunRecord, String)>, ServerError> {
        let Some(object) = self.parts.store.get(&layout::record(run)).await? else {
            return Ok(None);
        };
        let record: RunRecord = match serde_json::from_slice(&object.bytes) {
            Ok(record) => record,
            Err(error) => {
                tracing::error!(%run, %error, "the record of this run cannot be read: it is left alone");
                return Ok(None);
            }
        };
        let here = record.folder.as_deref() == Some(self.parts.home.run(run).as_path());
        // The nodes of a command that died know another address and end by themselves; they are not taken over.
        let known = record.coordinator == self.parts.url;
        let have = self.parts.clouds.get(&record.cloud).is_some();
        let ours = have && here && known && record.run == *run;
        Ok((ours && !record.is_closed()).then_some((record, object.etag)))
    }

    /// The request as it came; without its file, as the record has it: nodes that enrol later lack the values that came
    /// from the launcher's environment.
    fn request_of(&self, run: &RunId, record: &RunRecord) -> Launch {
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
}
