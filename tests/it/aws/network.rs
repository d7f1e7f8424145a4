//! A network of ours in Consul, and networks that somebody else made.

use std::time::Duration;

use mayfly_tests::ec2::Image;
use mayfly_tests::region::{Region, job};
use mayfly_tests::{Consul, Home, Repo};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(120);

fn network(home: &Home, args: &[&str]) -> Value {
    let said = home.verb(&[&["network"], args, &["--json"]].concat());
    serde_json::from_str(&said.exited(0).stdout).unwrap()
}

fn value(consul: &Consul, key: &str) -> String {
    consul.http("GET", &format!("/v1/kv/{key}?raw"), "")
}

#[test]
fn ids_are_written_under_the_keys_of_the_older_system_and_read_back() {
    let consul = Consul::dev();
    let region = Region::of(Image::of(&["sleep", "1000"]), &json!({}));
    let at = ["--consul", &consul.url()];
    let create = [
        "create",
        "--bucket",
        "mayfly-runs",
        "--prefix",
        "team",
        "--consul-path",
        "old/aws",
    ];
    let made = network(&region.home, &[&create[..], &at].concat())["network"].clone();
    let subnet = &made["subnets"][0];
    for (key, expected) in [
        ("vpc_id", &made["vpc"]),
        ("subnet_id", &subnet["id"]),
        ("default_security_group_id", &made["security_group"]),
        ("availability_zone", &subnet["zone"]),
    ] {
        let written = value(&consul, &format!("old/aws/generated/{key}"));
        assert_eq!(written, expected.as_str().unwrap(), "{key}");
    }
    let read = network(&region.home, &[&["show", "consul:old/aws"], &at[..]].concat());
    assert_eq!(read["complete"], true, "{read:#}");
    for key in [
        "vpc",
        "subnets",
        "security_group",
        "profile",
        "job_role",
        "public",
    ] {
        assert_eq!(read["network"][key], made[key], "{key}");
    }

    // What cannot be an id never reaches AWS.
    consul.http("PUT", "/v1/kv/old/aws/generated/vpc_id", "vpc-1; reboot");
    let refused = region
        .home
        .verb(&[&["network", "show", "consul:old/aws"], &at[..]].concat());
    refused
        .exited(2)
        .said("vpc_id is not an id such as vpc-0123456789abcdef0");
    // And what AWS does not know together is refused by what AWS says.
    consul.http("PUT", "/v1/kv/old/aws/generated/vpc_id", "vpc-0123456789abcdef0");
    let refused = region
        .home
        .verb(&[&["network", "show", "consul:old/aws"], &at[..]].concat());
    refused.exited(2).said("and not in vpc-0123456789abcdef0");
}

/// The keys that the older system wrote, of the network that is there.
fn older_keys(consul: &Consul, home: &Home) {
    let there = network(home, &["show"])["network"].clone();
    for (key, value) in [
        ("vpc_id", &there["vpc"]),
        ("subnet_id", &there["subnets"][0]["id"]),
        ("default_security_group_id", &there["security_group"]),
        ("availability_zone", &there["subnets"][0]["zone"]),
    ] {
        let path = format!("/v1/kv/spark/network/generated/{key}");
        consul.http("PUT", &path, value.as_str().unwrap());
    }
}

#[test]
fn a_run_is_launched_in_a_network_of_which_consul_has_the_ids_and_the_settings_the_rest() {
    let consul = Consul::dev();
    let region = |profile: bool| {
        let sleeps = Image::of(&["sleep", "1000"]);
        Region::with(sleeps, &json!({}), |settings, home| {
            older_keys(&consul, home);
            settings["aws"]["network"] = json!("consul:spark/network");
            settings["consul"] = json!({ "address": consul.url() });
            if profile {
                settings["aws"]["instance_profile"] = json!("mayfly-default-node");
            }
        })
    };
    let repo = Repo::of_jobs();
    let job = job("idle", &repo.path().display().to_string(), "plain.py").workers(1);
    let lacking = region(false);
    let mut refused = lacking.launch(&job, &[]);
    refused
        .wait(LIMIT)
        .exited(2)
        .said("no instance profile of nodes")
        .said("spark/network/generated/");
    assert!(lacking.bill().is_empty(), "a machine was paid for");
    drop(lacking);

    let whole = region(true);
    let mut launch = whole.launch(&job, &[]);
    let up = || {
        whole
            .ec2
            .instances()
            .iter()
            .filter(|info| info.state == "running")
            .count()
    };
    launch.until("two machines", LIMIT, || (up() == 2).then_some(()));
    // Such a network has no role of jobs: nothing is said of one, and the job gets no keys.
    let data = whole.ec2.instances()[0].user_data.clone().unwrap();
    assert!(!data.contains("job_role"), "{data}");
    launch.signal(Signal::SIGINT);
    launch.wait(LIMIT).exited(130);
    whole.assert_nothing_left();
}
