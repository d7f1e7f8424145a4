//! The server of a team on a machine of its own, which AWS replaces.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use mayfly_configs::Policy;
use mayfly_tests::ec2::Image;
use mayfly_tests::http::Request;
use mayfly_tests::region::{job, limit};
use mayfly_tests::{Account, Home, Job, Launch, Repo, slots, wait};
use serde_json::{Value, json};

use super::allowed::{self, Who};

const LIMIT: Duration = Duration::from_secs(120);
const NAME: &str = "mayfly-default-control";
const CREATE: [&str; 7] = [
    "control",
    "create",
    "--yes",
    "--json",
    "--from",
    "127.0.0.0/8",
    "--instance=t4g.small",
];

/// An account with a server, and somebody who knows nothing but where it is, whom to trust there and the token.
struct Team {
    account: Account,
    person: Home,
    repo: Repo,
}

fn account() -> Account {
    account_of(Image::light())
}

fn account_of(image: Image) -> Account {
    Account::of(
        image,
        &json!({ "pending_secs": 1, "shutting_down_secs": 1, "health_check_secs": 1 }),
    )
}

impl Team {
    fn start() -> Self {
        Self::of(account())
    }

    fn of(account: Account) -> Self {
        allowed::from_now_on(&account.ec2);
        account.home.verb(&CREATE).exited(0);
        let team = Self {
            account,
            person: Home::new(),
            repo: Repo::of_jobs(),
        };
        team.write_client();
        team
    }

    fn client(&self) -> PathBuf {
        self.person.scratch("mayfly/client.yml")
    }

    fn write_client(&self) {
        let file = self.client().display().to_string();
        self.account
            .home
            .verb(&["control", "show", "--client", &file])
            .exited(0);
    }

    /// A job that works until [`Team::go`].
    fn job(&self, name: &str) -> Job {
        job(name, &self.repo.path().display().to_string(), "light.py")
            .set("env", json!({ "GATE": self.person.gate() }))
            .workers(1)
            .args(&[name])
    }

    fn launch(&self, job: &Job) -> Launch {
        let mut command = self.person.command(&["launch"]);
        command
            .env("MAYFLY_CLIENT_CONFIG", self.client())
            .arg(job.write(&self.person))
            .args([job.name(), "--on", "aws", "--yes"]);
        self.person.start(&mut command)
    }

    fn works(&self, launch: &mut Launch, job: &Job) {
        let word = format!("works{}-1", job.name());
        launch.until(&word, limit(), || self.person.heard(&word));
    }

    fn go(&self, job: &Job) {
        self.person.tell(&format!("go{}", job.name()));
    }
}

/// Waits until the machine `old` has been replaced and the next one serves; what is shown then.
fn replaced(account: &Account, old: &str) -> Value {
    account
        .ec2
        .rig("POST", &format!("machines/{old}/fail"), &json!({}));
    wait::until("the next machine to serve", limit(), || {
        let now = server(account);
        let said = now["server"]["instance"].as_str()?.to_owned();
        let mut there = now["control"]["machines"].as_array()?.iter();
        (said != old && there.any(|one| one["id"] == said.as_str())).then_some(now)
    })
}

fn shown(home: &Home, args: &[&str]) -> Value {
    let said = home.verb(args);
    serde_json::from_str(&said.exited(0).stdout).expect("it is JSON")
}

fn server(account: &Account) -> Value {
    shown(&account.home, &["control", "show", "--json"])
}

fn machine(server: &Value) -> String {
    let machines = server["control"]["machines"].as_array().expect("machines");
    assert_eq!(machines.len(), 1, "{server:#}");
    machines[0]["id"].as_str().expect("an id").to_owned()
}

fn token(account: &Account) -> String {
    let file = account.home.scratch("token");
    let name = file.display().to_string();
    account
        .home
        .verb(&["control", "show", "--token-to", &name])
        .exited(0);
    std::fs::read_to_string(file).unwrap()
}

/// What AWS has of the server, by kind, and of nothing else.
fn assert_only_the_server(account: &Account) {
    let left = account.leftovers();
    assert_eq!(left["groups"], json!([NAME]), "{left:#}");
    assert_eq!(left["templates"], json!([NAME]), "{left:#}");
    assert_eq!(left["scheduled_actions"], json!([]), "{left:#}");
    assert_eq!(left["instances"], json!([machine(&server(account))]), "{left:#}");
}

/// Everything of it that AWS may hold beside what the rig calls left over.
fn named(account: &Account) -> String {
    let groups = account.ec2.aws("ec2", "DescribeSecurityGroups", &[]);
    let roles = account.ec2.aws("iam", "ListRoles", &[]);
    let profiles = account.ec2.aws("iam", "ListInstanceProfiles", &[]);
    groups + &roles + &profiles
}

#[test]
fn a_team_has_a_server_that_launches_and_is_left_alone_until_it_is_destroyed() {
    let _slot = slots::take();
    let team = Team::start();
    let account = &team.account;
    assert_only_the_server(account);

    // Whoever launches needs no credentials of AWS, and nothing of the run stays.
    let job = team.job("flights");
    team.go(&job);
    let mut launch = team.launch(&job);
    launch.wait(limit()).exited(0).said("nothing is left");
    let elsewhere = account.elsewhere();
    let receipt = shown(&elsewhere, &["receipt", "last", "--json"]);
    assert_eq!(receipt["release"]["machines_started"], 2, "{receipt:#}");
    assert_eq!(receipt["release"]["machines_gone"], 2, "{receipt:#}");
    assert_only_the_server(account);
    allowed::assert_covered(&account.ec2, Who::Person, &[Policy::ControlAdmin]);
    let machines = [Policy::Node, Policy::Control, Policy::Launcher];
    allowed::assert_covered(&account.ec2, Who::Machine, &machines);

    // It is of no run: what looks for what runs have left does not see it.
    let said = account.home.verb(&["gc", "--on", "aws", "--yes"]);
    assert_eq!(said.exited(0).stdout.trim(), "nothing is left over");
    // And nobody takes its network away from under it.
    let refused = account.home.verb(&["network", "destroy", "--yes"]);
    refused.exited(3).said("coordinator control destroy default");
    let complete = shown(&account.home, &["network", "show", "--json"]);
    assert_eq!(complete["complete"], true, "{complete:#}");
    assert_only_the_server(account);

    assert!(named(account).contains(NAME), "the rig shows what there is");
    allowed::from_now_on(&account.ec2);
    let said = account.home.verb(&["control", "destroy", "--yes"]);
    let nothing = "nothing is left of the server of the network default";
    assert_eq!(said.exited(0).stdout.trim(), nothing);
    allowed::assert_covered(&account.ec2, Who::Person, &[Policy::ControlAdmin]);
    assert!(account.is_clear(), "left over: {:#}", account.leftovers());
    assert!(!named(account).contains(NAME), "{}", named(account));
    let kept = account
        .ec2
        .object("/mayfly-runs/team/control/default/identity.json");
    assert!(kept.is_none(), "its key is still in the store");
    account.home.verb(&["control", "destroy", "--yes"]).exited(0);
    account.home.verb(&["network", "destroy", "--yes"]).exited(0);
}

#[test]
#[ignore = "minutes; `make test-long`"]
fn a_server_whose_machine_ends_is_the_same_on_the_next_one_and_its_runs_go_on() {
    let _slot = slots::take();
    let team = Team::start();
    let account = &team.account;
    let job = team.job("long");
    let mut launch = team.launch(&job);
    team.works(&mut launch, &job);
    launch.kill();
    // Nobody destroys it from under a run.
    let refused = account.home.verb(&["control", "destroy", "--yes"]);
    refused.exited(2).said("--abandon-runs");

    let (before, token_before) = (server(account), token(account));
    let old = machine(&before);
    let after = replaced(account, &old);
    assert_eq!(
        after["server"]["fingerprint"], before["server"]["fingerprint"],
        "{after:#}"
    );
    assert_ne!(after["server"]["url"], before["server"]["url"], "{after:#}");
    assert_eq!(token(account), token_before);

    // The run knew nothing of where the next one would be.
    team.go(&job);
    let elsewhere = account.elsewhere();
    let record = wait::until("the run to be closed", limit(), || {
        let record = shown(&elsewhere, &["status", "last", "--json"]);
        (!record["ended"].is_null() && account.leftovers()["groups"] == json!([NAME])).then_some(record)
    });
    assert_eq!(record["ended"]["outcome"], "succeeded", "{record:#}");
    assert_eq!(record["attempt"], 1, "{record:#}");
    assert_eq!(record["coordinator"], after["server"]["url"], "{record:#}");

    // People find it again, too: with what is written anew.
    team.write_client();
    let next = team.job("next");
    team.go(&next);
    team.launch(&next).wait(limit()).exited(0).said("nothing is left");
    assert_only_the_server(account);
}

#[test]
#[ignore = "minutes; `make test-long`"]
fn two_who_make_a_server_at_once_make_one() {
    let _slot = slots::take();
    let account = account();
    let home = &account.home;
    let mut all = [(), ()].map(|()| home.start(&mut home.command(&CREATE)));
    let made: Vec<Value> = all
        .iter_mut()
        .map(|one| serde_json::from_str(&one.wait(LIMIT).exited(0).stdout).expect("it is JSON"))
        .collect();
    let again = shown(&account.home, &CREATE);
    let all = made.iter().chain([&again]);
    let servers: BTreeSet<String> = all
        .map(|one| format!("{} {}", machine(one), one["server"]["fingerprint"]))
        .collect();
    assert_eq!(servers.len(), 1, "{servers:?}");
    assert_only_the_server(&account);
    assert_eq!(account.ec2.instances().len(), 1, "another machine was started");
}

/// Answer of the server's Consul, to somebody with this token or none.
fn asked(server: &Value, path: &str, token: Option<&str>) -> Option<(u16, String)> {
    let at = server["server"]["consul"]
        .as_str()?
        .strip_prefix("http://")?
        .parse()
        .ok()?;
    let header = token.map(|token| ("X-Consul-Token", token));
    let request = Request {
        headers: header.as_slice(),
        ..Request::get(path)
    };
    request.send(at).map(|page| (page.status, page.body))
}

#[test]
fn the_consul_of_a_server_is_closed_knows_its_nodes_and_keeps_the_jobs_of_the_team() {
    let _slot = slots::take();
    let team = Team::of(account_of(Image::light().with_consul()));
    let account = &team.account;
    let before = server(account);
    let folder = account.ec2.folder(&machine(&before));
    let first = wait::until("Consul to be set up", LIMIT, || {
        std::fs::read_to_string(folder.join("node/control/consul.token")).ok()
    });
    let services = || asked(&before, "/v1/catalog/services", Some(&first)).map(|(_, body)| body);
    wait::until("the server in its Consul", LIMIT, || {
        services()?.contains("mayfly-coordinator").then_some(())
    });

    // Nodes are in it; nobody without a token reads or writes anything.
    let job = team.job("seen");
    let mut launch = team.launch(&job);
    team.works(&mut launch, &job);
    wait::until("the nodes in Consul", LIMIT, || {
        let all = services()?;
        (all.contains("mayfly-master") && all.contains("mayfly-worker")).then_some(())
    });
    let nothing = asked(&before, "/v1/catalog/services", None);
    assert_eq!(nothing, Some((200, "{}".to_owned())));
    let refused = asked(&before, "/v1/kv/mayfly/jobs/?recurse", None).map(|(status, _)| status);
    assert!(matches!(refused, Some(403 | 404)), "{refused:?}");
    // What opens it is in no file or environment that a job may read.
    let data = account.ec2.instances();
    let told = data.iter().filter_map(|info| info.user_data.as_ref());
    assert!(
        told.into_iter()
            .all(|text| !text.contains(&first) && !text.contains("\"token\""))
    );
    team.go(&job);
    launch.wait(limit()).exited(0).said("nothing is left");

    // People keep their jobs in it, and find them on the next machine.
    let token = account.home.scratch("consul.token").display().to_string();
    account
        .home
        .verb(&["control", "show", "--consul-token-to", &token])
        .exited(0);
    let file = account.home.scratch("jobs.yml");
    let shared = "kept:\n  code: {repo: https://github.com/me/kept.git, entry: main.py}\n";
    std::fs::write(&file, shared).unwrap();
    let url = |server: &Value| server["server"]["consul"].as_str().unwrap().to_owned();
    let config = |args: &[&str], at: &str| {
        let flags = ["--consul", at, "--consul-token-file", &token];
        account.home.verb(&[&["config"], args, &flags].concat())
    };
    config(&["push", "--yes", file.to_str().unwrap()], &url(&before)).exited(0);
    wait::until("the job in the store", LIMIT, || {
        let kept = account
            .ec2
            .object("/mayfly-runs/team/control/default/consul.json")?;
        kept.contains("jobs/kept").then_some(())
    });
    let after = replaced(account, &machine(&before));
    assert_ne!(url(&after), url(&before));
    wait::until("the job in the next Consul", LIMIT, || {
        let said = config(&["list"], &url(&after));
        said.stdout.contains("kept").then_some(())
    });
}
