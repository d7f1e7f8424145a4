//! From a launch to its receipt, with real Spark: every example on a fleet gives what it gives on one machine.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use mayfly_tests::region::{Region, limit};
use mayfly_tests::{Launch, Repo, quick, slots};
use serde_json::{Value, json};

use crate::examples::{check, put_flights};

const KIND: &str = "t4g.small";
/// Machines of a run: a master and three workers.
const MACHINES: usize = 4;
/// An hour of one in millionths of a dollar, and the least time that one is paid for.
const HOURLY_MICROS: f64 = 16_800.0;
const PAID_SECS: f64 = 60.0;

struct Examples {
    region: Region,
    repo: Repo,
}

impl Examples {
    fn start() -> Self {
        let region = Region::start(&json!({ "pending_secs": 1, "shutting_down_secs": 1 }));
        let prices = json!({ "on_demand": { KIND: HOURLY_MICROS / 1e6 } });
        region.ec2.rig("POST", "prices", &prices);
        Self {
            region,
            repo: Repo::of_examples(),
        }
    }

    fn launch(&self, job: &str) -> Launch {
        let mut command = self
            .region
            .serve
            .command(&self.region.home, &["launch", job, "--on", "aws"]);
        command.current_dir(self.repo.path());
        let workers = format!("workers.count={}", MACHINES - 1);
        let kinds = ["master", "workers"].map(|group| format!("{group}.instance={KIND}"));
        for set in kinds.into_iter().chain([workers]) {
            command.args(["--set", &set]);
        }
        command.args(quick());
        self.region.home.start(&mut command)
    }

    /// It has succeeded, its results are those that are computed again without Spark, and its receipt is the bill.
    fn check(&self, job: &str, run: &str, data: Option<&Path>) {
        let home = &self.region.home;
        let out = home.scratch(&format!("out-{job}"));
        home.verb(&["results", run, "--to", out.to_str().unwrap()])
            .exited(0);
        check(&self.repo, job, &out, data);
        let receipt = home.verb(&["receipt", run, "--json"]).json();
        assert_eq!(receipt["ended"]["outcome"], "succeeded");
        for key in ["machines_started", "machines_gone"] {
            assert_eq!(receipt["release"][key], MACHINES, "{receipt:#}");
        }
        assert_eq!(receipt["nodes"].as_array().unwrap().len(), MACHINES);
        assert_paid(&receipt, &self.region.bill(), HOURLY_MICROS);
    }
}

/// The run of a job, by its record.
fn run_of(region: &Region, job: &str) -> String {
    let listed = region.home.verb(&["list", "--json"]).json();
    let runs = listed["runs"].as_array().expect("a list of runs");
    let names = runs.iter().map(|run| run["run"].as_str().unwrap());
    names.map(str::to_owned).find(|run| run.starts_with(job)).unwrap()
}

/// What each machine costs follows from the bill: a minute at least, from the second it was asked for (AWS tells when that
/// was in whole seconds, and counts from when it ran) to the second that AWS names for its end; where AWS names none, to when
/// it was seen to have ended.
pub(super) fn assert_paid(receipt: &Value, bill: &[Value], hourly_micros: f64) {
    let bill: BTreeMap<&str, &Value> = bill
        .iter()
        .map(|row| (row["id"].as_str().unwrap(), row))
        .collect();
    let at = |row: &Value, key: &str| row[key].as_str().unwrap().parse::<Timestamp>().unwrap();
    let secs = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64();
    let micros = |secs: f64| hourly_micros / 3_600.0 * secs.max(PAID_SECS);
    let mut sum = 0.0;
    let nodes = receipt["nodes"].as_array().unwrap();
    for node in nodes {
        let (_, id) = node["node"].as_str().unwrap().split_once('-').unwrap();
        let row = bill[id];
        let seen = node["secs"].as_f64().unwrap();
        let told = secs(at(row, "requested"), at(row, "to"));
        let most = if row["cause"] == "User initiated shutdown" {
            told
        } else {
            seen
        };
        let cost = node["cost_micros"].as_f64().unwrap();
        let least = secs(at(row, "from"), at(row, "to"));
        // Seconds are whole on either side.
        let (least, most) = (micros(least - 2.0), micros(most + 2.0));
        assert!(
            (least..=most).contains(&cost.round()),
            "{cost} is not {least} to {most}: {node} {row}"
        );
        sum += cost;
    }
    assert!(
        (receipt["cost_micros"].as_f64().unwrap() - sum).abs() < 1.0,
        "{receipt:#}"
    );
}

#[test]
fn every_example_runs_on_a_fleet_two_of_them_at_once_and_nothing_is_left() {
    let _slot = slots::take();
    let examples = Examples::start();
    let region = &examples.region;
    let mut both = ["log-reg-iris", "word-count"].map(|job| examples.launch(job));
    let data = put_flights(&examples.region.home, &examples.repo);
    for launch in &mut both {
        launch.wait(limit()).exited(0).said("nothing is left");
    }
    examples
        .launch("flights")
        .wait(limit())
        .exited(0)
        .said("nothing is left");
    region.assert_nothing_left();
    // On a slow machine one may be lost and replaced.
    assert!(region.bill().len() >= 3 * MACHINES);
    for (job, data) in [
        ("log-reg-iris", None),
        ("word-count", None),
        ("flights", Some(&*data)),
    ] {
        examples.check(job, &run_of(region, job), data);
    }
}
