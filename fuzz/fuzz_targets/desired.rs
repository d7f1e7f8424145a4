#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mayfly_fuzz_targets::run("desired", input));
