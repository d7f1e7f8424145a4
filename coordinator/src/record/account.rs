//! What a run adds up to: by group, what of it was waste, and what would have been better.

use serde::{Deserialize, Serialize};

use super::{Role, Summary};

/// What a run adds up to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Time of all machines, in seconds.
    pub node_secs: f64,
    /// By group.
    pub groups: Vec<Group>,
    /// What was paid for and brought nothing.
    pub waste: Waste,
    /// Spark's own numbers of the last attempt; `None` without an event log that can be read.
    pub spark: Option<Summary>,
    /// How long the run would have taken with other numbers of workers; empty when that cannot be told.
    pub predictions: Vec<Prediction>,
    /// What to do better, the best first; two pieces at most.
    pub advice: Vec<Advice>,
}

/// What the nodes of one group took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Which.
    pub role: Role,
    /// Machines it ever had.
    pub nodes: u32,
    /// Those that were lost.
    pub lost: u32,
    /// Their time, in seconds.
    pub node_secs: f64,
    /// Their cores times their time, in seconds.
    pub core_secs: f64,
    /// What their processes used of it, as far as is known.
    pub cpu_core_secs: f64,
    /// Memory of one of them, in bytes.
    pub memory_bytes: u64,
    /// Most that the processes of one of them held, in bytes; zero when it is not known.
    pub peak_memory_bytes: u64,
    /// Read from and written to disks, in bytes.
    pub disk_read_bytes: u64,
    /// See `disk_read_bytes`.
    pub disk_written_bytes: u64,
    /// Received and sent over the network by its machines, in bytes; zero where nodes share a machine.
    pub network_received_bytes: u64,
    /// See `network_received_bytes`.
    pub network_sent_bytes: u64,
    /// What they cost, in millionths of a US dollar.
    pub cost_micros: u64,
}

/// Time of machines that brought nothing. Parts do not overlap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Waste {
    /// Before the first task of the last attempt (before the job, where the engine has no tasks).
    pub before_work: Part,
    /// Workers after the last task.
    pub idle_tail: Part,
    /// Machines of the last attempt that were lost.
    pub lost: Part,
    /// Attempts before the last one.
    pub failed_attempts: Part,
}

/// A part of the machines' time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// In seconds, of all machines together.
    pub node_secs: f64,
    /// What was paid for it, in millionths of a US dollar.
    pub cost_micros: u64,
}

/// How long the run would have taken with so many workers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Workers.
    pub workers: u32,
    /// Time of the job, in seconds.
    pub working_secs: f64,
    /// Time of the run, in seconds.
    pub total_secs: f64,
    /// Time of all machines, in seconds.
    pub node_secs: f64,
    /// What it would have cost, in millionths of a US dollar.
    pub cost_micros: u64,
}

/// Something that would have been better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// Name of the kind: `fewer-workers`, `more-workers`, `skew`, `spill`, `memory`, `forming`, `idle`.
    pub kind: String,
    /// One sentence.
    pub text: String,
    /// How it follows.
    pub arithmetic: String,
}
