//! Whole launches with a Consul that works, dies, forgets and hangs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Consul, Home, Job, Launch, Repo, Run, Serve, http, slots};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const KINDS: [&str; 2] = ["mayfly-master", "mayfly-worker"];

/// Instances of a run: id, and whether all of its checks pass.
pub(crate) fn of_run(consul: &Consul, run: &Run<'_>) -> BTreeSet<(String, bool)> {
    let tag = format!("run={}", run.id);
    let all = KINDS.iter().flat_map(|kind| consul.instances(kind));
    let ours = all.filter(|instance| {
        instance["Service"]["Tags"]
            .as_array()
            .unwrap()
            .contains(&json!(tag))
    });
    let shown = ours.map(|instance| {
        let mut checks = instance["Checks"].as_array().unwrap().iter();
        let id = instance["Service"]["ID"].as_str().unwrap().to_owned();
        (id, checks.all(|check| check["Status"] == "passing"))
    });
    shown.collect()
}

/// Waits until exactly these nodes of the run are registered, and all of their checks pass.
pub(crate) fn wait_registered(consul: &Consul, run: &Run<'_>, nodes: &[&str]) {
    let wanted: BTreeSet<_> = nodes
        .iter()
        .map(|node| (format!("mayfly-{}-{node}", run.id), true))
        .collect();
    wait::until(&format!("{nodes:?} in Consul"), secs(30), || {
        (of_run(consul, run) == wanted).then_some(())
    });
}

fn hold<'h>(home: &'h Home, job: &Job, launch: &mut Launch) -> Run<'h> {
    let run = home.run_of(job, launch);
    launch.until("the job", secs(120), || home.heard("holds"));
    run
}

/// Entries that dead runs have left, which nobody takes out: they have no check that could fail.
fn leave_stale(consul: &Consul, count: usize) {
    for n in 0..count {
        let kind = KINDS[n % 2];
        let service = json!({
            "Name": kind, "ID": format!("stale-{n}"), "Address": "127.0.0.1", "Port": 1,
            "Tags": [format!("run=with-consul-{:a<8}", n.to_string().replace(['0', '1', '8', '9'], "b")),
                     "role=master", "engine=spark", "attempt=1"],
        });
        consul.http("PUT", "/v1/agent/service/register", &service.to_string());
    }
}

#[test]
fn nodes_are_there_while_the_run_is_and_not_after() {
    const STALE: usize = 1000;
    let _slot = slots::take();
    let consul = Consul::dev();
    leave_stale(&consul, STALE);
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("with-consul", &home, &repo, "holds.py").workers(2);
    let mut launch = home.launch_with(&job, &["--consul", &consul.url()]);
    let run = hold(&home, &job, &mut launch);
    wait_registered(&consul, &run, &["master-1", "worker-1", "worker-2"]);
    assert_eq!(consul.services(), KINDS);

    let tag = json!(format!("run={}", run.id));
    let master = consul.instances("mayfly-master").into_iter();
    let master = master
        .map(|m| m["Service"].clone())
        .find(|m| m["Tags"].as_array().unwrap().contains(&tag));
    let master = master.expect("a master");
    let config: Value =
        serde_json::from_slice(&std::fs::read(run.node("master-1").join("node.json")).unwrap()).unwrap();
    assert_eq!(master["Address"], config["address"]);
    assert_eq!(master["Port"], 7077);
    assert_eq!(
        master["Tags"],
        json!([tag, "role=master", "engine=spark", "attempt=1"])
    );
    assert_eq!(master["Meta"], json!({ "admin_port": "9464", "ui_port": "8080" }));
    let checks = consul.json("GET", "/v1/agent/checks", &Value::Null);
    let line = &checks[format!("mayfly-{}-master-1:alive", run.id)]["Output"];
    assert_eq!(line, "the job runs");

    home.tell("go");
    launch.wait(secs(60)).exited(0);
    run.assert_closed("succeeded");
    assert_eq!(
        of_run(&consul, &run),
        BTreeSet::new(),
        "left in Consul after the end"
    );
    let left: usize = KINDS.iter().map(|kind| consul.instances(kind).len()).sum();
    assert_eq!(left, STALE, "what belongs to others was touched");
}

#[test]
fn a_consul_that_comes_late_forgets_everything_and_hangs() {
    let _slot = slots::take();
    let mut consul = Consul::absent();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("late-consul", &home, &repo, "holds.py");
    let mut launch = home.launch_with(&job, &["--consul", &consul.url()]);
    let run = hold(&home, &job, &mut launch);
    let nodes = ["master-1", "worker-1"];
    consul.start();
    wait_registered(&consul, &run, &nodes);
    // In dev mode it keeps nothing over its end.
    consul.kill();
    consul.start();
    wait_registered(&consul, &run, &nodes);

    consul.signal(Signal::SIGSTOP);
    home.tell("go");
    let began = Instant::now();
    launch.wait(secs(60)).exited(0);
    let took = began.elapsed();
    consul.signal(Signal::SIGCONT);
    assert!(
        took < Duration::from_secs(20),
        "a Consul that hangs held the end up: {took:?}"
    );
    let receipt = run.assert_closed("succeeded");
    assert_eq!(
        (&receipt["attempts"], &receipt["release"]["machines_started"]),
        (&json!(1), &json!(2))
    );
}

#[test]
fn a_consul_that_dies_while_the_cluster_forms() {
    let _slot = slots::take();
    let mut consul = Consul::dev();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("dying-consul", &home, &repo, "holds.py");
    let mut launch = home.launch_with(&job, &["--consul", &consul.url()]);
    let run = home.run_of(&job, &mut launch);
    launch.until("the first node in Consul", secs(60), || {
        (!of_run(&consul, &run).is_empty()).then_some(())
    });
    assert!(home.heard("holds").is_none(), "the cluster has formed before");
    consul.kill();
    launch.until("the job", secs(120), || home.heard("holds"));
    home.tell("go");
    launch.wait(secs(60)).exited(0);
    assert_eq!(run.assert_closed("succeeded")["attempts"], 1);
}

#[test]
fn the_next_attempt_is_told_from_the_one_before() {
    use mayfly_tests::procs::{self, Kind};
    let _slot = slots::take();
    let consul = Consul::dev();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("again-consul", &home, &repo, "holds.py");
    let mut launch = home.launch_with(&job, &["--consul", &consul.url()]);
    let run = hold(&home, &job, &mut launch);
    wait_registered(&consul, &run, &["master-1", "worker-1"]);
    procs::find(&run.id, Kind::Agent, Some("master-1"), secs(10)).kill();
    let attempts = |service: &str| -> Vec<String> {
        let all = consul.instances(service).into_iter();
        all.map(|i| {
            format!(
                "{} {}",
                i["Service"]["ID"].as_str().unwrap(),
                i["Service"]["Tags"][3].as_str().unwrap()
            )
        })
        .collect()
    };
    launch.until("attempt 2 in Consul", secs(90), || {
        let master = attempts("mayfly-master").contains(&format!("mayfly-{}-master-2 attempt=2", run.id));
        let worker = attempts("mayfly-worker") == [format!("mayfly-{}-worker-1 attempt=2", run.id)];
        (master && worker).then_some(())
    });
    home.tell("go");
    launch.wait(secs(120)).exited(0);
    run.assert_closed("succeeded");
    // The dead agent could not take itself out: Consul finds out, and forgets it in time.
    let left = of_run(&consul, &run);
    assert!(
        left.iter()
            .all(|(id, passing)| id.ends_with("master-1") && !passing),
        "{left:?}"
    );
}

#[test]
fn a_server_is_found_in_consul_while_it_serves() {
    let consul = Consul::dev();
    let home = Home::new();
    let serve = Serve::start_with(&home, &["--consul", &consul.url()]);
    let url = serve.url.clone();
    let found = || super::found_coordinator(&consul.url(), None);
    wait::until("the server in Consul", secs(30), || {
        (found().ok()? == Some(url.clone())).then_some(())
    });
    assert_eq!(consul.services(), ["mayfly-coordinator"]);
    serve.stop().exited(0);
    assert_eq!(consul.services(), [""; 0]);
    assert_eq!(found().unwrap(), None);
}

/// What a server has in Consul of its pages, once it is found there.
fn pages(consul: &Consul, serve: &Serve) -> Value {
    let found = wait::until("the server in Consul", secs(30), || {
        super::found_coordinator(&consul.url(), None).unwrap()
    });
    assert_eq!(found, serve.url);
    let [server] = &consul.instances("mayfly-coordinator")[..] else {
        panic!("one server")
    };
    let checks = server["Checks"].as_array().unwrap().iter();
    let own: Vec<&str> = checks.filter_map(|check| check["CheckID"].as_str()).collect();
    assert!(
        own.iter().all(|id| *id == "serfHealth" || id.ends_with(":alive")),
        "its health depends on pages that Consul may not reach: {own:?}"
    );
    server["Service"]["Meta"].clone()
}

#[test]
fn what_is_told_of_a_servers_pages_is_where_they_answer() {
    let consul = Consul::dev();
    let home = Home::new();
    let [_, _, low, high] = std::process::id().to_be_bytes();
    let listen = format!("127.16.{low}.{}:0", high.max(1));
    let at = |admin: &[&str]| {
        let flags = ["--listen", &listen, "--consul", &consul.url()];
        Serve::start_with(&home, &[&flags[..], admin].concat())
    };
    // Its pages are on 127.0.0.1, where it is not itself.
    let serve = at(&[]);
    let told = pages(&consul, &serve);
    assert!(told["admin_port"].is_null(), "{told}");
    serve.stop().exited(0);

    let serve = at(&["--admin", "0.0.0.0:0"]);
    let told = pages(&consul, &serve);
    let port = told["admin_port"].as_str().expect("the port of its pages");
    let host = listen.trim_end_matches(":0");
    let page = http::get(format!("{host}:{port}").parse().unwrap(), "/metrics");
    assert!(page.body.contains("mayfly_runs"), "{}", page.body);
    serve.stop().exited(0);
}
