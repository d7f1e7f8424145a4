//! Lines of the job's output, as a node pushes them.

use mayfly_coordinator::logs::Output;
use mayfly_proto::v1;
use prost::Message as _;

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    let output = Output::default();
    // Several batches, one behind the other, each with its length before it.
    let mut rest = bytes;
    while let Ok(batch) = v1::LogBatch::decode_length_delimited(&mut rest) {
        output.push(batch);
        if rest.is_empty() {
            break;
        }
    }
    let _ = output.read(0);
}
