//! What a node says of itself when it comes.

use mayfly_coordinator::grpc::decode;
use mayfly_proto::v1;
use prost::Message as _;

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(request) = v1::EnrollRequest::decode(bytes) else {
        return;
    };
    let _ = decode::enrolment(&request);
    let _ = decode::role(request.role).map(|role| decode::node_id(&request.machine_id, role));
}
