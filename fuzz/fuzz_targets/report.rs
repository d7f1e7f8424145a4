//! What a node reports.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mayfly_coordinator::run::Report;
use mayfly_proto::v1;
use prost::Message as _;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = v1::SyncRequest::decode(bytes) {
        let _ = request.report.map(Report::try_from);
    }
});
