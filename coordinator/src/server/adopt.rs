//! Taking over open runs whose coordinator is dead: after a restart every run of this home goes on.

use std::sync::Arc;

use jiff::Timestamp;
use mayfly_proto::RunId;

use super::drive::Ready;
use super::launch::new_claim;
use super::spec::run_spec;
use super::{Launch, Server, ServerError};
use crate::cloud::{Offered, Plan};
use crate::driver::{Start, commit_of, elapsed, known, past_of, since};
use crate::home::RunLock;
use crate::record::RunRecord;
use crate::run::Run;

impl Server {
    /// Takes over every open run of this home that no other process holds, and those that the server of a team has left in
    /// the store. Returns them.
    ///
    /// # Errors
    /// The folder or the store cannot be read; runs taken over before that are driven.
    pub async fn adopt(self: &Arc<Self>) -> Result<Vec<RunId>, ServerError> {
        let mut adopted = Vec::new();
        let here = self.parts.home.runs()?;
        let there = self.runs_in_store().await?;
        let there = there.into_iter().filter(|run| !here.contains(run));
        let all: Vec<RunId> = here.iter().cloned().chain(there).collect();
        for run in all {
            // Nothing of another coordinator's runs is touched, not even by looking.
            let Some(lock) = self.parts.home.lock(&run)? else {
                continue;
            };
            self.fetch_request(&run).await?;
            if self.adopt_one(&run, lock).await? {
                adopted.push(run);
            } else if self.control().is_some() && self.is_over(&run).await? {
                self.put_away(&run).await;
            }
        }
        Ok(adopted)
    }

    async fn adopt_one(self: &Arc<Self>, run: &RunId, lock: RunLock) -> Result<bool, ServerError> {
        let Some(open) = self.open_record(run).await? else {
            return Ok(false);
        };
        self.go_on(run, open, lock).await?;
        Ok(true)
    }

    /// Drives a run on whose record [`Server::open_record`] gave.
    pub(super) async fn go_on(
        self: &Arc<Self>,
        run: &RunId,
        (record, etag): (RunRecord, String),
        lock: RunLock,
    ) -> Result<(), ServerError> {
        let launch = self.request_of(run, &record);
        self.write_control(run);
        let ready = self.taking_over(&launch, record, etag).await?;
        self.drive(&launch, ready(lock)).await;
        Ok(())
    }

    /// Whether a run of which something is left has been closed.
    async fn is_over(&self, run: &RunId) -> Result<bool, ServerError> {
        let record = self.record_of(run).await?;
        Ok(record.is_some_and(|(record, _)| record.is_closed()))
    }

    /// Takes over the one run whose master this machine is.
    ///
    /// # Errors
    /// The store or the cloud cannot be read. `false`: there is no such run, or it is closed.
    pub async fn host(self: &Arc<Self>, launch: &Launch, run: &RunId) -> Result<bool, ServerError> {
        let Some(lock) = self.parts.home.lock(run)? else {
            return Err(ServerError::Foreign(run.clone()));
        };
        let Some((record, etag)) = self
            .record_of(run)
            .await?
            .filter(|(record, _)| !record.is_closed())
        else {
            return Ok(false);
        };
        let ready = self.taking_over(launch, record, etag).await?;
        self.drive(launch, ready(lock)).await;
        Ok(true)
    }

    /// What it takes to drive a run on whose coordinator is gone; `None` when it is closed.
    pub(super) async fn take_over(
        &self,
        run: &RunId,
    ) -> Result<Option<impl FnOnce(RunLock) -> Ready + use<>>, ServerError> {
        let Some((record, etag)) = self
            .record_of(run)
            .await?
            .filter(|(record, _)| !record.is_closed())
        else {
            return Ok(None);
        };
        let launch = self.request_of(run, &record);
        Ok(Some(self.taking_over(&launch, record, etag).await?))
    }

    async fn taking_over(
        &self,
        launch: &Launch,
        mut record: RunRecord,
        etag: String,
    ) -> Result<impl FnOnce(RunLock) -> Ready + use<>, ServerError> {
        let run = record.run.clone();
        let offered = self.offered(&record.cloud)?;
        let plan = self.plan_of(&record, &offered).await?;
        let order = self.order(&run, launch, record.deadline, plan, self.meeting_again());
        // What this process knew of it before it handed it over is out of date.
        offered.cloud.forget(&run).await;
        // The machines that the dead coordinator started are this one's from now on, whatever the phase.
        offered.cloud.arm(&order).await?;
        let commit = commit_of(&self.parts.store, &run).await?.map(known);
        let elapsed = elapsed(&record, Timestamp::now());
        let mut spec = run_spec(&order.job, offered.timing.clone());
        // It may have been moved since the launch.
        spec.deadline = since(&record, record.deadline);
        let (state, effects) = Run::adopt(spec, past_of(&record, commit), elapsed);
        tracing::info!(%run, phase = ?state.phase(), "taken over");
        record.coordinator = self.own_url();
        record.claim = new_claim()?;
        let start = Start {
            run: state,
            effects,
            elapsed,
            record,
        };
        Ok(move |lock| Ready {
            offered,
            start,
            order,
            etag,
            lock,
        })
    }

    pub(super) async fn plan_of(&self, record: &RunRecord, offered: &Offered) -> Result<Plan, ServerError> {
        Ok(match &record.plan {
            Some(plan) => plan.clone(),
            // A record of before.
            None => offered.cloud.plan(&record.job).await?,
        })
    }

    /// The record of a run that is not closed and whose machines are this coordinator's to reach.
    pub(super) async fn open_record(&self, run: &RunId) -> Result<Option<(RunRecord, String)>, ServerError> {
        let Some((record, etag)) = self.record_of(run).await? else {
            return Ok(None);
        };
        let here = record.folder.as_deref() == Some(self.parts.home.run(run).as_path());
        // The nodes of a command that died know another address and end by themselves; they are not taken over.
        let known = record.coordinator == self.parts.url;
        let have = self.parts.clouds.get(&record.cloud).is_some();
        let ours = match self.control() {
            Some(network) => record.control.as_deref() == Some(network),
            None => here && known,
        };
        let ours = have && ours && record.run == *run;
        Ok((ours && !record.is_closed()).then_some((record, etag)))
    }
}
