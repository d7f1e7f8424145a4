//! What AWS tells of a run's groups and machines.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::kind::Kind;
use crate::tags::Group;

/// Where a machine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is there, or on its way.
    Up,
    /// It has been told to end, and is paid for no more.
    Ending,
    /// It is no more.
    Ended,
}

/// A machine as AWS tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// What it is for.
    pub group: Group,
    /// Type, such as `m7g.large`.
    pub kind: String,
    /// Availability zone.
    pub zone: String,
    /// Whether it is spot.
    pub spot: bool,
    /// Its private address.
    pub address: Option<IpAddr>,
    /// Where it is in its life.
    pub state: State,
    /// When it was launched.
    pub launched: Timestamp,
    /// When the call came that ends it, where AWS says so.
    pub told_to_end: Option<Timestamp>,
    /// Why it ends, in AWS's words.
    pub reason: Option<String>,
}

/// A group as AWS tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    /// How many machines it shall have.
    pub desired: u32,
    /// The most it may have.
    pub max: u32,
    /// Subnets that it launches in.
    pub subnets: Vec<String>,
    /// Ids of its machines, also of those that are only being launched.
    pub members: Vec<String>,
    /// End of the run, as its tag says.
    pub deadline: Option<Timestamp>,
    /// Whether it is being deleted: it is there until its last machine has ended, and takes no more calls.
    pub going: bool,
}

/// A launch that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What to do about it.
    pub kind: Kind,
    /// In AWS's words.
    pub said: String,
    /// When.
    pub at: Timestamp,
}
