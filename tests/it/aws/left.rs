//! Who leaves a run on AWS is told what it costs, and its metrics and its receipt say the same.

use std::net::SocketAddr;

use mayfly_tests::{http, wait};
use serde_json::{Value, json};

use super::light::{LIMIT, Light};
use crate::interrupts::pressed;

/// As the job has it, in US dollars.
const BUDGET: &str = "$2.50";

#[test]
fn the_price_that_who_leaves_is_told_is_that_of_the_metrics_and_of_the_receipt() {
    let light = Light::start(&json!({}));
    let region = &light.region;
    let job = light.job("priced", 1).set("limits.cost", BUDGET);
    let mut command = region.serve.command(&region.home, &["launch", "--on", "aws"]);
    command.arg(job.write(&region.home));
    let mut launch = region.home.start_at_terminal(&command);
    pressed(&mut launch, "y\n", "launch it?", 1);
    light.works(&mut launch, &job, 1);
    let run = region.record()["run"].as_str().unwrap().to_owned();
    let hourly = metric(&light, &price_of(&run)).expect("a price");
    pressed(&mut launch, "\u{3}", "d + Enter: leave", 1);
    launch.press("d\n");
    let left = launch.wait(LIMIT);
    left.exited(0);
    assert!(hourly > 0.0, "{hourly}");
    let price = format!("UTC at the latest, at ${hourly:.4} an hour by now, {BUDGET} at most; ");
    assert!(
        left.stdout.contains(&price),
        "{price:?} is not in {}",
        left.stdout
    );
    light.go(&job);
    let closed = format!("mayfly_run_phase{{run=\"{run}\",phase=\"closed\"}}");
    wait::until("the end of the run", LIMIT, || metric(&light, &closed));
    region.assert_nothing_left();
    assert_cost(&light, &run, &region.receipt());
}

/// The value of a series of the coordinator, as Prometheus would read it now.
fn metric(light: &Light, series: &str) -> Option<f64> {
    let admin: SocketAddr = light.region.serve.admin.parse().unwrap();
    let page = http::get(admin, "/metrics").body;
    let mut lines = page.lines();
    let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(value.parse().unwrap())
}

fn price_of(run: &str) -> String {
    format!("mayfly_run_price_dollars_per_hour{{run=\"{run}\"}}")
}

fn assert_cost(light: &Light, run: &str, receipt: &Value) {
    let of_receipt = receipt["cost_micros"].as_f64().unwrap() / 1e6;
    assert!(of_receipt > 0.0, "{receipt:#}");
    let cost = format!("mayfly_run_cost_dollars_total{{run=\"{run}\"}}");
    assert_eq!(metric(light, &cost), Some(of_receipt), "{receipt:#}");
    assert_eq!(
        metric(light, &price_of(run)),
        Some(0.0),
        "nothing is left to be paid for"
    );
}
