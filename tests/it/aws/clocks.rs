//! The clocks of AWS and of everybody else differ.

use jiff::{SignedDuration, Timestamp};

use super::light::Light;

const HOUR_SECS: i32 = 3_600;

/// A run whose clock is wrong by so much against AWS's: its killer is armed by AWS's clock, it works, and it costs what it
/// costs.
fn runs(name: &str, ahead_secs: i32) {
    let light = Light::ahead(ahead_secs);
    let job = light.job(name, 1);
    let launch = light.working(&job);
    let killer = light.killer("workers");
    let theirs = Timestamp::now() + SignedDuration::from_secs(ahead_secs.into());
    let left = killer.duration_since(theirs);
    assert!(
        left > SignedDuration::ZERO && left <= SignedDuration::from_mins(9),
        "by AWS's clock the lease ends in {left:#}"
    );
    let receipt = light.succeeds(launch, &job);
    for node in receipt["nodes"].as_array().unwrap() {
        let secs = node["secs"].as_f64().unwrap();
        assert!(
            secs < f64::from(HOUR_SECS) / 2.0,
            "a machine lived for {secs} s: {node}"
        );
    }
}

/// faults.md 53: this machine's clock, and the nodes', are an hour behind.
#[test]
fn a_run_whose_clock_is_behind_is_a_run() {
    runs("behind", HOUR_SECS);
}

/// faults.md 53: and an hour ahead.
#[test]
fn a_run_whose_clock_is_ahead_is_a_run() {
    runs("ahead", -HOUR_SECS);
}
