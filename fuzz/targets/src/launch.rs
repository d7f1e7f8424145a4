//! What a person asks to be launched, and the code that comes before it.

use mayfly_coordinator::grpc::decode;
use mayfly_proto::v1;
use prost::Message as _;

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    if let Ok(request) = v1::LaunchRequest::decode(bytes) {
        let _ = decode::launch(request);
    }
    if let Ok(request) = v1::PutCodeRequest::decode(bytes) {
        let _ = decode::piece(request);
    }
}
