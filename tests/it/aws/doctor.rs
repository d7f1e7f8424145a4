//! Whether a launch on AWS would work: what `doctor` finds, here and through the coordinator, and what a launch says it costs.

use std::time::Duration;

use mayfly_configs::Policy;
use mayfly_tests::ec2::Image;
use mayfly_tests::region::{Region, job};
use mayfly_tests::{Home, Job, Repo};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::allowed::{self, Who};

const LIMIT: Duration = Duration::from_secs(120);

fn region() -> (Region, Repo, Job) {
    let region = Region::of(Image::of(&["sleep", "1000"]), &json!({}));
    let repo = Repo::of_jobs();
    let job = job("idle", &repo.path().display().to_string(), "plain.py").workers(2);
    (region, repo, job)
}

/// Checks by name: verdict, and what was found.
fn checks(said: &str) -> Vec<(String, String, String)> {
    let value: Value = serde_json::from_str(said).unwrap();
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    let all = value["checks"].as_array().unwrap().iter();
    all.map(|check| (text(check, "name"), text(check, "verdict"), text(check, "found")))
        .collect()
}

fn verdict<'a>(checks: &'a [(String, String, String)], name: &str) -> &'a str {
    let found = checks.iter().find(|(known, _, _)| known == name);
    &found.unwrap_or_else(|| panic!("no check {name} in {checks:?}")).1
}

fn doctor(home: &Home, job: &Job, code: i32, more: &[&str]) -> Vec<(String, String, String)> {
    let mut command = home.command(&["doctor", "--json", "--on", "aws"]);
    command.arg(job.write(home)).args(more);
    let said = home.start(&mut command).wait(LIMIT);
    checks(&said.exited(code).stdout)
}

#[test]
fn an_account_that_is_ready_has_no_problem_and_each_that_is_made_is_named() {
    let (region, _repo, job) = region();
    let ami = region.ec2.register_image("other", "arm64");
    allowed::from_now_on(&region.ec2);
    let flags = ["--image", ami.as_str()];
    let found = doctor(&region.home, &job, 0, &flags);
    for name in [
        "git",
        "code",
        "store",
        "clock",
        "credentials",
        "region",
        "network",
        "instance types",
        "image",
        "zones",
        "addresses",
        "vCPU quota",
        "price",
    ] {
        assert_eq!(verdict(&found, name), "ok", "{name}: {found:#?}");
    }
    // moto does not simulate policies, and some people may not ask.
    assert_eq!(verdict(&found, "nodes' access to the store"), "not-checked");

    region.ec2.rig("POST", "quotas", &json!({ "L-1216C47A": 4 }));
    let huge = job.clone().set("workers.count", 10_000);
    let found = doctor(&region.home, &huge, 2, &flags);
    assert_eq!(verdict(&found, "vCPU quota"), "problem");
    assert_eq!(
        verdict(&found, "addresses"),
        "warning",
        "no zone alone has so many"
    );
    let found = doctor(
        &region.home,
        &job.clone().set("workers.instance", "t9z.huge"),
        2,
        &flags,
    );
    assert_eq!(verdict(&found, "instance types"), "problem");
    assert_eq!(verdict(&found, "image"), "not-checked");
    let found = doctor(&region.home, &job, 2, &["--image", "ami-0123456789abcdef0"]);
    assert_eq!(verdict(&found, "image"), "problem");
    let found = doctor(&region.home, &job, 2, &["--network", "nowhere"]);
    assert_eq!(verdict(&found, "network"), "problem");
    assert_eq!(verdict(&found, "zones"), "problem");
    allowed::assert_covered(&region.ec2, Who::Person, &[Policy::Launcher]);
}

#[test]
fn the_coordinator_says_what_it_finds_and_what_a_launch_costs() {
    let (region, _repo, job) = region();
    let mut command = region
        .serve
        .command(&region.home, &["doctor", "--json", "--on", "aws"]);
    command.arg(job.write(&region.home));
    let said = region.home.start(&mut command).wait(LIMIT);
    let found = checks(&said.exited(0).stdout);
    for name in [
        "coordinator",
        "coordinator's clock",
        "store",
        "credentials",
        "network",
        "price",
    ] {
        assert_eq!(verdict(&found, name), "ok", "{name}: {found:#?}");
    }

    region
        .ec2
        .rig("POST", "prices", &json!({ "on_demand": { "t4g.small": 0.02 } }));
    let mut launch = region.launch(&job, &[]);
    launch.until("a machine", LIMIT, || {
        (!region.ec2.instances().is_empty()).then_some(())
    });
    launch.signal(Signal::SIGINT);
    let ended = launch.wait(LIMIT);
    ended.exited(130);
    ended
        .said("$0.0600 an hour in us-east-1")
        .said("1 master (t4g.small) at $0.0200 + 2 workers (t4g.small) at $0.0200");
    ended.said("at most  $").said("nothing is left");
    region.assert_nothing_left();
}
