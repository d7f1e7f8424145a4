//! What the coordinator tells a node.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mayfly_agent::sync::checked;
use mayfly_proto::v1;
use prost::Message as _;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(desired) = v1::Desired::decode(bytes) {
        let _ = checked(&desired);
    }
});
