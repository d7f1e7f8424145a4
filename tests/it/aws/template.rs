//! What machines are made with, as AWS shows it.

use mayfly_tests::ec2::Image;
use mayfly_tests::region::{Region, job};
use mayfly_tests::{Repo, wait};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::light::LIMIT;

/// Names of everything of this kind that there is.
fn names(region: &Region, kind: &str) -> Vec<String> {
    let left = region.ec2.rig("GET", "leftovers", &Value::Null);
    let names = left[kind].as_array().unwrap().iter();
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// The latest version of the template, and the group, of the master or the workers.
fn shown(region: &Region, group: &str) -> (String, String) {
    let name = |kind: &str| {
        let named = names(region, kind).into_iter();
        named
            .into_iter()
            .find(|name| name.ends_with(group))
            .unwrap_or_else(|| panic!("no {kind} of the {group}"))
    };
    let (template, scaling) = (name("templates"), name("groups"));
    let template = region.ec2.aws(
        "ec2",
        "DescribeLaunchTemplateVersions",
        &[
            ("LaunchTemplateName", &template),
            ("LaunchTemplateVersion.1", "$Latest"),
        ],
    );
    let scaling = region.ec2.aws(
        "autoscaling",
        "DescribeAutoScalingGroups",
        &[("AutoScalingGroupNames.member.1", &scaling)],
    );
    (flat(&template), flat(&scaling))
}

/// Without the space between elements.
fn flat(xml: &str) -> String {
    xml.lines().map(str::trim).collect()
}

fn holds(xml: &str, all: &[&str]) {
    for one in all {
        assert!(xml.contains(one), "{one} is not in {xml}");
    }
}

#[test]
fn machines_are_guarded_and_are_those_that_the_job_asks_for() {
    let region = Region::of(Image::of(&["sleep", "1000"]), &json!({}));
    let repo = Repo::of_jobs();
    let job = job("idle", &repo.path().display().to_string(), "plain.py")
        .workers(2)
        .set("master.instance", "t4g.medium")
        .set("master.disk", "20GiB")
        .set("workers.instance", json!(["t4g.small", "t4g.large"]))
        .set("workers.spot", true)
        .set("workers.on_demand", 1)
        .set("workers.disk", "40GiB");
    let mut launch = region.launch(&job, &[]);
    launch.until("both groups", LIMIT, || {
        (names(&region, "groups").len() == 2).then_some(())
    });
    wait::until("the workers", LIMIT, || {
        (region.up("worker").len() == 2).then_some(())
    });
    let (master, masters) = shown(&region, "master");
    let (worker, workers) = shown(&region, "workers");
    for template in [&master, &worker] {
        holds(
            template,
            &[
                "<httpTokens>required</httpTokens>",
                "<httpPutResponseHopLimit>1</httpPutResponseHopLimit>",
                "<instanceMetadataTags>enabled</instanceMetadataTags>",
                "<instanceInitiatedShutdownBehavior>terminate</instanceInitiatedShutdownBehavior>",
                "<volumeType>gp3</volumeType>",
                "<encrypted>true</encrypted>",
                "<deleteOnTermination>true</deleteOnTermination>",
                "<resourceType>instance</resourceType>",
                "<resourceType>volume</resourceType>",
                "<key>mayfly:run</key>",
                "<key>mayfly:deadline</key>",
                "<key>mayfly:owner</key>",
                "<key>managed-by</key>",
            ],
        );
    }
    holds(&master, &["<volumeSize>20</volumeSize>"]);
    holds(&worker, &["<volumeSize>40</volumeSize>"]);
    for group in [&masters, &workers] {
        holds(group, &["<ProcessName>AZRebalance</ProcessName>"]);
    }
    holds(
        &masters,
        &[
            "<InstanceType>t4g.medium</InstanceType>",
            "<OnDemandPercentageAboveBaseCapacity>100</OnDemandPercentageAboveBaseCapacity>",
        ],
    );
    holds(
        &workers,
        &[
            "<InstanceType>t4g.small</InstanceType>",
            "<InstanceType>t4g.large</InstanceType>",
            "<OnDemandBaseCapacity>1</OnDemandBaseCapacity>",
            "<OnDemandPercentageAboveBaseCapacity>0</OnDemandPercentageAboveBaseCapacity>",
            "<SpotAllocationStrategy>price-capacity-optimized</SpotAllocationStrategy>",
        ],
    );
    let zones = workers
        .split("<VPCZoneIdentifier>")
        .nth(1)
        .and_then(|rest| rest.split('<').next());
    assert!(
        zones.is_some_and(|zones| !zones.is_empty() && !zones.contains(',')),
        "{zones:?}"
    );
    launch.signal(Signal::SIGINT);
    launch.wait(LIMIT).exited(130).said("nothing is left");
    region.assert_nothing_left();
}
