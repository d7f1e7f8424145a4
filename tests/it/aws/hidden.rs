//! A private network: its machines have no addresses of their own, and go out through a gateway.

use mayfly_configs::Policy;
use mayfly_tests::ec2::Image;
use mayfly_tests::region::{Region, job};
use mayfly_tests::{Account, Repo};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::allowed::{self, Who};
use super::light::LIMIT;
use super::made::{dies_after, of_each, parts};

const NAME: &str = "hidden";
const CREATE: [&str; 11] = [
    "network",
    "create",
    NAME,
    "--bucket",
    "mayfly-runs",
    "--prefix",
    "team",
    "--cidr",
    "10.43.0.0/16",
    "--private",
    "--json",
];

const DESTROY: [&str; 4] = ["network", "destroy", NAME, "--yes"];

/// Calls that make the way out, and what comes once it is there; and calls that take it away.
const MAKING: [&str; 3] = ["AllocateAddress", "CreateNatGateway", "CreateVpcEndpoint"];
const TAKING: [&str; 2] = ["DeleteNatGateway", "ReleaseAddress"];

/// Where NAT gateways are made and go in their time.
fn account() -> Account {
    Account::of(Image::none(), &json!({ "nat_secs": 2.5 }))
}

/// NAT gateways that there are, as AWS shows them.
fn gateways(account: &Account) -> usize {
    let said = account.ec2.aws("ec2", "DescribeNatGateways", &[]);
    said.matches("<state>available</state>").count()
}

#[test]
fn a_private_network_has_one_way_out_says_what_it_costs_and_is_taken_away_whole() {
    let account = account();
    for action in MAKING {
        dies_after(&account, action, &CREATE).said("some $36.50 a month");
    }
    assert_eq!(gateways(&account), 1, "it is waited for");
    let made = account.home.verb(&CREATE).exited(0).json();
    assert_eq!(made["complete"], true, "{made:#}");
    let network = &made["network"];
    assert_eq!(
        (&network["public"], &network["private"]),
        (&false.into(), &true.into())
    );
    let subnets = network["subnets"].as_array().unwrap();
    // Machines go into those of the zones, and not into the gateway's own.
    assert!(
        subnets
            .iter()
            .all(|subnet| subnet["id"] != network["way_out"]["subnet"]),
        "machines beside their gateway: {network:#}"
    );
    let whole = of_each([1, subnets.len() + 1, 1, 2, 1, 1, 1]);
    assert_eq!(parts(&account.ec2, NAME), whole);
    assert_eq!(gateways(&account), 1, "NAT gateways that are there");
    leads_out_by_its_gateway(&account, network);
    allowed::from_now_on(&account.ec2);
    assert_eq!(account.home.verb(&CREATE).exited(0).json(), made, "another one");

    // It does not become public under machines that are in it.
    let public: Vec<&str> = CREATE.into_iter().filter(|&flag| flag != "--private").collect();
    account.home.verb(&public).exited(2).said("say --private");

    for action in TAKING {
        dies_after(&account, action, &DESTROY);
    }
    for _ in 0..2 {
        account.home.verb(&DESTROY).exited(0);
    }
    allowed::assert_covered(&account.ec2, Who::Person, &[Policy::Network]);
    assert_eq!(parts(&account.ec2, NAME), of_each([0; 7]));
    assert_eq!(gateways(&account), 0, "NAT gateways that are there");
}

/// The way out of the machines' subnets is the NAT gateway, and that of its own the internet.
fn leads_out_by_its_gateway(account: &Account, network: &Value) {
    let routes = |table: &Value| {
        let params = [("RouteTableId.1", table.as_str().unwrap())];
        account.ec2.aws("ec2", "DescribeRouteTables", &params)
    };
    let (nat, internet) = (
        network["way_out"]["gateway"].as_str().unwrap(),
        network["gateway"].as_str().unwrap(),
    );
    let of_machines = routes(&network["routes"]);
    assert!(
        of_machines.contains(nat) && !of_machines.contains(internet),
        "machines do not go out by {nat}: {of_machines}"
    );
    let of_gateway = routes(&network["way_out"]["routes"]);
    assert!(
        of_gateway.contains(internet),
        "the gateway does not go out by {internet}: {of_gateway}"
    );
}

#[test]
fn machines_of_a_private_network_have_no_public_address() {
    let sleeps = Image::of(&["sleep", "1000"]);
    let region = Region::with(sleeps, &json!({}), |settings, home| {
        home.verb(&CREATE).exited(0);
        settings["aws"]["network"] = json!(NAME);
    });
    let repo = Repo::of_jobs();
    let job = job("idle", &repo.path().display().to_string(), "plain.py").workers(1);
    let mut launch = region.launch(&job, &[]);
    launch.until("two machines", LIMIT, || {
        (region.up("master").len() + region.up("worker").len() == 2).then_some(())
    });
    let said = region.ec2.aws("ec2", "DescribeInstances", &[]);
    assert!(
        !said.contains("<publicIp>") && !said.contains("<ipAddress>"),
        "a machine has a public address: {said}"
    );
    launch.signal(Signal::SIGINT);
    launch.wait(LIMIT).exited(130);
    region.assert_nothing_left();
    region
        .home
        .verb(&DESTROY)
        .exited(0)
        .said("taking away NAT gateway");
}
