//! No server: the coordinator of each run lives on its own master.

use std::time::Duration;

use mayfly_configs::Policy;
use mayfly_tests::ec2::Image;
use mayfly_tests::region::{job, limit};
use mayfly_tests::{Account, Home, Job, Launch, Repo, clock, slots, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::allowed::{self, Who};

const LIMIT: Duration = Duration::from_secs(120);
/// Longer than a command follows a run of which nothing is heard.
const SILENCE_SECS: u64 = 600;
/// Longer than what follows from a loss takes on any machine; the test ends it by the rig's clock.
const LATER: u64 = 300;

/// Where machines boot and end in a second.
fn account(image: Image) -> Account {
    Account::of(image, &json!({ "pending_secs": 1, "shutting_down_secs": 1 }))
}

/// A job that holds until the test says `go`.
fn holding(account: &Account, repo: &Repo) -> Job {
    job("holds", &repo.path().display().to_string(), "holds.py")
        .workers(1)
        .set("env", json!({ "GATE": account.home.gate() }))
}

/// Machines of the run that are up.
fn up(account: &Account) -> usize {
    let all = account.ec2.instances();
    all.iter().filter(|info| info.state == "running").count()
}

fn begun(account: &Account, launch: &mut Launch) {
    launch.until("the job to run", limit(), || account.home.heard("holds"));
}

/// The instance that the job runs on.
fn master(account: &Account) -> String {
    let list = json_of(&account.elsewhere(), &["status", "last", "--json"]);
    assert_eq!(
        list["view"]["run"], list["run"],
        "nobody says how it is: {list:#}"
    );
    let nodes = list["nodes"].as_array().expect("nodes").clone();
    let master = nodes.iter().find(|node| node["role"] == "master");
    let name = master.and_then(|node| node["node"].as_str()).expect("a master");
    name.trim_start_matches("master-").to_owned()
}

/// All machines have ended, and no group, template or scheduled action is left.
fn wait_for_nothing(account: &Account) {
    wait::until("the run to end by itself", limit(), || {
        let all = account.ec2.instances();
        let ended = all.iter().all(|info| info.state == "terminated");
        (ended && account.is_clear()).then_some(())
    });
}

fn json_of(home: &Home, args: &[&str]) -> Value {
    let said = home.verb(args);
    serde_json::from_str(&said.exited(0).stdout).expect("it is JSON")
}

#[test]
fn a_run_needs_no_server() {
    let _slot = slots::take();
    let (account, repo) = (account(Image::agent()), Repo::of_jobs());
    account.home.tell("go");
    allowed::from_now_on(&account.ec2);
    let job = holding(&account, &repo).workers(2);
    let ended = account.launch(&job, &[]).wait(limit());
    ended.exited(0).said("nothing is left");
    allowed::assert_covered(&account.ec2, Who::Person, &[Policy::Launcher]);
    allowed::assert_covered(&account.ec2, Who::Machine, &[Policy::Node]);
    let receipt = json_of(&account.elsewhere(), &["receipt", "last", "--json"]);
    assert_eq!(receipt["release"]["machines_started"], 3, "{receipt:#}");
    assert_eq!(receipt["release"]["machines_gone"], 3, "{receipt:#}");
    let measured = |node: &Value| node["cpu_core_secs"].is_number();
    let nodes = receipt["nodes"].as_array().expect("nodes");
    assert!(
        nodes.iter().all(measured),
        "what nodes used is not lost: {receipt:#}"
    );
    assert!(account.is_clear(), "left over: {:#}", account.leftovers());
}

#[test]
fn the_command_dies_when_machines_are_ordered_and_the_run_ends_by_itself() {
    let _slot = slots::take();
    let (account, repo) = (account(Image::agent()), Repo::of_jobs());
    account.home.tell("go");
    let mut launch = account.launch(&holding(&account, &repo), &[]);
    launch.until("machines", LIMIT, || (up(&account) > 0).then_some(()));
    launch.kill();
    wait_for_nothing(&account);
    let elsewhere = account.elsewhere();
    let shown = json_of(&elsewhere, &["status", "last", "--json"]);
    assert_eq!(shown["ended"]["outcome"], "succeeded", "{shown:#}");
    let out = elsewhere.scratch("out");
    elsewhere
        .verb(&["results", "last", "--to", out.to_str().unwrap()])
        .exited(0);
    // Whoever looks with credentials sees that nothing is left.
    elsewhere
        .verb(&["attach", "last"])
        .exited(0)
        .said("nothing is left");
    let receipt = json_of(&elsewhere, &["receipt", "last", "--json"]);
    assert_eq!(receipt["release"]["machines_gone"], 2, "{receipt:#}");
}

#[test]
fn a_lost_master_is_replaced_and_its_coordinator_with_it() {
    let _slot = slots::take();
    let (account, repo) = (account(Image::light()), Repo::of_jobs());
    let mut launch = account.launch(&holding(&account, &repo), &[]);
    begun(&account, &mut launch);
    let master = master(&account);
    launch.kill();
    account.ec2.interrupt(&master, Duration::ZERO, false);
    account.home.tell("go");
    wait_for_nothing(&account);
    let elsewhere = account.elsewhere();
    let shown = json_of(&elsewhere, &["status", "last", "--json"]);
    assert_eq!(shown["ended"]["outcome"], "succeeded", "{shown:#}");
    assert_eq!(shown["attempt"], 2, "{shown:#}");
}

/// Whoever follows has seen the last that there is to see.
fn looks_twice(account: &Account, launch: &mut Launch) {
    account.ec2.rig("DELETE", "calls", &Value::Null);
    launch.until("two looks", LIMIT, || {
        let calls = account.ec2.rig("GET", "calls", &Value::Null);
        let counts = calls["counts"].as_object()?.iter();
        let looks = counts.filter(|(call, _)| call.ends_with("/view.pb"));
        let looks: u64 = looks.filter_map(|(_, count)| count.as_u64()).sum();
        (looks >= 2).then_some(())
    });
}

/// A spot master is lost and none comes in its place. Whoever follows waits until AWS has ended what nobody keeps, takes the
/// run over, and orders one on demand: whoever launches may do that, a node may not.
#[test]
#[ignore = "more than a minute; `make test-long`"]
fn the_master_that_a_command_orders_after_a_lost_spot_master_is_on_demand() {
    let (repo, jumped) = (Repo::of_jobs(), TempDir::new().unwrap());
    let settings = json!({ "pending_secs": 1, "shutting_down_secs": 1, "health_check_secs": LATER });
    let account = Account::of(Image::light(), &settings);
    let job = job("paid", &repo.path().display().to_string(), "light.py")
        .set("env", json!({ "GATE": account.home.gate() }))
        .set("master.spot", true)
        .set("limits.retries", 1)
        .workers(1)
        .args(&["paid"]);
    let jumped = jumped.path().join("jumped");
    let mut launch = account.launch_in(&job, &[], &clock::jumps(&jumped, SILENCE_SECS));
    launch.until("the job to work", limit(), || account.home.heard("workspaid-1"));
    let lost = master(&account);
    account.ec2.interrupt(&lost, Duration::ZERO, false);
    account.ec2.wait_state(&lost, "terminated", LIMIT);
    looks_twice(&account, &mut launch);
    std::fs::write(&jumped, "").unwrap();
    launch.until("its group to start what is paid for", LIMIT, || {
        let said = account.ec2.aws("autoscaling", "DescribeAutoScalingGroups", &[]);
        let paid = "<OnDemandPercentageAboveBaseCapacity>100<";
        (said.matches(paid).count() == 2).then_some(())
    });
    let later = json!({ "advance_secs": LATER + 1 });
    account.ec2.rig("POST", "clock", &later);
    launch.until("the next attempt to work", limit(), || {
        account.home.heard("workspaid-2")
    });
    let next = account
        .ec2
        .instances()
        .into_iter()
        .find(|info| info.state == "running" && info.role() == Some("master"));
    assert_eq!(next.expect("a master").lifecycle, "on-demand");
    account.home.tell("gopaid");
    launch.wait(limit()).exited(0).said("nothing is left");
    assert!(account.is_clear(), "left over: {:#}", account.leftovers());
}

#[test]
fn a_run_is_cancelled_from_another_machine() {
    let _slot = slots::take();
    let (account, repo) = (account(Image::light()), Repo::of_jobs());
    let mut launch = account.launch(&holding(&account, &repo), &[]);
    begun(&account, &mut launch);
    // To the end: what is left of runs in a home ends with it.
    let elsewhere = account.elsewhere();
    elsewhere.verb(&["cancel", "last"]).exited(0);
    launch.wait(limit()).exited(130).said("nothing is left");
    assert!(account.is_clear(), "left over: {:#}", account.leftovers());
}
