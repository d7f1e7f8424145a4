//! What the machines of a run are.

use mayfly_configs::Job;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::run::Role;

/// What the machines of a job offer to the engine: cores, and memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// The one that drives the job.
    pub master: (u32, u64),
    /// Each of the others.
    pub worker: (u32, u64),
}

/// What the machines of a run will be: asked of the cloud once, and kept in the record for whoever takes the run over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What they offer to the engine.
    pub sizes: Sizes,
    /// What the cloud itself needs to know again: image, subnets, prices. Nobody else reads it.
    pub made_of: Value,
}

impl Plan {
    /// For a cloud whose machines are what the job orders.
    #[must_use]
    pub fn as_ordered(job: &Job) -> Self {
        Self {
            sizes: Sizes {
                master: Role::Master.size(job),
                worker: Role::Worker.size(job),
            },
            made_of: Value::Null,
        }
    }
}
