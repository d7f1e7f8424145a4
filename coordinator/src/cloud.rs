//! Where machines come from.

#[cfg(feature = "aws")]
pub mod aws;
pub mod local;
mod offered;

use std::net::IpAddr;
use std::time::Duration;

use mayfly_configs::Job;
use mayfly_kit::tls::Fingerprint;

use async_trait::async_trait;
use jiff::Timestamp;
use mayfly_proto::{NodeId, RunId};

use crate::run::{Role, Wanted};
use crate::tokens::Joining;
pub use offered::{Clouds, Offered};

/// One machine of a run, as its cloud sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The cloud's own name of it.
    pub id: String,
    /// The node that runs on it.
    pub node: NodeId,
    /// What it is for.
    pub role: Role,
    /// Where the fleet reaches it.
    pub address: Option<IpAddr>,
    /// When it was started.
    pub started: Timestamp,
    /// When it was observed to have ended; `None` while it runs or may run.
    pub ended: Option<Timestamp>,
    /// What it is, where machines are paid for.
    pub offer: Option<Offer>,
}

/// What a machine is that somebody pays for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Type, such as `m7g.large`.
    pub kind: String,
    /// Availability zone.
    pub zone: String,
    /// Whether it may be taken back at any time.
    pub spot: bool,
    /// What an hour costs, in millionths of a US dollar.
    pub hourly_micros: u64,
    /// When it was seen to be ending: nothing is paid from then on.
    pub paid_until: Option<Timestamp>,
}

/// The least time that a machine on AWS is paid for (Amazon EC2 pricing: per second, a minute at least).
const PAID_AT_LEAST: Duration = Duration::from_secs(60);

impl Machine {
    /// What it has cost so far, in millionths of a US dollar; nothing where machines are not paid for.
    #[must_use]
    pub fn cost_micros(&self, now: Timestamp) -> u64 {
        let Some(offer) = &self.offer else { return 0 };
        let end = offer.paid_until.or(self.ended).unwrap_or(now);
        let lived = end.duration_since(self.started);
        let lived = Duration::try_from(lived).unwrap_or_default().max(PAID_AT_LEAST);
        let micros = u128::from(offer.hourly_micros) * lived.as_millis() / 3_600_000;
        u64::try_from(micros).unwrap_or(u64::MAX)
    }
}

/// What a look at the machines shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// Every machine the run ever had.
    pub machines: Vec<Machine>,
    /// What keeps machines from coming, in words for people; empty when nothing does.
    pub trouble: Option<String>,
}

/// What the machines of a job offer to the engine: cores, and memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The one that drives the job.
    pub master: (u32, u64),
    /// Each of the others.
    pub worker: (u32, u64),
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

/// What the machines of a run are made for. No `Debug`: it holds secrets.
#[derive(Clone)]
pub struct Order {
    /// The run.
    pub run: RunId,
    /// The resolved job: sizes of the machines.
    pub job: Job,
    /// Where agents reach the coordinator.
    pub coordinator: String,
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
}

/// What the coordinator asks of a cloud. Every call may be repeated.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Whether machines for this job can be had at all, as far as that can be asked before anything is made; and what they
    /// will be.
    async fn check(&self, job: &Job) -> Result<Sizes, CloudError>;
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
    /// The run is closed, or another's: what is remembered of it may go.
    async fn forget(&self, run: &RunId);
    /// How often it is looked at.
    fn pace(&self) -> Pace;
    /// Whether its nodes have a Consul to elect a master in.
    fn has_consul(&self) -> bool {
        false
    }
}
