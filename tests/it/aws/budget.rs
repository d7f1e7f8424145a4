//! What a run may cost: it is stopped while there is still enough to save what there is, and its receipt says what AWS bills.

use serde_json::{Value, json};

use super::examples::assert_paid;
use super::light::{LIMIT, Light};

/// Of `t4g.small`, in dollars: a machine costs ten cents at least, for its first minute.
const HOURLY: f64 = 6.0;
/// Two machines cost 20 cents at once, and 60 are kept to save what they have. A third one is too much.
const BUDGET: &str = "$0.89";

fn light() -> Light {
    let light = Light::start(&json!({}));
    let prices = json!({ "on_demand": { "t4g.small": HOURLY } });
    light.region.ec2.rig("POST", "prices", &prices);
    light
}

/// The receipt of a run that ended so, and left nothing.
fn stopped(light: &Light) -> Value {
    light.region.assert_nothing_left();
    let receipt = light.region.receipt();
    assert_eq!(receipt["ended"]["outcome"], "over-budget", "{receipt:#}");
    receipt
}

/// A worker is lost, and the one in its place is what the budget does not have: the job is stopped, its files are saved.
#[test]
fn a_run_that_has_used_up_its_budget_is_stopped_saved_and_costs_what_aws_bills() {
    let light = light();
    let job = light.job("dear", 1).set("limits.cost", BUDGET);
    let mut launch = light.working(&job);
    let run = light.region.record()["run"].as_str().unwrap().to_owned();
    let worker = light.region.up("worker")[0].id.clone();
    light
        .region
        .ec2
        .rig("POST", &format!("machines/{worker}/fail"), &json!({}));
    let ended = launch.wait(LIMIT);
    ended.exited(5).said("the budget of $0.89 is used up");
    let receipt = stopped(&light);
    assert_paid(&receipt, &light.region.bill(), HOURLY * 1e6);
    assert_eq!(receipt["release"]["machines_started"], 3, "{receipt:#}");
    let key = format!("runs/{run}/attempt-1/results/early.txt");
    assert_eq!(light.region.stored(&key).as_deref(), Some("attempt 1\n"));
}

/// A budget that the first minute of its machines uses up ends the run at once.
#[test]
fn a_run_that_its_first_machines_are_too_dear_for_ends_before_it_works() {
    let light = light();
    let job = light.job("poor", 1).set("limits.cost", "$0.05");
    let ended = light.launch(&job).wait(LIMIT);
    ended.exited(5).said("the budget of $0.05 is used up");
    stopped(&light);
    assert!(light.region.home.heard("workspoor-1").is_none());
}
