//! What AWS says of machines is late, wrong, or half.

use std::time::Instant;

use mayfly_tests::clock;
use mayfly_tests::ec2::Image;
use mayfly_tests::region::Region;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::light::{LIMIT, Light};
use crate::notify::listener;

/// As long as a release may take before people are told.
const ALARM_SECS: u64 = 300;

/// faults.md 44: machines are missing in listings at first, and again in the middle. Missing is not gone.
#[test]
fn a_machine_that_is_not_listed_is_not_gone() {
    let light = Light::start(&json!({ "describe_lag_secs": 3, "group_lag_secs": 2 }));
    let job = light.job("unlisted", 2);
    let mut launch = light.working(&job);
    light.up(&mut launch, "worker", 2);
    light
        .region
        .ec2
        .rig("POST", "settings", &json!({ "flapping_describes": 4 }));
    launch.until("listings that show nothing", LIMIT, || {
        let left = light.region.ec2.rig("GET", "settings", &Value::Null)["flapping_describes"].clone();
        (left == 0).then_some(())
    });
    light.go(&job);
    // Also while it is released.
    light
        .region
        .ec2
        .rig("POST", "settings", &json!({ "flapping_describes": 2 }));
    let receipt = light.succeeds(launch, &job);
    assert_eq!(
        (&receipt["attempts"], &receipt["release"]["machines_started"]),
        (&1.into(), &3.into())
    );
    for node in receipt["nodes"].as_array().unwrap() {
        assert_eq!(node["lost"], false, "{node}");
    }
}

/// faults.md 45: a group's machines are told to end and do not; after five minutes people are told.
#[test]
fn a_machine_that_does_not_end_is_waited_for() {
    let dir = TempDir::new().unwrap();
    let jumped = dir.path().join("jumped");
    let (hook, posted) = listener();
    let time = clock::jumps(&jumped, ALARM_SECS);
    let settings = json!({ "retry_secs": 0.5 });
    let light = Light::in_region(Region::armed(Image::light(), &settings, &time, |settings, _| {
        settings["notify"] = json!([hook]);
    }));
    let job = light.job("deaf", 2);
    let mut launch = light.working(&job);
    let rig = |deaf: u32| {
        let settings = json!({ "deaf_terminates": deaf });
        light.region.ec2.rig("POST", "settings", &settings)
    };
    let ids: Vec<String> = light
        .region
        .ec2
        .instances()
        .into_iter()
        .map(|info| info.id)
        .collect();
    // They cannot end by themselves either.
    for id in &ids {
        std::fs::write(
            light.region.ec2.folder(id).join("bin/poweroff"),
            "#!/bin/sh\nexit 1\n",
        )
        .unwrap();
    }
    rig(1_000);
    light.go(&job);
    let told = |wanted: &str| {
        let end = Instant::now() + LIMIT;
        loop {
            let posted = posted.recv_timeout(end.saturating_duration_since(Instant::now()));
            let body: Value = serde_json::from_str(&posted.expect(wanted).body).unwrap();
            if body["event"] == wanted {
                return body;
            }
        }
    };
    told("ended");
    std::fs::write(&jumped, "").unwrap();
    let trouble = told("release-trouble");
    let reason = trouble["reason"].as_str().unwrap();
    assert!(
        ids.iter().any(|id| reason.contains(id)) && trouble["outcome"] == "succeeded",
        "{trouble:#}"
    );
    rig(0);
    let ended = launch.wait(LIMIT);
    ended.exited(0).said("nothing is left").said(reason);
    light.region.assert_nothing_left();
}

/// faults.md 47: a machine loses its tags while it works.
#[test]
fn a_machine_without_its_tags_still_ends_with_its_run() {
    let light = Light::start(&json!({}));
    let job = light.job("stripped", 2);
    let launch = light.working(&job);
    let worker = light.region.up("worker")[0].id.clone();
    let mut fields = vec![("ResourceId.1".to_owned(), worker.clone())];
    for (n, key) in (1..).zip(["mayfly:run", "mayfly:role", "managed-by", "mayfly:deadline"]) {
        fields.push((format!("Tag.{n}.Key"), key.to_owned()));
    }
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    light.region.ec2.aws("ec2", "DeleteTags", &fields);
    let receipt = light.succeeds(launch, &job);
    assert_eq!(receipt["release"]["machines_started"], 3);
}

/// faults.md 47: a machine comes without tags at all. The job goes on without it, and it ends with the group that made it.
/// That nothing is done there is shown by the agent's own tests.
#[test]
fn a_machine_that_never_had_tags_ends_with_its_group() {
    let light = Light::start(&json!({}));
    let job = light.job("nameless", 2);
    let mut launch = light.working(&job);
    light
        .region
        .ec2
        .rig("POST", "settings", &json!({ "untagged_launches": 1 }));
    let worker = light.region.up("worker")[0].id.clone();
    light
        .region
        .ec2
        .rig("POST", &format!("machines/{worker}/fail"), &json!({}));
    let nameless = launch.until("a machine without tags", LIMIT, || {
        let mut all = light.region.ec2.instances().into_iter();
        all.rfind(|info| info.role().is_none() && info.state == "running")
    });
    assert!(nameless.group.is_some());
    light.succeeds(launch, &job);
}
