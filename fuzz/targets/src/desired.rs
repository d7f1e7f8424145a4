//! What the coordinator tells a node.

use mayfly_agent::sync::checked;
use mayfly_proto::v1;
use prost::Message as _;

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    if let Ok(desired) = v1::Desired::decode(bytes) {
        let _ = checked(&desired);
    }
}
