//! Spot capacity is taken back: with a notice, without one, or only perhaps.

use mayfly_configs::Policy;
use mayfly_tests::wait::{self, secs};
use serde_json::{Value, json};

use super::allowed::{self, Who};
use super::light::{LIMIT, Light};

/// Longer than what follows from a notice takes on any machine; the test ends it by the rig's clock.
const LATER: u64 = 300;

/// faults.md 30: a worker is told two minutes before. It hands over what it holds, another one comes while it is still
/// there, and the job does not notice.
#[test]
fn a_worker_that_is_told_hands_over_and_is_replaced_before_it_goes() {
    // The group sees that a machine has ended only long after we do, as it may.
    let light = Light::start(&json!({ "health_check_secs": 10 * LATER }));
    let job = light.job("told", 2).set("workers.spot", true);
    let mut launch = light.working(&job);
    let gone = light.region.up("worker")[0].clone();
    assert_eq!(gone.lifecycle, "spot");
    light.region.ec2.interrupt(&gone.id, secs(LATER), true);
    let mark = light.region.ec2.folder(&gone.id).join("node/decommissioned");
    launch.until("its Worker to hand over", LIMIT, || mark.exists().then_some(()));
    let up = light.up(&mut launch, "worker", 3);
    assert!(
        up.iter().any(|info| info.id == gone.id),
        "it went before its time: {up:?}"
    );
    light
        .region
        .ec2
        .rig("POST", "clock", &json!({ "advance_secs": LATER + 1 }));
    light.region.ec2.wait_state(&gone.id, "terminated", LIMIT);
    launch.until("the group to want two again", LIMIT, || {
        let said = light
            .region
            .ec2
            .aws("autoscaling", "DescribeAutoScalingGroups", &[]);
        said.contains("<DesiredCapacity>2</DesiredCapacity>")
            .then_some(())
    });
    assert_eq!(light.region.up("worker").len(), 2, "one that works was ended");
    let receipt = light.succeeds(launch, &job);
    assert_eq!(
        (&receipt["attempts"], &receipt["release"]["machines_started"]),
        (&1.into(), &4.into())
    );
}

/// faults.md 31: the master is told. What is closed by then is in the store before the machine is taken, and the next
/// attempt runs on another one.
#[test]
fn a_master_that_is_told_saves_what_is_closed_before_it_goes() {
    let light = Light::start(&json!({}));
    let job = light
        .job("saved", 1)
        .set("master.spot", true)
        .set("limits.retries", 1);
    let mut launch = light.working(&job);
    let gone = light.region.up("master")[0].clone();
    light.region.ec2.interrupt(&gone.id, secs(LATER), true);
    let run = light.region.record()["run"].as_str().unwrap().to_owned();
    let key = format!("runs/{run}/attempt-1/results/early.txt");
    let saved = launch.until("its closed file in the store", LIMIT, || {
        light.region.stored(&key)
    });
    assert_eq!(saved, "attempt 1\n");
    assert!(
        light
            .region
            .ec2
            .rig("GET", &format!("machines/{}", gone.id), &Value::Null)["cause"]
            != "Spot instance termination",
        "it was saved only when the machine had been taken"
    );
    light.works(&mut launch, &job, 2);
    let receipt = light.succeeds(launch, &job);
    assert_eq!(receipt["attempts"], 2);
    assert!(
        light.region.stored(&key).is_some(),
        "the first attempt's file is gone"
    );
}

/// faults.md 32: nobody is told. A worker is replaced; without its master the job runs again, once.
#[test]
fn machines_that_are_taken_without_a_word_are_replaced() {
    let light = Light::start(&json!({}));
    let job = light
        .job("untold", 2)
        .set("workers.spot", true)
        .set("master.spot", true)
        .set("limits.retries", 1);
    let mut launch = light.working(&job);
    let worker = light.region.up("worker")[0].id.clone();
    light.region.ec2.interrupt(&worker, secs(0), false);
    light.region.ec2.wait_state(&worker, "terminated", LIMIT);
    light.up(&mut launch, "worker", 2);
    let master = light.region.up("master")[0].id.clone();
    light.region.ec2.interrupt(&master, secs(0), false);
    light.works(&mut launch, &job, 2);
    let receipt = light.succeeds(launch, &job);
    assert_eq!(
        (&receipt["attempts"], &receipt["release"]["machines_started"]),
        (&2.into(), &5.into())
    );
}

/// The attempt after a lost spot master may be the last: its machine is on demand. The workers stay as they were asked for.
#[test]
fn after_a_lost_spot_master_the_next_one_is_on_demand() {
    // The group replaces it only when the test says so, and the coordinator has seen the end before.
    let light = Light::start(&json!({ "health_check_secs": LATER }));
    allowed::from_now_on(&light.region.ec2);
    let job = light
        .job("paid", 1)
        .set("workers.spot", true)
        .set("master.spot", true)
        .set("limits.retries", 1);
    let mut launch = light.working(&job);
    let lost = light.region.up("master")[0].clone();
    assert_eq!(lost.lifecycle, "spot");
    light.region.ec2.interrupt(&lost.id, secs(0), false);
    launch.until("its group to start what is paid for", LIMIT, || {
        let said = light
            .region
            .ec2
            .aws("autoscaling", "DescribeAutoScalingGroups", &[]);
        let all = "<OnDemandPercentageAboveBaseCapacity>100<";
        said.contains(all).then_some(())
    });
    light
        .region
        .ec2
        .rig("POST", "clock", &json!({ "advance_secs": LATER + 1 }));
    light.works(&mut launch, &job, 2);
    let next = light.region.up("master")[0].clone();
    assert_eq!(next.lifecycle, "on-demand", "{next:?}");
    assert!(
        light
            .region
            .up("worker")
            .iter()
            .all(|info| info.lifecycle == "spot")
    );
    let receipt = light.succeeds(launch, &job);
    assert_eq!(receipt["attempts"], 2);
    allowed::assert_covered(&light.region.ec2, Who::Person, &[Policy::Launcher]);
}

/// faults.md 33: a recommendation is written down, and nothing follows from it.
#[test]
fn a_recommendation_to_leave_ends_nothing() {
    let light = Light::start(&json!({}));
    let job = light.job("perhaps", 1).set("workers.spot", true);
    let launch = light.working(&job);
    let worker = light.region.up("worker")[0].id.clone();
    light
        .region
        .ec2
        .rig("POST", &format!("machines/{worker}/rebalance"), &json!({}));
    wait::until("a line about it", LIMIT, || {
        let told = light.console(&worker).contains("likelier than others");
        told.then_some(())
    });
    let receipt = light.succeeds(launch, &job);
    assert_eq!(receipt["release"]["machines_started"], 2);
}
