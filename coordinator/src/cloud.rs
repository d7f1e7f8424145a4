//! Where machines come from.

#[cfg(feature = "aws")]
pub mod aws;
pub mod local;
mod machine;
mod made;
mod offered;
mod timing;

use std::time::Duration;

use mayfly_configs::Job;
use mayfly_kit::tls::Fingerprint;

use async_trait::async_trait;
use jiff::Timestamp;
use mayfly_proto::{NodeId, ON_MASTER, RunId};

use crate::check::{Check, Checks, Verdict};
use crate::price::{self, Bounds, Hourly, Quote};
use crate::run::Wanted;
use crate::tokens::Joining;
pub use machine::{Machine, Offer, Sight};
pub(crate) use machine::{PAID_AT_LEAST, for_time};
pub use made::{Plan, Sizes};
pub use offered::{Clouds, Offered};

/// Whether a machine is one of a run's, as its cloud sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It is.
    Member,
    /// It is not listed among them, or not yet.
    NotSeen,
    /// It is, and must not be taken in; why.
    Refused(String),
}

/// How often a cloud is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two looks.
    pub keeping: Duration,
    /// The same while the run is released and somebody waits.
    pub releasing: Duration,
}

/// Why a cloud did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// It may work later.
    #[error("{what}")]
    Transient {
        /// What was tried.
        what: String,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// It is under way.
    #[error("{0}")]
    Pending(String),
    /// It will not work, however often it is tried.
    #[error("{0}")]
    Permanent(String),
}

/// How machines and their coordinator come together. No `Debug`: it holds a key.
#[derive(Clone)]
pub enum Meeting {
    /// It is there, at this URL.
    At(String),
    /// It is there, and may be elsewhere tomorrow: nodes look for it in the run's record.
    InRecord,
    /// It starts on the fleet's own master, from the package in the store that this key opens.
    OnMaster {
        /// For the master's eyes only.
        key: String,
        /// How long machines may be started: nobody is there to tell them a new join token.
        until: Timestamp,
    },
    /// As whoever ordered the machines has arranged it: this coordinator makes nothing of theirs anew.
    Arranged,
}

impl Meeting {
    /// What stands in tags, and in files of nodes, for the coordinator's address.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Self::At(url) => url,
            Self::InRecord | Self::OnMaster { .. } | Self::Arranged => ON_MASTER,
        }
    }
}

/// What may work later, out of whatever went wrong.
#[cfg(feature = "aws")]
fn transient(what: &str, source: impl std::error::Error + Send + Sync + 'static) -> CloudError {
    CloudError::Transient {
        what: what.to_owned(),
        source: std::io::Error::other(source),
    }
}

/// What the machines of a run are made for. No `Debug`: it holds secrets.
#[derive(Clone)]
pub struct Order {
    /// The run.
    pub run: RunId,
    /// The resolved job: sizes of the machines.
    pub job: Job,
    /// How the machines find their coordinator.
    pub meeting: Meeting,
    /// Authority that the coordinator's certificate comes from; `None` where it speaks plaintext.
    pub fingerprint: Option<Fingerprint>,
    /// Makes what each machine exchanges at `Enroll`, when it is made.
    pub joining: Joining,
    /// Where the run's record is: `s3://bucket/prefix`.
    pub store: String,
    /// Who launched it.
    pub owner: String,
    /// End of the run as it was launched.
    pub deadline: Timestamp,
    /// What its machines are.
    pub plan: Plan,
}

/// What the coordinator asks of a cloud. Every call may be repeated.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Whether machines for this job can be had at all, as far as that can be asked before anything is made; and what they
    /// will be.
    async fn plan(&self, job: &Job) -> Result<Plan, CloudError>;
    /// Looks at each thing that a launch of this job needs, with its record in `store` (`s3://bucket/prefix`).
    async fn examine(&self, job: &Job, _store: &str, checks: &mut Checks) {
        checks.0.push(match self.plan(job).await {
            Ok(_) => Check::ok("machines", "to be had"),
            Err(error) => Check::of("machines", Verdict::Problem, error, ""),
        });
    }
    /// What a run of this job costs on machines of this plan; nothing, unless the cloud says otherwise.
    fn quote(&self, job: &Job, plan: &Plan) -> Result<Quote, CloudError> {
        let lots = price::lots(job, plan.sizes, |_, _| Hourly::default());
        Ok(price::quote(lots, "", Bounds::of(job, Duration::ZERO)))
    }
    /// Makes the run's groups, at zero, with their killer armed.
    async fn arm(&self, order: &Order) -> Result<(), CloudError>;
    /// Wants so many machines from now on, and none after `until`; the groups replace those that end, a bounded number
    /// of times. Said again and again: a cloud that hears nothing for a while puts the groups to zero by itself.
    async fn keep(&self, run: &RunId, wanted: Wanted, until: Timestamp) -> Result<(), CloudError>;
    /// Ends one machine that does not end by itself; its group replaces it as long as it is wanted.
    async fn end(&self, run: &RunId, node: &NodeId) -> Result<(), CloudError>;
    /// Looks at the machines.
    async fn observe(&self, run: &RunId) -> Result<Sight, CloudError>;
    /// To zero, and the groups away; fails as long as a group is left. Whether machines are gone is for
    /// [`Cloud::observe`] to say.
    async fn release(&self, run: &RunId) -> Result<(), CloudError>;
    /// Gives back the one machine that [`Sight::own`] names, with all that is left of the run: the last thing that a
    /// coordinator does there.
    async fn leave(&self, _run: &RunId) -> Result<(), CloudError> {
        Ok(())
    }
    /// The run is closed, or another's: what is remembered of it may go.
    async fn forget(&self, run: &RunId);
    /// Whether the machine of this node is one of the run's, and may be taken in now. Where machines cannot be told apart,
    /// who has a join token is believed.
    async fn admit(&self, _run: &RunId, _node: &NodeId) -> Result<Admission, CloudError> {
        Ok(Admission::Member)
    }
    /// How often it is looked at.
    fn pace(&self) -> Pace;
    /// Whether its nodes have a Consul to elect a master in.
    fn has_consul(&self) -> bool {
        false
    }
}
