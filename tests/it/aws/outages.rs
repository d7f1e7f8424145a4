//! AWS answers late, not at all, half, or with errors, for a while.

use serde_json::{Value, json};

use super::light::{LIMIT, Light};

/// Longer than a try of a request is waited for.
const HELD_SECS: u32 = 33;

/// faults.md 41: the reply to the call that starts machines comes when nobody waits for it any more.
#[test]
fn a_reply_that_comes_too_late_makes_no_second_fleet() {
    let light = Light::start(&json!({}));
    light.fault(&json!({
        "service": "autoscaling", "action": "UpdateAutoScalingGroup", "times": 1, "applied": true,
        "latency_secs": HELD_SECS,
    }));
    let job = light.job("late", 1);
    let launch = light.working(&job);
    let receipt = light.succeeds(launch, &job);
    assert_eq!(receipt["release"]["machines_started"], 2);
}

/// faults.md 42: the call starts some machines, and is answered with an error.
#[test]
fn a_call_that_is_half_done_and_fails_is_said_again() {
    let light = Light::start(&json!({ "retry_secs": 0.5 }));
    light.region.ec2.rig("POST", "capacity", &json!({ "*": 2 }));
    light.fault(&json!({
        "service": "autoscaling", "action": "UpdateAutoScalingGroup", "times": 4, "applied": true, "status": 500,
    }));
    let job = light.job("half", 3);
    let mut launch = light.launch(&job);
    launch.until("some of the machines", LIMIT, || {
        (light.region.bill().len() == 2).then_some(())
    });
    light.region.ec2.rig("POST", "capacity", &json!({}));
    light.works(&mut launch, &job, 1);
    let receipt = light.succeeds(launch, &job);
    assert_eq!(receipt["release"]["machines_started"], 4);
}

/// faults.md 43: three calls a second, for everything, from the launch to the end.
#[test]
fn a_throttled_run_takes_longer_and_is_right() {
    let light = Light::start(&json!({}));
    for (service, code) in [("ec2", "RequestLimitExceeded"), ("autoscaling", "Throttling")] {
        light.fault(&json!({
            "service": service, "action": ".*", "rate": 3, "burst": 3, "status": 400, "code": code,
        }));
    }
    let job = light.job("throttled", 3);
    let launch = light.working(&job);
    let receipt = light.succeeds(launch, &job);
    assert_eq!(receipt["release"]["machines_started"], 4);
    let calls = light.region.ec2.rig("GET", "calls", &Value::Null)["calls"].clone();
    let refused = calls
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| call["status"] == 400);
    assert!(refused.count() > 0, "nothing was throttled");
}

/// faults.md 50: EC2 and Auto Scaling are down while the job works and when it ends. It ends all the same, its results are
/// there, and its machines go as soon as AWS lets them.
#[test]
fn a_job_ends_and_commits_while_aws_is_down_and_is_released_after_that() {
    let light = Light::start(&json!({}));
    let job = light.job("outage", 2);
    let mut launch = light.working(&job);
    let down = json!({
        "service": "^(ec2|autoscaling)$", "action": ".*", "times": 1_000_000, "status": 503, "code": "Unavailable",
    });
    light.fault(&down);
    light.go(&job);
    let run = light.region.record()["run"].as_str().unwrap().to_owned();
    let commit = format!("runs/{run}/_COMMIT.json");
    launch.until("the commit", LIMIT, || light.region.stored(&commit));
    let failed = |light: &Light| {
        let said = light.region.ec2.rig("GET", "calls", &Value::Null)["calls"].clone();
        let calls = said.as_array().unwrap().clone();
        let failed = calls
            .iter()
            .filter(|call| call["status"] == 503 && call["action"] == "DeleteAutoScalingGroup");
        failed.count()
            + calls
                .iter()
                .filter(|call| call["action"] == "DescribeAutoScalingGroups" && call["status"] == 503)
                .count()
    };
    let before = failed(&light);
    launch.until("a release that fails", LIMIT, || {
        (failed(&light) > before).then_some(())
    });
    light.region.ec2.rig("DELETE", "faults", &Value::Null);
    let receipt = light.succeeds(launch, &job);
    assert_eq!(receipt["ended"]["outcome"], "succeeded");
}
