//! Groups replace what ends; what ends again and again is not replaced for ever.

use jiff::{SignedDuration, Timestamp};
use mayfly_tests::ec2::Image;
use mayfly_tests::region::Region;
use serde_json::{Value, json};

use super::light::{LIMIT, Light};

/// How long a run may go on beyond its deadline to finish an upload.
const OVERTIME: SignedDuration = SignedDuration::from_mins(3);

/// faults.md 48: a worker's machine dies; the one that takes its place joins the run that works.
#[test]
fn a_machine_that_dies_is_replaced_once_and_its_replacement_works() {
    let light = Light::start(&json!({}));
    let job = light.job("replaced", 2);
    let mut launch = light.working(&job);
    let old = light.region.up("worker");
    light
        .region
        .ec2
        .rig("POST", &format!("machines/{}/fail", old[0].id), &json!({}));
    let new = launch.until("another machine", LIMIT, || {
        let up = light.region.up("worker");
        up.into_iter()
            .find(|info| old.iter().all(|old| old.id != info.id))
    });
    launch.until("it to be taken in", LIMIT, || {
        light.console(&new.id).contains("taken in").then_some(())
    });
    let receipt = light.succeeds(launch, &job);
    assert_eq!(
        (&receipt["attempts"], &receipt["release"]["machines_started"]),
        (&1.into(), &4.into())
    );
    let nodes = receipt["nodes"].as_array().unwrap();
    let joined = |id: &str| {
        nodes
            .iter()
            .any(|node| node["node"].as_str().unwrap().ends_with(id) && node["lost"] == false)
    };
    assert!(joined(&new.id), "{receipt:#}");
}

/// faults.md 48: machines that power themselves off as soon as they are up end the run, not the budget.
#[test]
fn machines_that_never_stay_up_end_the_run() {
    let image = Image::of(&["bash", "-c", "poweroff; sleep 1000"]);
    let light = Light::in_region(Region::of(image, &json!({ "health_check_secs": 1 })));
    let job = light.job("loop", 1);
    let ended = light.launch(&job).wait(LIMIT);
    ended.exited(3).said("keep ending as soon as they are started");
    light.region.assert_nothing_left();
    // One that is wanted, and so many in its place; twice that is for what was under way when it was seen.
    let bill = light.region.bill().len();
    assert!(bill <= 2 * 2 * 6, "{bill} machines were started");
}

/// faults.md 49: AWS ends every machine although the job is healthy: nobody had moved the lease as far as its clock went.
/// Another attempt runs, and no lease lies beyond the end of the run.
#[test]
fn a_lease_that_runs_out_under_a_healthy_job_is_an_attempt_lost_and_no_more() {
    let light = Light::start(&json!({}));
    let job = light
        .job("fired", 1)
        .set("limits.retries", 1)
        .set("limits.deadline", "4m");
    let mut launch = light.working(&job);
    let record = light.region.record();
    let deadline: Timestamp = record["deadline"].as_str().unwrap().parse().unwrap();
    for group in ["master", "workers"] {
        let killer = light.killer(group);
        let end = deadline + OVERTIME;
        assert!(
            killer <= end,
            "{group}: {killer} is after the end of the run, {end}"
        );
    }
    for group in light.region.ec2.rig("GET", "leftovers", &Value::Null)["groups"]
        .as_array()
        .unwrap()
    {
        let fields = [
            ("AutoScalingGroupName", group.as_str().unwrap()),
            ("MinSize", "0"),
            ("MaxSize", "0"),
            ("DesiredCapacity", "0"),
        ];
        light
            .region
            .ec2
            .aws("autoscaling", "UpdateAutoScalingGroup", &fields);
    }
    light.works(&mut launch, &job, 2);
    let receipt = light.succeeds(launch, &job);
    assert_eq!(receipt["attempts"], 2);
}
