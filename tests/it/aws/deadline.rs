//! The end of a run is moved: in its record, in the tags of what there is, and in what starts later.

use std::time::Duration;

use mayfly_configs::Policy;
use mayfly_tests::ec2::Image;
use mayfly_tests::region::{Region, job};
use mayfly_tests::{Repo, wait};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::allowed::{self, Who};

const LIMIT: Duration = Duration::from_secs(120);

/// The end that the newest run's view says, in milliseconds.
fn end_of(region: &Region) -> i64 {
    let mut command = region.serve.command(&region.home, &["list", "--json"]);
    let said = region.home.start(&mut command).wait(LIMIT);
    let runs: Value = serde_json::from_str(&said.exited(0).stdout).unwrap();
    let end = runs["runs"][0]["deadline"].as_str().unwrap();
    end.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

#[test]
fn a_run_goes_on_longer_and_its_tags_say_so() {
    let region = Region::of(Image::of(&["sleep", "1000"]), &json!({}));
    let repo = Repo::of_jobs();
    allowed::from_now_on(&region.ec2);
    let job = job("idle", &repo.path().display().to_string(), "plain.py").workers(2);
    let mut launch = region.launch(&job, &[]);
    let running = |region: &Region| {
        let all = region.ec2.instances();
        all.iter().filter(|info| info.state == "running").count()
    };
    launch.until("three machines", LIMIT, || (running(&region) == 3).then_some(()));
    let before = end_of(&region);
    let extend = |args: &[&str]| {
        let mut command = region.serve.command(&region.home, &["extend", "last"]);
        region.home.start(command.args(args)).wait(LIMIT)
    };
    extend(&["--by", "1h"]).exited(0);
    let after = end_of(&region);
    assert!((after - before - 3_600_000).abs() < 5_000, "{before} to {after}");
    let end = jiff::Timestamp::from_millisecond(after).unwrap();
    let minute = end.strftime("%Y-%m-%dT%H:%M:").to_string();
    wait::until("the tags to say so", LIMIT, || {
        let tagged = |info: &mayfly_tests::ec2::Info| {
            let tags = info.tags.as_ref().unwrap();
            tags["mayfly:deadline"].as_str().unwrap().starts_with(&minute)
        };
        let machines = region.ec2.instances().iter().all(tagged);
        let groups = region.ec2.aws("autoscaling", "DescribeAutoScalingGroups", &[]);
        (machines && groups.matches(&format!("<Value>{minute}")).count() == 2).then_some(())
    });

    // Not earlier, not for ever, and not what is over.
    extend(&["--until", "2020-01-01T00:00:00Z"])
        .exited(2)
        .said("already");
    extend(&["--by", "30d"]).exited(2).said("7 days");
    extend(&[]).exited(2);
    launch.signal(Signal::SIGINT);
    launch.wait(LIMIT).exited(130);
    extend(&["--by", "1h"]).exited(2).said("closed");
    region.assert_nothing_left();
    allowed::assert_covered(&region.ec2, Who::Person, &[Policy::Launcher]);
}
