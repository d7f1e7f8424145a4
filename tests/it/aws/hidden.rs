//! A private network: its machines have no addresses of their own, and go out through a gateway.

use mayfly_configs::Policy;
use mayfly_tests::ec2::Image;
use mayfly_tests::region::{Region, job};
use mayfly_tests::{Account, Repo};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::allowed::{self, Who};
use super::light::LIMIT;
use super::made::parts;

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

/// Calls that make the way out, and calls that take it away.
const MAKING: [&str; 2] = ["AllocateAddress", "CreateNatGateway"];
const TAKING: [&str; 2] = ["DeleteNatGateway", "ReleaseAddress"];

fn account() -> Account {
    Account::of(Image::none(), &json!({}))
}

/// NAT gateways that there are, as AWS shows them.
fn gateways(account: &Account) -> usize {
    let said = account.ec2.aws("ec2", "DescribeNatGateways", &[]);
    said.matches("<state>available</state>").count()
}

fn dies_after(account: &Account, action: &str) {
    let fault = json!({ "action": action, "times": 1, "applied": true, "status": 400, "code": "UnauthorizedOperation" });
    account.ec2.rig("POST", "faults", &fault);
}

#[test]
fn a_private_network_has_one_way_out_says_what_it_costs_and_is_taken_away_whole() {
    let account = account();
    for action in MAKING {
        dies_after(&account, action);
        let died = account.home.verb(&CREATE);
        died.said("some $36.50 a month").said("UnauthorizedOperation");
    }
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
        "{network:#}"
    );
    let counts: Vec<usize> = parts(&account.ec2, NAME).into_iter().map(|(_, n)| n).collect();
    assert_eq!(counts, [1, subnets.len() + 1, 1, 2, 1, 1, 1]);
    assert_eq!(gateways(&account), 1);
    leads_out_by_its_gateway(&account, network);
    allowed::from_now_on(&account.ec2);
    assert_eq!(account.home.verb(&CREATE).exited(0).json(), made);

    // It does not become public under machines that are in it.
    let public: Vec<&str> = CREATE.into_iter().filter(|&flag| flag != "--private").collect();
    account.home.verb(&public).exited(2).said("say --private");

    for action in TAKING {
        dies_after(&account, action);
        let died = account.home.verb(&["network", "destroy", NAME, "--yes"]);
        died.said("injected by the rig");
    }
    for _ in 0..2 {
        account
            .home
            .verb(&["network", "destroy", NAME, "--yes"])
            .exited(0);
    }
    allowed::assert_covered(&account.ec2, Who::Person, &[Policy::Network]);
    let left: usize = parts(&account.ec2, NAME).iter().map(|(_, n)| n).sum();
    assert_eq!((left, gateways(&account)), (0, 0));
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
        "{of_machines}"
    );
    let of_gateway = routes(&network["way_out"]["routes"]);
    assert!(of_gateway.contains(internet), "{of_gateway}");
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
        "{said}"
    );
    launch.signal(Signal::SIGINT);
    launch.wait(LIMIT).exited(130);
    region.assert_nothing_left();
    region
        .home
        .verb(&["network", "destroy", NAME, "--yes"])
        .exited(0)
        .said("taking away NAT gateway");
}
