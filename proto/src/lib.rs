//! The wire protocol of Mayfly.
//!
//! * [`v1`]: code generated from `mayfly/v1/*.proto` (messages, clients, servers);
//! * [`ids`]: checked newtypes for the ids that travel as strings;
//! * [`engine`]: what an engine is, which travels as JSON;
//! * [`python`]: which Python a job may name;
//! * [`selection`]: which files are results;
//! * [`spark`]: how its memory is shared out.

use std::time::Duration;

pub mod engine;
pub mod ids;
pub mod python;
pub mod selection;
pub mod spark;

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

impl v1::NodeSpec {
    /// How long the job may be idle, where it is a session of the engine.
    #[must_use]
    pub fn session_idle(&self) -> Option<Duration> {
        let idle = self.code.as_ref()?.session_idle_ms;
        (idle > 0).then(|| Duration::from_millis(idle))
    }
}

pub use ids::{Attempt, IdError, NodeId, RunId};

/// What stands where the URL of a coordinator does when it lives on the fleet's own master: nodes read its address in the
/// run's record.
pub const ON_MASTER: &str = "master";

/// Metadata of a `RESOURCE_EXHAUSTED`: milliseconds until the call may be made again, as gRPC names it.
pub const RETRY_PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Version of the protocol: raised when an older peer could not take part. A peer one version older is served.
pub const PROTOCOL_VERSION: u32 = 2;

/// The version since which a node reads what an engine is; an older one takes every engine for the one it knows.
pub const READS_ENGINES: u32 = 2;

/// Streams of one connection at one time.
pub const STREAMS_MAX: u32 = 64;

/// Bytes of a stream under way that its reader has not taken yet.
pub const STREAM_WINDOW: u32 = 1 << 20;

/// The same of a connection. There is room for all of its streams: those that nobody reads, as the pages of a browser that
/// sleeps, do not hold up the reports of the node.
pub const CONNECTION_WINDOW: u32 = STREAMS_MAX * STREAM_WINDOW;

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost::encoding::{string, uint64};

    use super::v1;

    #[test]
    fn what_a_newer_peer_adds_is_passed_over() {
        let known = v1::Desired {
            attempt: 3,
            goal: 99,
            ..v1::Desired::default()
        };
        let mut bytes = known.encode_to_vec();
        uint64::encode(1_000, &7, &mut bytes);
        string::encode(1_001, &"new".to_owned(), &mut bytes);
        let read = v1::Desired::decode(bytes.as_slice()).unwrap();
        assert_eq!(read, known);
        // A word that is not known yet is none, never another one.
        assert_eq!(read.goal(), v1::Goal::Unspecified);
    }
}
