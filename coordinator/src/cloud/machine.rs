//! A machine as its cloud sees it, and what it costs.

use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mayfly_proto::NodeId;

use crate::run::Role;

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
pub(crate) const PAID_AT_LEAST: Duration = Duration::from_secs(60);

/// What this time costs at this price of an hour; both in millionths of a US dollar.
pub(crate) fn for_time(hourly: u64, life: Duration) -> u64 {
    let micros = u128::from(hourly) * life.as_millis() / 3_600_000;
    u64::try_from(micros).unwrap_or(u64::MAX)
}

fn moved(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(time)
}

impl Machine {
    /// The clock was set by so much that its times were told by.
    pub fn clock_set(&mut self, by: SignedDuration) {
        self.started = moved(self.started, by);
        self.ended = self.ended.map(|ended| moved(ended, by));
        if let Some(offer) = &mut self.offer {
            offer.paid_until = offer.paid_until.map(|until| moved(until, by));
        }
    }

    /// What it has cost so far, in millionths of a US dollar; nothing where machines are not paid for.
    #[must_use]
    pub fn cost_micros(&self, now: Timestamp) -> u64 {
        let Some(offer) = &self.offer else { return 0 };
        let end = offer.paid_until.or(self.ended).unwrap_or(now);
        let lived = end.duration_since(self.started);
        let lived = Duration::try_from(lived).unwrap_or_default().max(PAID_AT_LEAST);
        for_time(offer.hourly_micros, lived)
    }
}

/// What a look at the machines shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// Every machine the run ever had.
    pub machines: Vec<Machine>,
    /// What keeps machines from coming, in words for people; empty when nothing does.
    pub trouble: Option<String>,
    /// The machine that this coordinator runs on, where it is one of the run's own.
    pub own: Option<String>,
}
