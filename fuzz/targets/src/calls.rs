//! What people and their programs call with: runs to watch, to cancel, to extend, and the pieces of what is carried to a
//! session and to the store.

use std::time::Duration;

use mayfly_coordinator::grpc::decode;
use mayfly_coordinator::logs::Output;
use mayfly_proto::v1;
use prost::Message as _;

use crate::messages;

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    if let Ok(request) = v1::WatchRequest::decode(bytes)
        && let Ok((_, line)) = decode::watch(&request)
    {
        watched(line);
    }
    if let Ok(request) = v1::CancelRequest::decode(bytes) {
        let _ = decode::cancel(&request);
    }
    if let Ok(request) = v1::ExtendRequest::decode(bytes)
        && let Ok((_, from_now)) = decode::extension(&request)
    {
        assert_eq!(from_now, Duration::from_secs(request.deadline_secs));
    }
    let mut pieces = messages::<v1::SessionBytes>(bytes).into_iter();
    let _ = decode::session(pieces.next());
    // What follows goes on as it is, to the job and to the store.
    let _ = pieces.map(|piece| piece.bytes.len()).sum::<usize>();
    let _ = messages::<v1::StoreBytes>(bytes);
}

/// Reads a run's output from any line on.
fn watched(line: u64) {
    let output = Output::default();
    output.push(v1::LogBatch {
        node_id: "master-1".into(),
        attempt: 1,
        lines: vec!["first".into(), "second".into()],
        ..v1::LogBatch::default()
    });
    let read = output.read(line);
    assert_eq!(read.is_some(), line < 2, "from line {line}");
}
