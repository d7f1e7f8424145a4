//! A node's certificate, as a client shows it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mayfly_coordinator::authority::NodeCertificate;

fuzz_target!(|bytes: &[u8]| {
    let _ = NodeCertificate::read(bytes);
});
