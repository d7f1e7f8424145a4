//! A machine: an instance of EC2, or a process on this machine. What happens to it by itself; what runs on it is in
//! [`crate::agent`].

use mayfly_proto::NodeId;

use crate::agent::Agent;
use crate::product::aws::fleet::State;
use crate::product::coordinator::run::Role;
use crate::time::{Ms, SEC};

/// The image powers off a machine that nobody took in for so long (packer/units/mayfly-boot.timer).
pub const BOOT_TIMER: Ms = 300 * SEC;

/// Why a machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A fault: it died, or was taken back.
    Fault,
    /// Its agent ended and powered it off.
    Agent,
    /// The image's timer: it was never taken in.
    BootTimer,
    /// The image's timer: the deadline of its run has passed.
    DeadlineTimer,
    /// Its group was made smaller, or was deleted.
    Group,
    /// Its group's lease was over.
    Lease,
    /// Somebody ended this one.
    Ended,
}

/// One machine.
pub struct Machine {
    /// AWS's name of it, or the node's.
    pub id: String,
    /// The node on it.
    pub node: NodeId,
    /// What it is for.
    pub role: Role,
    /// The group that started it; empty for a local one.
    pub group: String,
    /// Its zone.
    pub zone: usize,
    /// Where it is in its life.
    pub state: State,
    /// When it was asked for.
    pub launched: Ms,
    /// Since when it runs.
    pub running: Option<Ms>,
    /// When it was told to end, or began to.
    pub ending: Option<Ms>,
    /// When it was gone.
    pub ended: Option<Ms>,
    /// Why.
    pub cause: Option<Cause>,
    /// Whether a listing, or its group, has named it.
    pub shown: bool,
    /// Listings show it from then on.
    pub listed: Ms,
    /// Nothing on it does anything until then.
    pub frozen: Ms,
    /// Nothing on it does anything any more, its own timers included.
    pub hung: bool,
    /// Its agent never starts.
    pub bad: bool,
    /// Cut off from coordinators until then: what it says, what it is told.
    pub cut: (Ms, Ms),
    /// Cut off from the store until then.
    pub cut_store: Ms,
    /// What runs on it.
    pub agent: Option<Agent>,
}

impl Machine {
    /// One that is asked for now, in no group.
    #[must_use]
    pub fn new(id: String, node: NodeId, role: Role, now: Ms) -> Self {
        Self {
            id,
            node,
            role,
            group: String::new(),
            zone: 0,
            state: State::Up,
            launched: now,
            running: None,
            ending: None,
            ended: None,
            cause: None,
            shown: false,
            listed: now,
            frozen: 0,
            hung: false,
            bad: false,
            cut: (0, 0),
            cut_store: 0,
            agent: None,
        }
    }

    /// Whether it is there, as far as anybody pays for it.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// Whether it does anything now.
    #[must_use]
    pub fn is_alive(&self, now: Ms) -> bool {
        self.is_up() && !self.hung && self.frozen <= now && self.running.is_some()
    }
}
