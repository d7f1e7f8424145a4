//! Whoever should have ended a run is dead for ever, and so is its killer: `gc` finds what there is by its tags.

use std::time::Duration;

use mayfly_configs::Policy;
use mayfly_tests::Repo;
use mayfly_tests::ec2::Image;
use mayfly_tests::region::{Region, job};
use serde_json::{Value, json};

use super::allowed::{self, Who};
use super::light::LIMIT;

/// After the end of the job, and what a run may take beyond it.
const LATER: Duration = Duration::from_secs(2 * 3_600);

/// What `gc` says and does, with these flags.
fn gc(region: &Region, flags: &[&str]) -> Value {
    let args: Vec<&str> = ["gc", "--on", "aws", "--json"]
        .iter()
        .chain(flags)
        .copied()
        .collect();
    serde_json::from_str(&region.home.verb(&args).exited(0).stdout).unwrap()
}

fn verdicts(said: &Value) -> Vec<&str> {
    let fleets = said["fleets"].as_array().unwrap().iter();
    fleets.map(|fleet| fleet["verdict"].as_str().unwrap()).collect()
}

#[test]
fn what_nobody_ends_is_found_and_ended_once_its_end_has_passed() {
    let mut region = Region::of(Image::of(&["sleep", "1000"]), &json!({}));
    let repo = Repo::of_jobs();
    let job = job("idle", &repo.path().display().to_string(), "plain.py")
        .workers(2)
        .set("limits.deadline", "30m");
    let mut launch = region.launch(&job, &[]);
    let up = |region: &Region| region.up("master").len() + region.up("worker").len();
    launch.until("three machines", LIMIT, || (up(&region) == 3).then_some(()));
    region.serve.kill();
    launch.kill();
    for group in ["master", "workers"] {
        let group = format!("mayfly-{}-{group}", region.record()["run"].as_str().unwrap());
        let lease = [
            ("AutoScalingGroupName", group.as_str()),
            ("ScheduledActionName", "lease"),
        ];
        region.ec2.aws("autoscaling", "DeleteScheduledAction", &lease);
    }

    allowed::from_now_on(&region.ec2);
    let said = gc(&region, &["--yes"]);
    assert_eq!(verdicts(&said), ["alive"], "{said}");
    assert_eq!(
        (said["removed"].clone(), up(&region)),
        (json!([]), 3),
        "a live run was ended"
    );

    let later = json!({ "advance_secs": LATER.as_secs() });
    region.ec2.rig("POST", "clock", &later);
    let said = gc(&region, &["--all-regions"]);
    assert_eq!(verdicts(&said), ["left-over"], "{said}");
    assert_eq!(said["fleets"][0]["machines"], 3, "{said}");
    assert_eq!(
        (said["removed"].clone(), up(&region)),
        (json!([]), 3),
        "nobody said yes"
    );

    let said = gc(&region, &["--yes"]);
    assert_eq!(said["removed"], json!([region.record()["run"]]), "{said}");
    allowed::assert_covered(&region.ec2, Who::Person, &[Policy::Launcher]);
    region.assert_nothing_left();
    assert_eq!(verdicts(&gc(&region, &[])), Vec::<&str>::new());
}
