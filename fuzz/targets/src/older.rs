//! A file of the older system, made into a job file: what comes out is a job file that is taken.

use mayfly_configs::{import, parse};

use crate::text;

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(made) = import("spark.yml", text) {
        let read = parse("jobs.yml", &made.text, &|_| Some(String::new()));
        assert!(read.is_ok(), "{}\n{}", made.text, read.unwrap_err());
    }
}
