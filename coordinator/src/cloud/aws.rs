//! The cloud of AWS: every group is an Auto Scaling group, made from a launch template.
//!
//! AWS keeps the groups; this only says how many machines they shall have and until when. Their killer is a scheduled
//! action that puts a group to zero: it is moved on as long as somebody says [`Cloud::keep`], and never past the end of
//! the run.

mod blueprint;
mod doctor;
mod kept;
mod ledger;
mod needs;
mod network;
mod node;
mod site;
mod trouble;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use mayfly_aws::AwsError;
use mayfly_configs::Job;
use mayfly_proto::{NodeId, RunId};
use tokio::sync::Mutex;

use super::{Admission, Cloud, CloudError, Order, Pace, Plan, Sight, transient};
use crate::check::Checks;
use crate::price::Quote;
use crate::run::Wanted;
use kept::Kept;
pub use network::{InConsul, Place};
pub use site::{AwsSite, Own};

pub use super::timing::aws as timing;

/// The machines of all runs on AWS that this process keeps.
pub struct AwsCloud {
    site: Arc<AwsSite>,
    runs: Mutex<HashMap<RunId, Arc<Mutex<Kept>>>>,
}

impl AwsCloud {
    /// A cloud in one account and network. Makes no request.
    #[must_use]
    pub fn new(site: AwsSite) -> Self {
        Self {
            site: Arc::new(site),
            runs: Mutex::default(),
        }
    }

    async fn kept(&self, run: &RunId) -> Option<Arc<Mutex<Kept>>> {
        self.runs.lock().await.get(run).cloned()
    }
}

fn made_of(plan: &Plan) -> Result<site::Plan, CloudError> {
    serde_json::from_value(plan.made_of.clone()).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> CloudError {
    CloudError::Permanent(format!(
        "what the machines of the run are made of cannot be read: {error}"
    ))
}

/// What is permanent is not tried again.
fn cloud_error(error: AwsError) -> CloudError {
    if error.kind().may_pass() {
        let what = error.to_string();
        transient(&what, error)
    } else {
        CloudError::Permanent(error.to_string())
    }
}

#[async_trait]
impl Cloud for AwsCloud {
    async fn plan(&self, job: &Job) -> Result<Plan, CloudError> {
        let plan = self.site.plan(job).await?;
        Ok(Plan {
            sizes: plan.sizes,
            made_of: serde_json::to_value(&plan).map_err(unreadable)?,
        })
    }

    async fn examine(&self, job: &Job, store: &str, checks: &mut Checks) {
        self.site.examine(job, store, checks).await;
    }

    fn quote(&self, job: &Job, plan: &Plan) -> Result<Quote, CloudError> {
        Ok(made_of(plan)?.quote(job))
    }

    async fn arm(&self, order: &Order) -> Result<(), CloudError> {
        if let Some(kept) = self.kept(&order.run).await {
            return kept.lock().await.arm().await;
        }
        let mut kept = Kept::new(&self.site, order.clone(), made_of(&order.plan)?);
        kept.arm().await?;
        let kept = Arc::new(Mutex::new(kept));
        self.runs.lock().await.insert(order.run.clone(), kept);
        Ok(())
    }

    async fn keep(&self, run: &RunId, wanted: Wanted, until: Timestamp) -> Result<(), CloudError> {
        match self.kept(run).await {
            Some(kept) => kept.lock().await.keep(wanted, until).await,
            None => Ok(()),
        }
    }

    async fn end(&self, run: &RunId, node: &NodeId) -> Result<(), CloudError> {
        match self.kept(run).await {
            Some(kept) => kept.lock().await.end(node).await,
            None => Ok(()),
        }
    }

    async fn observe(&self, run: &RunId) -> Result<Sight, CloudError> {
        match self.kept(run).await {
            Some(kept) => kept.lock().await.observe().await,
            None => Ok(Sight::default()),
        }
    }

    async fn release(&self, run: &RunId) -> Result<(), CloudError> {
        match self.kept(run).await {
            Some(kept) => kept.lock().await.release().await,
            None => Ok(()),
        }
    }

    async fn leave(&self, run: &RunId) -> Result<(), CloudError> {
        match self.kept(run).await {
            Some(kept) => kept.lock().await.leave().await,
            None => Ok(()),
        }
    }

    async fn forget(&self, run: &RunId) {
        self.runs.lock().await.remove(run);
    }

    async fn admit(&self, run: &RunId, node: &NodeId) -> Result<Admission, CloudError> {
        match self.kept(run).await {
            Some(kept) => kept.lock().await.admit(node).await,
            None => Ok(Admission::NotSeen),
        }
    }

    fn pace(&self) -> Pace {
        Pace {
            keeping: self.site.look_every,
            releasing: self.site.look_every,
        }
    }
}
