//! Three servers with ACLs, default deny: the policies that we ship are enough, and no wider.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mayfly_kit::consul::{
    Cas, Consul, ConsulError, ConsulFault, ConsulSettings, Health, Kind, Put, Query, Service,
};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Cluster, Home, Job, Repo, Serve, programs, slots};

use super::launch::{of_run, wait_registered};

fn policy(name: &str) -> PathBuf {
    programs::repository().join(format!("configs/consul/{name}-policy.hcl"))
}

fn client(cluster: &Cluster, policy_name: &str) -> Consul {
    let settings = ConsulSettings {
        token: Some(cluster.token_of(&policy(policy_name))),
        ..ConsulSettings::at(cluster.servers[0].url())
    };
    Consul::open(&settings).unwrap()
}

fn service(kind: Kind) -> Service {
    Service {
        kind,
        name: "a-abcdefgh-x-1".into(),
        address: "127.99.0.1:7077".parse().unwrap(),
        tags: vec![("run", "a-abcdefgh".into())],
        admin: "127.99.0.1:9464".parse().unwrap(),
        ui_port: None,
    }
}

fn query(kind: Kind) -> Query {
    Query {
        kind,
        tags: Vec::new(),
        from: "127.0.0.1".parse().unwrap(),
    }
}

/// Denied, and the error names the rule that would allow it.
#[track_caller]
fn denied<T: std::fmt::Debug>(done: Result<T, ConsulError>, rule: &str) {
    let error = done.expect_err("it is allowed");
    let ConsulFault::Denied { rule: needed, .. } = error.fault() else {
        panic!("{error}")
    };
    assert!(needed.contains(rule), "{error}");
}

async fn may_register(consul: &Consul, kind: Kind) {
    let service = service(kind);
    consul.register(&service).await.unwrap();
    assert!(consul.report(&service, Health::Passing, "well").await.unwrap());
    consul.deregister(&service).await.unwrap();
}

async fn may_not_register(consul: &Consul, kind: Kind, name: &str) {
    denied(
        consul.register(&service(kind)).await,
        &format!("service \"{name}\" {{ policy = \"write\" }}"),
    );
}

#[tokio::test]
async fn each_policy_allows_what_it_is_for_and_nothing_else() {
    let cluster = Cluster::new();
    let [node, coordinator, people] = ["node", "coordinator", "people"].map(|name| client(&cluster, name));
    let now = Duration::ZERO;
    let key = "jobs/daily.yml";

    may_register(&node, Kind::Master).await;
    may_register(&node, Kind::Worker).await;
    node.healthy(&query(Kind::Master), 0, now).await.unwrap();
    may_not_register(&node, Kind::Coordinator, "mayfly-coordinator").await;
    denied(
        node.put(key, b"x".to_vec(), Cas::New).await,
        "key \"mayfly/jobs/daily.yml\"",
    );
    denied(node.get(key).await, "key \"mayfly/jobs/daily.yml\"");
    let session = node.create_session("a-abcdefgh-node-1").await.unwrap();
    let lock = "runs/a-abcdefgh/master/1";
    assert!(node.acquire(lock, b"node-1".to_vec(), &session).await.unwrap());
    assert!(node.renew_session(&session).await.unwrap());
    denied(
        node.acquire(key, b"x".to_vec(), &session).await,
        "key \"mayfly/jobs/daily.yml\"",
    );
    node.destroy_session(&session).await.unwrap();
    assert_eq!(node.get(lock).await.unwrap(), None);

    may_register(&coordinator, Kind::Coordinator).await;
    may_not_register(&coordinator, Kind::Master, "mayfly-master").await;
    may_not_register(&coordinator, Kind::Worker, "mayfly-worker").await;
    denied(coordinator.put(key, b"x".to_vec(), Cas::New).await, "key");

    for other in [&coordinator, &people] {
        denied(other.create_session("x").await, "session_prefix");
    }
    let two = |cas| {
        ["jobs/daily.yml", "runs/x"].map(|key| Put {
            key: key.into(),
            value: b"x".to_vec(),
            cas,
        })
    };
    denied(people.put_all(&two(Cas::New)).await, "key");
    assert_eq!(people.get(key).await.unwrap(), None, "half of it is written");

    assert!(people.put(key, b"x".to_vec(), Cas::New).await.unwrap());
    let read = people.get(key).await.unwrap().unwrap();
    assert_eq!(people.list("jobs/").await.unwrap(), [key]);
    assert!(people.delete(key, read.modify_index).await.unwrap());
    denied(
        people.put("runs/x", b"x".to_vec(), Cas::New).await,
        "key \"mayfly/runs/x\"",
    );
    people.healthy(&query(Kind::Coordinator), 0, now).await.unwrap();
    for (kind, name) in [
        (Kind::Coordinator, "mayfly-coordinator"),
        (Kind::Master, "mayfly-master"),
        (Kind::Worker, "mayfly-worker"),
    ] {
        may_not_register(&people, kind, name).await;
    }
    // Who may not read a service sees none, and is not told that there is one.
    node.register(&service(Kind::Master)).await.unwrap();
    let seen = people.healthy(&query(Kind::Master), 0, now).await.unwrap();
    assert!(seen.instances.is_empty());
    node.deregister(&service(Kind::Master)).await.unwrap();

    let unknown = ConsulSettings {
        token: Some("00000000-1111-2222-3333-444444444444".into()),
        ..ConsulSettings::at(cluster.servers[0].url())
    };
    let unknown = Consul::open(&unknown).unwrap();
    denied(unknown.get(key).await, "key");
}

#[test]
fn a_launch_and_a_server_with_tokens_and_then_without_a_leader() {
    let _slot = slots::take();
    let mut cluster = Cluster::new();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let token = |name: &str| {
        let file = home.scratch(&format!("{name}-token"));
        fs::write(&file, cluster.token_of(&policy(name))).unwrap();
        file.display().to_string()
    };
    let (node, coordinator, people) = (token("node"), token("coordinator"), token("people"));
    let url = cluster.servers[0].url();

    let flags = ["--consul", &url, "--consul-token-file", &coordinator];
    let flags = [&flags[..], &["--consul-node-token-file", &node]].concat();
    let serve = Serve::start_with(&home, &flags);
    let people = fs::read_to_string(people).unwrap();
    let server = wait::until("the server in Consul", secs(30), || {
        super::found_coordinator(&url, Some(&people)).unwrap()
    });
    assert_eq!(server, serve.url);

    let job = Job::at_gate("with-acls", &home, &repo, "holds.py");
    let mut launch = serve.launch(&home, &job, &[]);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(120), || home.heard("holds"));
    // Seen from another server: it is in the catalog, not only at the agent that was told.
    wait_registered(&cluster.servers[1], &run, &["master-1", "worker-1"]);

    // Without two of three there is no leader.
    cluster.servers[1].kill();
    cluster.servers[2].kill();
    home.tell("go");
    launch.wait(secs(60)).exited(0);
    // The server closes the record; the command has its receipt before.
    wait::until("the end of the record", secs(30), || {
        (run.phase() == "closed").then_some(())
    });
    run.assert_closed("succeeded");
    cluster.servers[1].start();
    cluster.servers[2].start();
    wait::until("the nodes to be gone from the catalog", secs(60), || {
        of_run(&cluster.servers[1], &run).is_empty().then_some(())
    });
    serve.stop().exited(0);
    wait::until("nothing registered", secs(30), || {
        cluster.servers[1].services().is_empty().then_some(())
    });
}
