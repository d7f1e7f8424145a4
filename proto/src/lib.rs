//! The wire protocol of Mayfly.
//!
//! * [`v1`]: code generated from `mayfly/v1/*.proto` (messages, clients, servers);
//! * [`ids`]: checked newtypes for the ids that travel as strings.

pub mod ids;

/// Messages, clients and servers generated from `mayfly/v1/*.proto`.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("mayfly.v1");
}

pub use ids::{Attempt, IdError, NodeId, RunId};

/// Version of the protocol: raised when an older peer could not take part. A peer one version older is served.
pub const PROTOCOL_VERSION: u32 = 1;
