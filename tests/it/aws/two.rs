//! Two runs at once in one network.

use serde_json::{Value, json};

use super::light::{LIMIT, Light};

/// Names of groups, templates and scheduled actions that there are, and machines that run.
fn things(light: &Light) -> Vec<String> {
    let left = light.region.ec2.rig("GET", "leftovers", &Value::Null);
    let named =
        ["groups", "scheduled_actions", "templates"].map(|kind| left[kind].as_array().unwrap().clone());
    let names = named
        .into_iter()
        .flatten()
        .map(|name| name.as_str().unwrap().to_owned());
    let machines = light.region.ec2.instances().into_iter();
    let up = machines.filter(|info| info.state != "terminated");
    names.chain(up.filter_map(|info| info.group)).collect()
}

#[test]
fn each_of_two_runs_is_released_without_the_other() {
    let light = Light::start(&json!({}));
    let (left, right) = (light.job("left", 2), light.job("right", 1));
    let (mut first, mut second) = (light.launch(&left), light.launch(&right));
    light.works(&mut first, &left, 1);
    light.works(&mut second, &right, 1);
    let of = |name: &str| things(&light).iter().filter(|thing| thing.contains(name)).count();
    // Two groups with a template and a killer each, and the machines.
    assert_eq!((of("left-"), of("right-")), (9, 8), "{:?}", things(&light));
    light.go(&left);
    first.wait(LIMIT).exited(0).said("nothing is left");
    assert_eq!((of("left-"), of("right-")), (0, 8), "{:?}", things(&light));
    light.succeeds(second, &right);
    let bill = light.region.bill();
    let of_right = bill
        .iter()
        .filter(|row| row["run"].as_str().unwrap().starts_with("right-"));
    assert_eq!((bill.len(), of_right.count()), (5, 2));
}
