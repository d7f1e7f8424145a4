//! What a node reports.

use mayfly_coordinator::run::Report;
use mayfly_proto::v1;
use prost::Message as _;

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    if let Ok(request) = v1::SyncRequest::decode(bytes) {
        let _ = request.report.map(Report::try_from);
    }
}
