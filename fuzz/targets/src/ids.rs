//! Names and fingerprints that come as text.

use mayfly_coordinator::authority::NodeName;
use mayfly_kit::tls::Fingerprint;
use mayfly_proto::{NodeId, RunId};

use crate::text;

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    let text = text(bytes);
    let _ = text.parse::<Fingerprint>();
    let _ = text.parse::<NodeId>();
    if let Ok(run) = text.parse::<RunId>() {
        assert_eq!(run.to_string(), text);
    }
    if let Ok(name) = text.parse::<NodeName>() {
        assert_eq!(name.to_string(), text);
    }
}
