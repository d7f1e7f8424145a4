//! What a run may cost: it is stopped while there is still enough to save what there is, and its receipt says what AWS bills.

use serde_json::{Value, json};

use super::examples::assert_paid;
use super::light::{LIMIT, Light};

/// Of `t4g.small`, in dollars: a machine costs ten cents at least, for its first minute.
const HOURLY: f64 = 6.0;
/// Of one machine, in dollars.
const FIRST_MINUTE: f64 = HOURLY / 60.0;
/// Two machines cost 20 cents at once, and 60 are kept to save what they have. A third one is too much.
const BUDGET: f64 = 0.89;
const KEPT: f64 = 0.60;

/// `settings` are those of the rig.
fn light(settings: &Value) -> Light {
    let light = Light::start(settings);
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

/// What had been spent when a run was stopped, as it says.
fn spent(said: &str) -> f64 {
    let (_, rest) = said.split_once("is used up: $").expect(said);
    rest.split(' ').next().unwrap().parse().expect(said)
}

/// A worker is lost, and the one in its place is what the budget does not have: the job is stopped, its files are saved.
#[test]
fn a_run_that_has_used_up_its_budget_is_stopped_saved_and_costs_what_aws_bills() {
    let light = light(&json!({}));
    let job = light.job("dear", 1).set("limits.cost", format!("${BUDGET}"));
    let mut launch = light.working(&job);
    let run = light.region.record()["run"].as_str().unwrap().to_owned();
    let worker = light.region.up("worker")[0].id.clone();
    light
        .region
        .ec2
        .rig("POST", &format!("machines/{worker}/fail"), &json!({}));
    let ended = launch.wait(LIMIT);
    ended.exited(5).said("the budget of $0.89 is used up");
    let spent = spent(&ended.stderr);
    // It is said with four digits.
    let least = 3.0 * FIRST_MINUTE - 1e-4;
    assert!(
        (least..KEPT).contains(&spent),
        "${spent} of three machines, of which one is lost, is not when it was to be stopped"
    );
    let receipt = stopped(&light);
    assert_paid(&receipt, &light.region.bill(), HOURLY * 1e6);
    assert_eq!(receipt["release"]["machines_started"], 3, "{receipt:#}");
    let cost = receipt["cost_micros"].as_f64().unwrap() / 1e6;
    assert!(cost < BUDGET, "it has cost ${cost}: {receipt:#}");
    let key = format!("runs/{run}/attempt-1/results/early.txt");
    let saved = light.region.stored(&key);
    assert_eq!(saved.as_deref(), Some("attempt 1\n"), "its file is saved");
}

/// A budget that the first minute of its machines uses up ends the run at once.
#[test]
fn a_run_that_its_first_machines_are_too_dear_for_ends_before_it_works() {
    // They are paid for long before they can be of use.
    let light = light(&json!({ "pending_secs": 3 }));
    let job = light.job("poor", 1).set("limits.cost", "$0.05");
    let ended = light.launch(&job).wait(LIMIT);
    ended.exited(5).said("the budget of $0.05 is used up");
    let receipt = stopped(&light);
    let phases = receipt["phases"].as_array().unwrap();
    assert!(
        phases.iter().all(|phase| phase["phase"] != "working"),
        "it has worked: {receipt:#}"
    );
}
