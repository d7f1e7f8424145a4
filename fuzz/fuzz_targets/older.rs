//! A file of the older system, made into a job file: what comes out is a job file that is taken.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mayfly_configs::{import, parse};

fuzz_target!(|text: &str| {
    if let Ok(made) = import("spark.yml", text) {
        let read = parse("jobs.yml", &made.text, &|_| Some(String::new()));
        assert!(read.is_ok(), "{}\n{}", made.text, read.unwrap_err());
    }
});
