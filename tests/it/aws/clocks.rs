//! The clocks of AWS and of everybody else differ.

use jiff::{SignedDuration, Timestamp};
use mayfly_tests::{Launch, clock};
use serde_json::Value;
use tempfile::TempDir;

use super::light::{LIMIT, Light};

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

/// What the rig has counted since it was asked last: how often machines were listed, and how often the time of a request was
/// refused.
fn calls(light: &Light) -> (usize, usize) {
    let calls = light.region.ec2.rig("GET", "calls", &Value::Null);
    let calls = calls["calls"].as_array().unwrap();
    let count = |is_it: &dyn Fn(&Value) -> bool| calls.iter().filter(|call| is_it(call)).count();
    let looks = count(&|call| call["action"] == "DescribeInstances" && call["status"] == 200);
    let refused = count(&|call| [401, 403].into_iter().any(|status| call["status"] == status));
    (looks, refused)
}

/// The coordinator has looked at its machines since its clock was set, and all that follows from that.
fn looks_thrice(light: &Light, launch: &mut Launch) {
    light.region.ec2.rig("DELETE", "calls", &Value::Null);
    launch.until("three looks", LIMIT, || (calls(light).0 >= 3).then_some(()));
}

/// faults.md 53: the clock of coordinator and machines is an hour ahead at once, which is longer than the run may last, and
/// after that an hour behind. Nobody is lost, nothing ends early or late, and times are told by the clock as it is.
#[test]
fn a_clock_that_jumps_under_a_run_ends_nothing() {
    let dir = TempDir::new().unwrap();
    let set = dir.path().join("set");
    let light = Light::with_clock(&set);
    let job = light.job("jumps", 1);
    let mut launch = light.working(&job);
    for ahead_secs in [i64::from(HOUR_SECS), -i64::from(HOUR_SECS)] {
        clock::set(&set, ahead_secs);
        looks_thrice(&light, &mut launch);
        assert!(calls(&light).1 > 0, "no request was dated by the wrong clock");
        let left = light.killer("workers").duration_since(Timestamp::now());
        assert!(
            left > SignedDuration::from_mins(2) && left <= SignedDuration::from_mins(9),
            "by AWS's clock the lease ends in {left:#}"
        );
        let record = light.region.record();
        let time = |key: &str| record[key].as_str().unwrap().parse::<Timestamp>().unwrap();
        assert_eq!(
            time("deadline").duration_since(time("created")),
            SignedDuration::from_mins(10)
        );
        let theirs = Timestamp::now() + SignedDuration::from_secs(ahead_secs);
        let age = theirs.duration_since(time("created"));
        assert!(
            age > SignedDuration::ZERO && age < SignedDuration::from_mins(5),
            "by that clock the run is {age:#} old"
        );
    }
    let receipt = light.succeeds(launch, &job);
    assert_eq!(receipt["attempts"], 1, "{receipt:#}");
    let secs = |value: &Value| value.as_f64().unwrap() < f64::from(HOUR_SECS) / 2.0;
    assert!(secs(&receipt["total_secs"]), "{receipt:#}");
    for node in receipt["nodes"].as_array().unwrap() {
        assert!(secs(&node["secs"]) && node["lost"] == false, "{node}");
    }
}
