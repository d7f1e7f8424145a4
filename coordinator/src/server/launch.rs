//! Launching: from a request to a run that is driven, and what is asked before.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_configs::Job;
use mayfly_kit::crash::{self, Point};
use mayfly_kit::layout;
use mayfly_kit::store::Created;
use mayfly_proto::{Attempt, RunId, v1};
use serde::{Deserialize, Serialize};

use super::drive::Ready;
use super::sizing;
use super::spec::{run_spec, without_secrets};
use super::{Server, ServerError};
use crate::check::{self, Check, Checks};
use crate::cloud::{CloudError, Offered, Plan};
use crate::driver::Start;
use crate::home::{RunLock, random_base32};
use crate::record::{PhaseMark, PhaseName, RunRecord, SCHEMA};
use crate::run::{Event, Run};

/// Random bytes of a claim on a run.
const CLAIM_BYTES: usize = 10;

/// A request to launch, checked. No `Debug`: its job may hold secrets.
#[derive(Clone, Serialize, Deserialize)]
pub struct Launch {
    /// Chosen by the caller.
    pub request_id: String,
    /// The resolved job.
    pub job: Job,
    /// The job as it came, for the run's id.
    pub job_json: String,
    /// Full commit id.
    pub commit: String,
    /// Key of the bundle, or none for a URL.
    pub bundle_key: Option<String>,
    /// Who asks.
    pub owner: String,
    /// Which cloud; empty for the coordinator's first one.
    #[serde(default)]
    pub cloud: String,
}

impl Server {
    /// Makes a run, or finds the one that the same request made. True when it was made now.
    ///
    /// # Errors
    /// There are no such machines, it drives as many runs as it may, or the record cannot be made.
    pub async fn launch(self: &Arc<Self>, launch: Launch) -> Result<(RunId, bool), ServerError> {
        let name = launch.job.name.as_str();
        let run = RunId::derive(name, &launch.request_id, &launch.job_json, &launch.commit)
            .map_err(|error| ServerError::BadJob(error.to_string()))?;
        let offered = self.offered_for(&launch)?;
        if self.runs.read().await.contains_key(&run) {
            return Ok((run, false));
        }
        let plan = planned(&offered, &launch.job).await?;
        let _one_at_a_time = self.launching.lock().await;
        if self.runs.read().await.contains_key(&run) {
            return Ok((run, false));
        }
        let open = self.drivers.len();
        if open >= self.parts.runs_max {
            return Err(ServerError::Full(open));
        }
        let Some(lock) = self.parts.home.lock(&run)? else {
            return Err(ServerError::Foreign(run));
        };
        // Before there is anything to adopt.
        crash::before(Point::RequestKeep);
        if let Err(error) = self.keep_request(&run, &launch).await {
            self.parts.home.unlock(&run, lock);
            return Err(error);
        }
        crash::after(Point::RequestKeep);
        let record = self.record(&run, &launch, offered.name, &plan)?;
        let text =
            serde_json::to_vec_pretty(&record).map_err(|error| ServerError::BadJob(error.to_string()))?;
        let key = layout::record(&run);
        let put = self.parts.store.put_new(&key, text);
        match crash::around(Point::RecordCreate, put).await? {
            Created::Exists => {
                self.found(&run, lock).await?;
                Ok((run, false))
            }
            Created::Yes(etag) => {
                self.begin(&launch, offered, plan, (record, etag), lock).await?;
                Ok((run, true))
            }
        }
    }

    /// Drives a run whose record was made just now.
    async fn begin(
        self: &Arc<Self>,
        launch: &Launch,
        offered: Offered,
        plan: Plan,
        (record, etag): (RunRecord, String),
        lock: RunLock,
    ) -> Result<(), ServerError> {
        let run = &record.run;
        self.write_control(run);
        let meeting = self.meeting(run, launch, record.deadline).await?;
        let order = self.order(run, launch, record.deadline, plan, meeting);
        let fresh = Run::new(run_spec(&order.job, offered.timing.clone()));
        let (state, effects) = fresh.step(Duration::ZERO, Event::Recorded);
        let start = Start {
            run: state,
            effects,
            elapsed: Duration::ZERO,
            record,
        };
        let ready = Ready {
            offered,
            start,
            order,
            etag,
            lock,
        };
        self.drive(launch, ready).await;
        Ok(())
    }

    /// What a launch would take and cost; nothing is made.
    ///
    /// # Errors
    /// The launch would be refused.
    pub async fn plan(&self, launch: &Launch) -> Result<v1::PlanReply, ServerError> {
        let offered = self.offered_for(launch)?;
        let plan = planned(&offered, &launch.job).await?;
        let quote = offered.cloud.quote(&launch.job, &plan).map_err(impossible)?;
        Ok(quote.wire(offered.name))
    }

    /// Looks at each thing that a launch needs here; nothing is made.
    ///
    /// # Errors
    /// There is no such cloud, or not for such a job.
    pub async fn examine(&self, launch: &Launch) -> Result<Vec<Check>, ServerError> {
        let offered = self.offered_for(launch)?;
        let mut checks = Checks::default();
        checks.0.push(check::store(&self.parts.store).await);
        let store = self.parts.store.s3_url("");
        offered.cloud.examine(&launch.job, &store, &mut checks).await;
        Ok(checks.0)
    }

    /// The cloud of a launch, if it can have such nodes.
    fn offered_for(&self, launch: &Launch) -> Result<Offered, ServerError> {
        let offered = self.offered(&launch.cloud)?;
        if launch.job.alike && !offered.cloud.has_consul() {
            return Err(ServerError::NoConsul(launch.job.name.as_str().to_owned()));
        }
        Ok(offered)
    }

    /// The cloud of this name; the first one for an empty name.
    pub(super) fn offered(&self, name: &str) -> Result<Offered, ServerError> {
        let found = self.parts.clouds.get(name).cloned();
        found.ok_or_else(|| ServerError::NoSuchCloud {
            asked: name.to_owned(),
            has: self.parts.clouds.names().join(", "),
        })
    }

    /// The first words on a run.
    fn record(
        &self,
        run: &RunId,
        launch: &Launch,
        cloud: &str,
        plan: &Plan,
    ) -> Result<RunRecord, ServerError> {
        let created = Timestamp::now();
        let deadline = created
            .checked_add(launch.job.limits.deadline.as_duration())
            .unwrap_or(Timestamp::MAX);
        Ok(RunRecord {
            schema: SCHEMA,
            run: run.clone(),
            request_id: launch.request_id.clone(),
            job: without_secrets(launch.job.clone()),
            commit: launch.commit.clone(),
            bundle_key: launch.bundle_key.clone(),
            owner: launch.owner.clone(),
            cloud: cloud.into(),
            folder: Some(self.parts.home.run(run)),
            coordinator: self.own_url(),
            on_master: self.puts_on_master(),
            control: self.control().map(str::to_owned),
            plan: Some(plan.clone()),
            claim: new_claim()?,
            created,
            deadline,
            attempt: Attempt::FIRST,
            phases: vec![PhaseMark {
                phase: PhaseName::Accepted,
                attempt: Attempt::FIRST,
                began: created,
            }],
            nodes: Vec::new(),
            job_ended: None,
            held_until: None,
            ended: None,
        })
    }
}

fn impossible(error: CloudError) -> ServerError {
    ServerError::Impossible(error.to_string())
}

/// The machines of a job, which can hold what it asks of them.
async fn planned(offered: &Offered, job: &Job) -> Result<Plan, ServerError> {
    let plan = offered.cloud.plan(job).await.map_err(impossible)?;
    sizing::check(job, plan.sizes).map_err(ServerError::Impossible)?;
    Ok(plan)
}

/// What no other coordinator writes into the record.
pub(super) fn new_claim() -> Result<String, ServerError> {
    random_base32(CLAIM_BYTES).map_err(|source| ServerError::Io {
        what: "draw the claim of a run",
        source,
    })
}
