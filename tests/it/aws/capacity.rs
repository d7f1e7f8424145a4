//! AWS has fewer machines than are asked for, or refuses them, or there are more than were asked for.

use mayfly_tests::ec2::Image;
use mayfly_tests::region::Region;
use mayfly_tests::wait::secs;
use serde_json::{Value, json};

use super::light::{LIMIT, Light};

/// Until a group tries again: soon.
fn settings() -> Value {
    json!({ "retry_secs": 0.5 })
}

/// faults.md 36: three of five suffice, if the job says so.
#[test]
fn a_job_begins_with_as_many_machines_as_suffice() {
    let light = Light::start(&settings());
    light.region.ec2.rig("POST", "capacity", &json!({ "*": 4 }));
    let job = light.job("partly", 5).set("workers.min", 3);
    let launch = light.working(&job);
    let receipt = light.succeeds(launch, &job);
    assert_eq!(receipt["release"]["machines_started"], 4);
}

/// faults.md 35, 36: fewer than suffice, in every zone. What came is given back when the time to form is up, and the end
/// says why.
#[test]
fn too_few_machines_are_given_back_and_the_end_says_why() {
    let light = Light::start(&settings());
    light.region.ec2.rig("POST", "capacity", &json!({ "*": 2 }));
    let job = light
        .job("few", 5)
        .set("workers.min", 3)
        .set("limits.form", "15s");
    let ended = light.launch(&job).wait(LIMIT);
    ended.exited(3).said("do not have sufficient t4g.small capacity");
    light.region.assert_nothing_left();
    assert_eq!(light.region.bill().len(), 2);
}

/// faults.md 35: not one machine, anywhere: nothing is paid.
#[test]
fn no_machine_at_all_costs_nothing() {
    let light = Light::start(&settings());
    light.region.ec2.rig("POST", "capacity", &json!({ "*": 0 }));
    let job = light.job("none", 2).set("limits.form", "10s");
    let ended = light.launch(&job).wait(LIMIT);
    ended.exited(3).said("do not have sufficient t4g.small capacity");
    light.region.assert_nothing_left();
    assert!(light.region.bill().is_empty());
}

/// faults.md 37, 45: a machine with the run's tags that no group knows, and whose first three ends are answered and not done.
#[test]
fn a_machine_that_nobody_asked_for_ends_with_its_run() {
    let light = Light::start(&settings());
    let job = light.job("stray", 1);
    let launch = light.working(&job);
    let run = light.region.record()["run"].as_str().unwrap().to_owned();
    let image = light.region.up("worker")[0].image.clone();
    let tag = |n: usize, key: &str, value: &str| {
        let name = |part: &str| format!("TagSpecification.1.Tag.{n}.{part}");
        [(name("Key"), key.to_owned()), (name("Value"), value.to_owned())]
    };
    let fields = [
        ("ImageId", image.as_str()),
        ("InstanceType", "t4g.small"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("TagSpecification.1.ResourceType", "instance"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let tags = [
        tag(1, "mayfly:run", &run),
        tag(2, "mayfly:role", "worker"),
        tag(3, "managed-by", "mayfly"),
    ];
    let all: Vec<(String, String)> = fields.into_iter().chain(tags.into_iter().flatten()).collect();
    let all: Vec<(&str, &str)> = all
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    light.region.ec2.aws("ec2", "RunInstances", &all);
    light
        .region
        .ec2
        .rig("POST", "settings", &json!({ "deaf_terminates": 5 }));
    let receipt = light.succeeds(launch, &job);
    assert_eq!(receipt["release"]["machines_started"], 3, "{receipt:#}");
    let left = light.region.ec2.rig("GET", "settings", &Value::Null)["deaf_terminates"].clone();
    assert_eq!(left, 0, "no end was asked for again");
}

/// faults.md 38: what will not work however often it is tried ends the run with AWS's own words, and costs nothing.
#[test]
fn what_will_never_work_is_not_tried_again() {
    let region = Region::of(Image::none(), &settings());
    let light = Light::in_region(region);
    // A type may be missing in one zone alone: each is opened before it is given up.
    for (code, spot, words, calls) in [
        ("VcpuLimitExceeded", false, "vCPU limit", 8),
        ("UnauthorizedOperation", false, "not authorized", 8),
        (
            "MaxSpotInstanceCountExceeded",
            true,
            "Max spot instance count exceeded",
            8,
        ),
        ("InvalidAMIID.NotFound", false, "does not exist", 8),
        ("Unsupported", false, "not supported", 20),
    ] {
        let errors = json!({ "match": "*", "code": code, "times": 1_000_000 });
        light.region.ec2.rig("POST", "launch-errors", &errors);
        let name = format!("never-{}", code.to_ascii_lowercase().replace('.', "-"));
        let job = light
            .job(&name, 1)
            .set("master.spot", spot)
            .set("workers.spot", spot);
        let ended = light.launch(&job).wait(secs(60));
        ended.exited(3).said(words);
        light.region.ec2.rig("DELETE", "launch-errors", &Value::Null);
        let made = light.region.ec2.rig("GET", "calls", &Value::Null)["counts"].clone();
        let tries = made["autoscaling UpdateAutoScalingGroup"].as_u64();
        assert!(tries <= Some(calls), "{code}: {tries:?} times");
        light.region.ec2.rig("DELETE", "calls", &Value::Null);
    }
    assert!(light.region.bill().is_empty(), "a machine was paid for");
    light.region.assert_nothing_left();
}
