//! What is asked of the world outside, and what it answers.

use std::rc::Rc;

use jiff::Timestamp;
use mayfly_proto::NodeId;

use crate::product::aws::fleet::{GroupState, Instance, Trouble};
use crate::product::aws::tags::Group;
use crate::product::coordinator::cloud::Machine;
use crate::product::coordinator::run::Role;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A coordinator, in one of its lives.
    Coordinator(usize, u32),
    /// The agent of a machine.
    Machine(usize),
    /// Somebody who looks for what is left over.
    Gc(usize),
}

/// What the answer is for: a piece of work, and the number of its step, so that late answers are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The piece of work.
    pub work: Work,
    /// The step.
    pub step: u32,
}

/// Pieces of work that wait for answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A coordinator launches a run.
    Launch,
    /// A coordinator takes a run over.
    Adopt,
    /// The record is saved.
    Save,
    /// The killer is armed.
    Arm,
    /// The commit is looked for.
    Read,
    /// The receipt is written.
    Receipt,
    /// Machines are kept as wanted, and looked at.
    Keep,
    /// A node uploads, or commits.
    Upload,
    /// What is left over is looked for.
    Gc,
}

/// A condition on a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum If {
    /// None.
    Any,
    /// There is no such object.
    Absent,
    /// It is this version.
    Match(u64),
}

/// A request.
#[derive(Debug, Clone)]
pub enum Req {
    /// Read an object.
    Get(String),
    /// Write an object.
    Put(String, Rc<[u8]>, If),
    /// List what begins so.
    List(String),
    /// Something of AWS.
    Aws(Aws),
    /// Something of this machine.
    Local(Local),
}

/// Requests to AWS.
#[derive(Debug, Clone)]
pub enum Aws {
    /// Make this group at zero, if it is not there.
    Ensure(String, Group),
    /// At this time the group is put to zero.
    PutLease(String, Timestamp),
    /// The groups of these names.
    States([String; 2]),
    /// So many machines, in the first so many zones.
    Scale(String, u32, usize),
    /// Why machines do not come.
    Trouble(String),
    /// End one machine; its group replaces it.
    End(String),
    /// Every machine with the tag of the run.
    Machines,
    /// To zero, and away.
    Delete(String),
    /// End machines.
    Terminate(Vec<String>),
    /// By tags: whether there is anything, its deadline and its lease.
    Everything,
}

/// Requests to this machine.
#[derive(Debug, Clone)]
pub enum Local {
    /// Start an agent.
    Start(Role, u32),
    /// Kill the agent of a node.
    Kill(NodeId),
    /// Ask all agents to leave; those that do not are killed soon.
    Leave,
    /// Look.
    Look,
}

/// What is left of a run, as its tags tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Machines and groups.
    pub things: usize,
    /// The end of the run.
    pub deadline: Option<Timestamp>,
    /// When AWS ends it.
    pub lease: Option<Timestamp>,
    /// Names of its groups.
    pub groups: Vec<String>,
    /// Machines that are up.
    pub machines: Vec<String>,
}

/// An answer.
#[derive(Debug, Clone)]
pub enum Res {
    /// The object, and its version.
    Got(Option<(Rc<[u8]>, u64)>),
    /// It is written, as this version.
    Stored(u64),
    /// The condition did not hold.
    Refused,
    /// Keys and sizes.
    Listed(Vec<(String, u64)>),
    /// Done.
    Done,
    /// Groups.
    States(Vec<(Group, GroupState)>),
    /// The newest launch that failed.
    Trouble(Option<Trouble>),
    /// Machines of AWS.
    Instances(Vec<Instance>),
    /// Machines of this machine.
    Machines(Vec<Machine>),
    /// What is left.
    Left(Left),
    /// It failed, or nobody answers. It may have taken effect.
    Failed,
}

/// A request on its way.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who asks.
    pub who: Who,
    /// What the answer is for.
    pub ticket: Ticket,
    /// What is asked.
    pub req: Req,
}

/// What a part of the simulation wants done: it owns no clock and no world.
#[derive(Debug, Default)]
pub struct Out {
    /// Requests.
    pub calls: Vec<(Ticket, Req)>,
    /// To be woken so much later.
    pub wakes: Vec<(Ticket, u64)>,
    /// For the trace.
    pub notes: Vec<String>,
}

impl Out {
    /// Asks.
    pub fn call(&mut self, ticket: Ticket, req: Req) {
        self.calls.push((ticket, req));
    }

    /// Waits.
    pub fn wake(&mut self, ticket: Ticket, after: u64) {
        self.wakes.push((ticket, after));
    }

    /// Says.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}
