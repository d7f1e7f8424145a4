//! A job that the team keeps in Consul, as anybody may have written it there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mayfly_configs::{take_shared, text_of};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = text_of("mayfly/jobs/a", bytes.to_vec()) {
        let _ = take_shared("mayfly/jobs/a", "a", &text, &|_| None, &[]);
    }
});
