//! What a node says of itself when it comes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mayfly_coordinator::grpc::decode;
use mayfly_proto::v1;
use prost::Message as _;

fuzz_target!(|bytes: &[u8]| {
    let Ok(request) = v1::EnrollRequest::decode(bytes) else {
        return;
    };
    let _ = decode::enrolment(&request);
    let _ = decode::role(request.role).map(|role| decode::node_id(&request.machine_id, role));
});
