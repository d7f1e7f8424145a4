//! AWS does not give what is asked for. The machines here do nothing: it is about what is asked and how it ends.

use std::time::Duration;

use mayfly_tests::ec2::Image;
use mayfly_tests::region::{Region, job};
use mayfly_tests::{Job, Launch, Repo};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(120);

fn region() -> (Region, Repo, Job) {
    let region = Region::of(Image::of(&["sleep", "1000"]), &json!({ "retry_secs": 0.5 }));
    let repo = Repo::of_jobs();
    let job = job("idle", &repo.path().display().to_string(), "plain.py").workers(2);
    (region, repo, job)
}

/// Machines of the job that run now, by zone.
fn zones(region: &Region) -> Vec<String> {
    let up = region
        .ec2
        .instances()
        .into_iter()
        .filter(|info| info.state == "running");
    let mut zones: Vec<String> = up.map(|info| info.az).collect();
    zones.sort();
    zones
}

/// Ends it, once it has said this.
fn cancelled(region: &Region, mut launch: Launch, said: &str) {
    launch.signal(Signal::SIGINT);
    launch.wait(LIMIT).exited(130).said("nothing is left").said(said);
    region.assert_nothing_left();
}

/// faults.md 35.
#[test]
fn where_a_zone_has_no_machine_the_next_one_is_tried_and_the_view_says_why() {
    let (region, _repo, job) = region();
    // The first zone has room for the master alone.
    let first = zone_of_first_choice(&region);
    region
        .ec2
        .rig("POST", "capacity", &json!({ format!("*/{first}"): 1 }));
    let mut launch = region.launch(&job, &[]);
    launch.until("three machines", LIMIT, || {
        (zones(&region).len() == 3).then_some(())
    });
    assert_eq!(zones(&region).iter().filter(|zone| **zone == first).count(), 1);
    cancelled(&region, launch, "do not have sufficient t4g.small capacity");
}

/// The zone of the subnet that a run takes first: those of an empty network are alike but for their names.
fn zone_of_first_choice(region: &Region) -> String {
    let said = region.home.verb(&["network", "show", "--json"]);
    let shown: Value = serde_json::from_str(&said.exited(0).stdout).unwrap();
    let subnets = shown["network"]["subnets"].as_array().unwrap().clone();
    subnets[0]["zone"].as_str().unwrap().to_owned()
}

/// faults.md 38.
#[test]
fn what_cannot_be_had_is_refused_before_anything_is_made() {
    let (region, _repo, job) = region();
    let refused = |job: &Job, word: &str| {
        region.launch(job, &[]).wait(LIMIT).exited(2).said(word);
    };
    refused(&job.clone().set("workers.instance", "t9z.huge"), "t9z.huge");
    refused(
        &job.clone().set("workers.instance", "t3.small"),
        "no processor architecture in common",
    );
    region.ec2.rig("POST", "quotas", &json!({ "L-1216C47A": 4 }));
    refused(&job.clone().set("workers.count", 9), "quota");
    assert!(region.bill().is_empty(), "a machine was paid for");
    region.assert_nothing_left();
}

/// faults.md 41, 43.
#[test]
fn throttled_calls_and_lost_replies_make_no_second_machine() {
    let (region, _repo, job) = region();
    for fault in [
        json!({ "service": "autoscaling", "action": ".*", "times": 5, "status": 400, "code": "Throttling" }),
        json!({ "service": "ec2", "action": "Describe.*", "times": 5, "status": 503, "code": "RequestLimitExceeded" }),
        json!({ "service": "autoscaling", "action": "CreateAutoScalingGroup", "times": 1, "applied": true, "reset": true }),
        json!({ "service": "ec2", "action": "CreateLaunchTemplate", "times": 1, "applied": true, "reset": true }),
    ] {
        region.ec2.rig("POST", "faults", &fault);
    }
    let mut launch = region.launch(&job, &[]);
    launch.until("three machines", LIMIT, || {
        (zones(&region).len() == 3).then_some(())
    });
    cancelled(&region, launch, "");
    assert_eq!(region.bill().len(), 3);
}
