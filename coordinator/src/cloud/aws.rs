//! The cloud of AWS: every group is an Auto Scaling group, made from a launch template.
//!
//! AWS keeps the groups; this only says how many machines they shall have and until when. Their killer is a scheduled
//! action that puts a group to zero: it is moved on as long as somebody says [`Cloud::keep`], and never past the end of
//! the run.

mod blueprint;
mod kept;
mod node;
mod site;
mod trouble;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use mayfly_aws::AwsError;
use mayfly_configs::Job;
use mayfly_proto::{NodeId, RunId};
use tokio::sync::Mutex;

use super::{Cloud, CloudError, Order, Pace, Sight, Sizes};
use crate::run::{Timing, Wanted};
use kept::Kept;
pub use site::{AwsSite, Plan};

/// Intervals that suit machines that boot for a minute and are paid for by the second.
#[must_use]
pub fn timing() -> Timing {
    Timing {
        sync: Duration::from_secs(2),
        sync_fast: Duration::from_millis(500),
        lost_after: Duration::from_secs(30),
        lease: Duration::from_secs(120),
        grace: Duration::from_secs(20),
        salvage: Duration::from_secs(180),
        overtime: Duration::from_secs(600),
        without_workers: Duration::from_secs(300),
    }
}

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

/// What is permanent is not tried again.
fn cloud_error(error: AwsError) -> CloudError {
    if error.kind().may_pass() {
        CloudError::Transient {
            what: error.to_string(),
            source: io::Error::other(error),
        }
    } else {
        CloudError::Permanent(error.to_string())
    }
}

#[async_trait]
impl Cloud for AwsCloud {
    async fn check(&self, job: &Job) -> Result<Sizes, CloudError> {
        let plan = self.site.plan(job).await?;
        Ok(plan.sizes)
    }

    async fn arm(&self, order: &Order) -> Result<(), CloudError> {
        if let Some(kept) = self.kept(&order.run).await {
            return kept.lock().await.arm().await;
        }
        let plan = self.site.plan(&order.job).await?;
        let mut kept = Kept::new(&self.site, order.clone(), plan);
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

    async fn forget(&self, run: &RunId) {
        self.runs.lock().await.remove(run);
    }

    fn pace(&self) -> Pace {
        Pace {
            keeping: self.site.look_every,
            releasing: self.site.look_every,
        }
    }
}
