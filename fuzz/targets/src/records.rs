//! What the store holds of a run, as anybody who may write there may have left it.

use mayfly_coordinator::record::{Receipt, RunRecord};
use mayfly_kit::records::{Commit, Manifest};

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    let _ = serde_json::from_slice::<Commit>(bytes);
    let _ = serde_json::from_slice::<Manifest>(bytes);
    let _ = serde_json::from_slice::<Receipt>(bytes);
    if let Ok(record) = serde_json::from_slice::<RunRecord>(bytes) {
        let _ = record.is_closed();
    }
}
