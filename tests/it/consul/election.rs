//! Nodes that are alike elect their master in a real Consul, and do without it when they must.

use std::time::Duration;

use mayfly_proto::v1::agent_service_client::AgentServiceClient;
use mayfly_proto::v1::{EnrollRequest, NodePhase, NodeReport, Role, SyncRequest};
use mayfly_tests::procs::{self, Kind};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Consul, Cut, Home, Job, Launch, Repo, Run, Serve, slots};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::client::open;
use super::launch::{of_run, wait_registered};

const NODES: [&str; 3] = ["node-1", "node-2", "node-3"];

pub(crate) fn alike(name: &str, home: &Home, repo: &Repo, entry: &str) -> Job {
    Job::at_gate(name, home, repo, entry)
        .set("master", json!({ "role": "auto" }))
        .workers(2)
}

/// Who holds a session, by its name.
pub(crate) fn sessions(consul: &Consul) -> Vec<String> {
    let all = consul.json("GET", "/v1/session/list", &Value::Null);
    let names = all.as_array().unwrap().iter();
    names
        .map(|one| one["Name"].as_str().unwrap().to_owned())
        .collect()
}

/// Asks with the client of the programs.
pub(crate) fn ask<T>(ask: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(ask)
}

/// The node that holds the lock of an attempt.
pub(crate) fn holder(consul: &Consul, run: &Run<'_>, attempt: u32) -> Option<String> {
    let lock = ask(open(consul).get(&format!("runs/{}/master/{attempt}", run.id))).unwrap()?;
    lock.session
        .is_some()
        .then(|| String::from_utf8(lock.bytes).unwrap())
}

/// The node whose job has said this.
fn says(home: &Home, launch: &mut Launch, word: &str) -> String {
    launch.until(word, secs(180), || {
        home.heard(word).filter(|node| !node.is_empty())
    })
}

#[test]
fn one_of_three_is_elected_and_another_one_when_it_is_killed() {
    let _slot = slots::take();
    let consul = Consul::dev();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = alike("elected", &home, &repo, "attempts.py");
    let mut launch = home.launch_with(&job, &["--consul", &consul.url()]);
    let run = home.run_of(&job, &mut launch);
    let first = says(&home, &mut launch, "attempt-1");
    assert!(NODES.contains(&first.as_str()), "{first}");
    assert_eq!(holder(&consul, &run, 1).as_ref(), Some(&first));
    assert_eq!(
        sessions(&consul),
        [format!("{}-{first}", run.id)],
        "only the master keeps a session"
    );
    wait_registered(&consul, &run, &NODES);
    assert_eq!(consul.instances("mayfly-master").len(), 1);
    assert_eq!(consul.instances("mayfly-worker").len(), 2);

    procs::find(&run.id, Kind::Agent, Some(&first), secs(10)).kill();
    let ended = launch.wait(secs(240));
    ended.exited(0).said("attempt 2");
    assert!(
        !ended.stderr.contains("was chosen"),
        "the coordinator did not wait for the election: {}",
        ended.stderr
    );
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 2);
    assert_ne!(home.heard("attempt-2").as_deref(), Some(first.as_str()));
    assert_eq!(run.commit().expect("a commit").attempt.number(), 2);
    assert_eq!(
        run.stored(2).keys().collect::<Vec<_>>(),
        ["driver-of-attempt-2.txt", "executor-of-attempt-2.txt"]
    );
    // The session of the dead master ends by itself, and its lock with it.
    wait::until("no session left", secs(60), || {
        sessions(&consul).is_empty().then_some(())
    });
    assert_eq!(ask(open(&consul).list("runs/")).unwrap(), [""; 0]);
}

#[test]
fn a_consul_that_hangs_and_dies_during_the_election() {
    let _slot = slots::take();
    let mut consul = Consul::dev();
    consul.signal(Signal::SIGSTOP);
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = alike("unelected", &home, &repo, "holds.py");
    let mut launch = home.launch_with(&job, &["--consul", &consul.url()]);
    let run = home.run_of(&job, &mut launch);
    for node in NODES {
        procs::find(&run.id, Kind::Agent, Some(node), secs(60));
    }
    consul.kill();
    launch.until("the job", secs(120), || home.heard("holds"));
    home.tell("go");
    launch
        .wait(secs(60))
        .exited(0)
        .said("was chosen as the master of attempt 1");
    let receipt = run.assert_closed("succeeded");
    assert_eq!(
        (&receipt["attempts"], &receipt["release"]["machines_started"]),
        (&json!(1), &json!(3))
    );
}

#[test]
fn a_master_that_alone_cannot_reach_consul_stays_the_master() {
    let _slot = slots::take();
    let consul = Consul::dev();
    let cut = Cut::before(&consul.url());
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = alike("cut-off", &home, &repo, "holds.py");
    let mut launch = home.launch_with(&job, &["--consul", &cut.url()]);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(180), || home.heard("holds"));
    wait_registered(&consul, &run, &NODES);
    let master = holder(&consul, &run, 1).expect("a master");
    let others: Vec<_> = NODES.into_iter().filter(|node| *node != master).collect();

    cut.off(procs::find(&run.id, Kind::Agent, Some(&master), secs(10)).pid);
    // Consul takes it for dead: its check fails, its session ends, its lock is free.
    let passing = |node: &str| {
        let id = format!("mayfly-{}-{node}", run.id);
        of_run(&consul, &run).contains(&(id, true))
    };
    launch.until("Consul to miss the master", secs(90), || {
        (!passing(&master)).then_some(())
    });
    launch.until("its session to end", secs(90), || {
        sessions(&consul).is_empty().then_some(())
    });
    assert!(others.iter().all(|node| passing(node)), "others were cut off too");
    home.tell("go");
    launch.wait(secs(90)).exited(0);
    let receipt = run.assert_closed("succeeded");
    assert_eq!(
        (&receipt["attempts"], &receipt["release"]["machines_started"]),
        (&json!(1), &json!(3)),
        "there was a second election"
    );
}

#[test]
fn a_worker_that_alone_cannot_reach_consul_from_its_boot_on() {
    let _slot = slots::take();
    let consul = Consul::dev();
    let cut = Cut::before(&consul.url());
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("cut-worker", &home, &repo, "holds.py").workers(2);
    let mut launch = home.launch_with(&job, &["--consul", &cut.url()]);
    let run = home.run_of(&job, &mut launch);
    cut.off(procs::find(&run.id, Kind::Agent, Some("worker-1"), secs(60)).pid);
    launch.until("the job", secs(120), || home.heard("holds"));
    wait::until("the others in Consul", secs(30), || {
        (of_run(&consul, &run)
            .iter()
            .filter(|(_, passing)| *passing)
            .count()
            == 2)
            .then_some(())
    });
    home.tell("go");
    launch.wait(secs(60)).exited(0);
    let receipt = run.assert_closed("succeeded");
    assert_eq!(
        (&receipt["attempts"], &receipt["release"]["machines_started"]),
        (&json!(1), &json!(3))
    );
}

/// Enrols one node more than the run has, claims its first attempt, and returns what the coordinator makes of it.
async fn claim(url: String, run: &Run<'_>) -> Role {
    let config = std::fs::read(run.node("node-1").join("node.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    let mut client = AgentServiceClient::connect(url).await.unwrap();
    let request = EnrollRequest {
        protocol: mayfly_proto::PROTOCOL_VERSION,
        run_id: run.id.to_string(),
        join_token: config["join_token"].as_str().unwrap().into(),
        role: Role::Auto.into(),
        machine_id: "node-9".into(),
        boot_id: "nine".into(),
        agent_version: "0.1.0".into(),
        address: "127.9.9.9".into(),
        cores: 1,
        memory_bytes: 1 << 30,
        ..EnrollRequest::default()
    };
    let enrolled = client.enroll(request).await.unwrap().into_inner();
    let report = NodeReport {
        phase: NodePhase::Preparing.into(),
        claims_attempt: 1,
        ..NodeReport::default()
    };
    let mut request = tonic::Request::new(SyncRequest {
        run_id: run.id.to_string(),
        node_id: enrolled.node_id,
        attempt: 1,
        seq: 1,
        report: Some(report),
    });
    let token = format!("Bearer {}", enrolled.session_token).parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    let answer = client.sync(request).await.unwrap().into_inner();
    answer.desired.unwrap().role()
}

#[test]
fn of_two_claims_the_first_stands() {
    let _slot = slots::take();
    let consul = Consul::dev();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let serve = Serve::start_with(&home, &["--consul", &consul.url()]);
    let job = alike("two-claims", &home, &repo, "holds.py").workers(1);
    let mut launch = serve.launch(&home, &job, &[]);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(180), || home.heard("holds"));
    let master = holder(&consul, &run, 1);
    assert_eq!(ask(claim(serve.url.clone(), &run)), Role::Worker);
    home.tell("go");
    launch.wait(secs(90)).exited(0);
    wait::until("the end of the record", secs(30), || {
        (run.phase() == "closed").then_some(())
    });
    assert_eq!(run.assert_closed("succeeded")["attempts"], 1);
    assert!(master.is_some());
    serve.stop().exited(0);
}

#[test]
fn without_a_consul_it_is_refused_before_anything_starts() {
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = alike("nowhere", &home, &repo, "holds.py");
    home.launch(&job)
        .wait(Duration::from_secs(60))
        .exited(2)
        .said("`nowhere.master.role` is `auto`")
        .said("--consul");
    home.assert_no_run();
}
