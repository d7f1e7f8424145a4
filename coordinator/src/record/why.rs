//! Why a run ended as it did.

use mayfly_proto::RunId;
use serde::{Deserialize, Serialize};

use super::Outcome;

/// Name of the cause that is none.
pub const UNKNOWN: &str = "unknown";

/// Why a run ended as it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// Version of this shape.
    pub schema: u32,
    /// The run.
    pub run: RunId,
    /// How it ended.
    pub outcome: Outcome,
    /// Name of the cause, such as `executor-memory`; `unknown` when nothing is known for sure.
    pub cause: String,
    /// The cause in one sentence.
    pub sentence: String,
    /// Place in the job's own code, such as `main.py:12 in count`, if the cause has one.
    #[serde(default)]
    pub place: Option<String>,
    /// What it follows from.
    pub evidence: Vec<Evidence>,
    /// What to change, the best first.
    pub change: Vec<String>,
}

/// Something that a cause follows from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where it stands: `job output`, `Spark's event log`, `the agent of worker-1`, …
    pub source: String,
    /// Its lines.
    pub lines: Vec<String>,
}
