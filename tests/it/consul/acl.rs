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
    with_token(cluster, &cluster.token_of(&policy(policy_name)))
}

fn with_token(cluster: &Cluster, token: &str) -> Consul {
    let settings = ConsulSettings {
        token: Some(token.into()),
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
        ready: Some("127.99.0.1:9464".parse().unwrap()),
        admin_port: Some(9464),
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

    let unknown = with_token(&cluster, "00000000-1111-2222-3333-444444444444");
    denied(unknown.get(key).await, "key");
}

/// What none of the policies is for: method, path, body.
const FORBIDDEN: [(&str, &str, &str); 25] = [
    // ACLs.
    ("GET", "/v1/acl/tokens", ""),
    ("GET", "/v1/acl/policies", ""),
    (
        "PUT",
        "/v1/acl/token",
        r#"{"Policies":[{"Name":"global-management"}]}"#,
    ),
    (
        "PUT",
        "/v1/acl/policy",
        r#"{"Name":"wide","Rules":"acl = \"write\""}"#,
    ),
    ("PUT", "/v1/acl/bootstrap", ""),
    // Keys that are not ours, or only look like ours.
    ("GET", "/v1/kv/passwords", ""),
    ("PUT", "/v1/kv/passwords", "x"),
    ("PUT", "/v1/kv/mayfly/other", "x"),
    ("PUT", "/v1/kv/mayfly/runs-of-others", "x"),
    ("PUT", "/v1/kv/mayflies/runs/a-abcdefgh/master/1", "x"),
    ("DELETE", "/v1/kv/mayfly?recurse", ""),
    // Consul's own agents and servers.
    ("GET", "/v1/agent/self", ""),
    ("PUT", "/v1/agent/reload", ""),
    ("PUT", "/v1/agent/leave", ""),
    ("PUT", "/v1/agent/maintenance?enable=true", ""),
    ("PUT", "/v1/agent/token/agent", ""),
    ("GET", "/v1/operator/raft/configuration", ""),
    ("GET", "/v1/operator/autopilot/configuration", ""),
    ("GET", "/v1/snapshot", ""),
    ("PUT", "/v1/event/fire/deploy", ""),
    // Nodes and services of others.
    (
        "PUT",
        "/v1/catalog/register",
        r#"{"Node":"forged","Address":"127.9.9.9"}"#,
    ),
    (
        "PUT",
        "/v1/agent/service/register",
        r#"{"Name":"database","Port":1}"#,
    ),
    ("PUT", "/v1/agent/service/deregister/database-1", ""),
    ("PUT", "/v1/agent/check/fail/database-1:alive", ""),
    ("PUT", "/v1/agent/service/maintenance/database-1?enable=true", ""),
];

#[test]
fn no_policy_opens_what_is_not_mayflys() {
    let cluster = Cluster::new();
    let server = &cluster.servers[0];
    let database = serde_json::json!({
        "Name": "database", "ID": "database-1", "Port": 1,
        "Check": { "CheckID": "database-1:alive", "TTL": "1h", "Status": "passing" },
    });
    server.http("PUT", "/v1/agent/service/register", &database.to_string());
    server.http("PUT", "/v1/kv/passwords", "secret");
    let tokens = ["node", "coordinator", "people"].map(|name| (name, cluster.token_of(&policy(name))));
    for (name, token) in &tokens {
        // A token that a server has not heard of yet is denied everything, for another reason.
        wait::until("the server to know the token", secs(30), || {
            (server.status_as(token, "GET", "/v1/acl/token/self", "") == 200).then_some(())
        });
        for (method, path, body) in FORBIDDEN {
            let status = server.status_as(token, method, path, body);
            assert_eq!(status, 403, "{name}: {method} {path}");
        }
    }
    let instances = wait::until("the service in the catalog", secs(30), || {
        Some(server.instances("database")).filter(|found| !found.is_empty())
    });
    let checks = instances[0]["Checks"].as_array().unwrap();
    assert!(
        checks.iter().all(|check| check["Status"] == "passing"),
        "{checks:?}"
    );
    assert_eq!(server.http("GET", "/v1/kv/passwords?raw", ""), "secret");

    // Nobody takes out, or speaks for, who is not of his own kind.
    let kinds = [
        ("mayfly-coordinator", "coordinator"),
        ("mayfly-master", "node"),
        ("mayfly-worker", "node"),
    ];
    for (kind, owner) in kinds {
        let service = serde_json::json!({
            "Name": kind, "ID": kind, "Port": 1, "Check": { "CheckID": format!("{kind}:alive"), "TTL": "1h" },
        });
        server.http("PUT", "/v1/agent/service/register", &service.to_string());
        for (name, token) in &tokens {
            let wanted = if *name == owner { 200 } else { 403 };
            for path in [
                format!("check/pass/{kind}:alive"),
                format!("service/deregister/{kind}"),
            ] {
                let status = server.status_as(token, "PUT", &format!("/v1/agent/{path}"), "");
                assert_eq!(status, wanted, "{name}: {path}");
            }
            server.http("PUT", "/v1/agent/service/register", &service.to_string());
        }
    }
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

    let flags = ["--tls", "--consul", &url, "--consul-token-file", &coordinator];
    let flags = [&flags[..], &["--consul-node-token-file", &node]].concat();
    let serve = Serve::start_with(&home, &flags);
    let token = fs::read_to_string(&people).unwrap();
    let server = wait::until("the server in Consul", secs(30), || {
        super::found_coordinator(&url, Some(&token)).unwrap()
    });
    assert_eq!(server, serve.url);

    // Whoever launches knows Consul, whom to trust and what to show, and not where the server is.
    let job = Job::at_gate("with-acls", &home, &repo, "holds.py");
    let shown = home.scratch("people.token");
    fs::write(&shown, &serve.token).unwrap();
    let print = serve.fingerprint.as_deref().expect("a server with TLS");
    let by_consul = |print: &str, token: &str| {
        let mut command = home.command(&["launch", "--coordinator", "consul", "--consul", &url]);
        command.args(["--consul-token-file", &people, "--fingerprint", print]);
        home.start(command.args(["--token-file", token]).arg(job.write(&home)))
    };
    let foreign = format!("sha256:{}", "0".repeat(64));
    let shown = shown.display().to_string();
    // That it is in Consul is no reason to trust it, and none to be let in.
    by_consul(&foreign, &shown).wait(secs(60)).exited(3).said(&server);
    by_consul(print, &node)
        .wait(secs(60))
        .exited(2)
        .said("--token-file");
    home.assert_no_run();
    let mut launch = by_consul(print, &shown);
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
