//! Every call of the client, against a real Consul.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use mayfly_kit::consul::{Cas, Consul, ConsulFault, ConsulSettings, Health, Kind, Put, Query, Service};
use mayfly_tests::Consul as Server;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const AT_ONCE: Duration = Duration::ZERO;

pub(crate) fn open(server: &Server) -> Consul {
    Consul::open(&ConsulSettings::at(server.url())).unwrap()
}

fn service(name: &str) -> Service {
    Service {
        kind: Kind::Master,
        name: name.into(),
        address: "127.99.0.1:7077".parse().unwrap(),
        tags: vec![("run", "flights-abcdefgh".into()), ("attempt", "1".into())],
        // Nobody listens there.
        ready: Some("127.99.0.1:9464".parse().unwrap()),
        admin_port: Some(9464),
        ui_port: Some(8080),
    }
}

fn query() -> Query {
    Query {
        kind: Kind::Master,
        tags: vec![("run", "flights-abcdefgh".into())],
        from: HERE,
    }
}

#[tokio::test]
async fn keys_and_values() {
    let server = Server::dev();
    let consul = open(&server);
    let key = "jobs/daily_1.yml";
    assert_eq!(consul.get(key).await.unwrap(), None);
    assert!(consul.put(key, b"one".to_vec(), Cas::New).await.unwrap());
    assert!(!consul.put(key, b"two".to_vec(), Cas::New).await.unwrap());
    let read = consul.get(key).await.unwrap().unwrap();
    assert_eq!((&read.bytes[..], &read.session), (&b"one"[..], &None));
    let cas = Cas::Unchanged(read.modify_index);
    assert!(consul.put(key, b"two".to_vec(), cas).await.unwrap());
    assert!(
        !consul.put(key, b"three".to_vec(), cas).await.unwrap(),
        "it was changed"
    );
    assert_eq!(
        server.http("GET", "/v1/kv/mayfly/jobs/daily_1.yml?raw", ""),
        "two"
    );
    assert!(!consul.delete(key, read.modify_index).await.unwrap());

    for (name, value) in [("jobs/a/b.yml", "x"), ("other", "x")] {
        assert!(consul.put(name, value.into(), Cas::New).await.unwrap());
    }
    // What others have left there is not ours to read.
    for odd in ["jobs/a%20b", "jobs/a;b"] {
        server.http("PUT", &format!("/v1/kv/mayfly/{odd}"), "x");
    }
    assert_eq!(consul.list("jobs/").await.unwrap(), ["jobs/a/b.yml", key]);
    assert_eq!(consul.list("none/").await.unwrap(), [""; 0]);
    let index = consul.get(key).await.unwrap().unwrap().modify_index;
    assert!(consul.delete(key, index).await.unwrap());
    assert_eq!(consul.get(key).await.unwrap(), None);
}

#[tokio::test]
async fn another_prefix_names_services_and_keys() {
    let server = Server::dev();
    let settings = ConsulSettings {
        prefix: "team-a".into(),
        ..ConsulSettings::at(server.url())
    };
    let (team, other) = (Consul::open(&settings).unwrap(), open(&server));
    let service = Service {
        ready: None,
        ..service("flights-abcdefgh-master-1")
    };
    team.register(&service).await.unwrap();
    assert_eq!(server.services(), ["team-a-master"]);
    let instances = server.instances("team-a-master");
    assert_eq!(instances[0]["Service"]["ID"], "team-a-flights-abcdefgh-master-1");
    let seen = async |consul: &Consul| {
        consul
            .healthy(&query(), 0, AT_ONCE)
            .await
            .unwrap()
            .instances
            .len()
    };
    assert_eq!((seen(&team).await, seen(&other).await), (1, 0));

    assert!(team.put("jobs/a", b"x".to_vec(), Cas::New).await.unwrap());
    assert_eq!(server.http("GET", "/v1/kv/team-a/jobs/a?raw", ""), "x");
    assert_eq!(team.list("jobs/").await.unwrap(), ["jobs/a"]);
    assert_eq!(other.get("jobs/a").await.unwrap(), None);
    let session = team.create_session("node-1").await.unwrap();
    let lock = "runs/flights-abcdefgh/master/1";
    assert!(team.acquire(lock, b"1".to_vec(), &session).await.unwrap());
    server.http("GET", "/v1/kv/team-a/runs/flights-abcdefgh/master/1", "");
    team.deregister(&service).await.unwrap();
    assert_eq!(server.services(), [""; 0]);
}

#[tokio::test]
async fn the_datacenter_of_the_settings_is_the_one_that_is_asked() {
    let server = Server::dev();
    let of = |datacenter: &str| {
        let settings = ConsulSettings {
            datacenter: Some(datacenter.into()),
            ..ConsulSettings::at(server.url())
        };
        Consul::open(&settings).unwrap()
    };
    let own = of("dc1");
    assert!(own.put("jobs/a", b"x".to_vec(), Cas::New).await.unwrap());
    assert_eq!(own.list("jobs/").await.unwrap(), ["jobs/a"]);
    own.healthy(&query(), 0, AT_ONCE).await.unwrap();
    let session = own.create_session("node-1").await.unwrap();
    assert!(own.renew_session(&session).await.unwrap());

    let wrong = of("elsewhere");
    let put = |key: &str| Put {
        key: key.into(),
        value: b"x".to_vec(),
        cas: Cas::New,
    };
    for error in [
        wrong.get("jobs/a").await.expect_err("get"),
        wrong.list("jobs/").await.expect_err("list"),
        wrong
            .put("jobs/b", b"x".to_vec(), Cas::New)
            .await
            .expect_err("put"),
        wrong.put_all(&[put("jobs/b")]).await.expect_err("put_all"),
        wrong.delete("jobs/a", 1).await.expect_err("delete"),
        wrong.healthy(&query(), 0, AT_ONCE).await.expect_err("healthy"),
        wrong.create_session("node-1").await.expect_err("session"),
        wrong.renew_session(&session).await.expect_err("renew"),
        wrong.destroy_session(&session).await.expect_err("destroy"),
    ] {
        let name = "elsewhere".to_owned();
        assert_eq!(error.fault(), &ConsulFault::NoDatacenter { name }, "{error}");
        assert!(
            error.to_string().contains("the datacenter \"elsewhere\""),
            "{error}"
        );
    }
    assert_eq!(
        own.list("jobs/").await.unwrap(),
        ["jobs/a"],
        "it was asked of another"
    );
}

#[tokio::test]
async fn values_as_large_as_consul_takes_and_no_larger() {
    let server = Server::dev();
    let consul = open(&server);
    // Consul's own limit is for the value and nothing else.
    let value: Vec<u8> = (0..512 * 1024).map(|n| u8::try_from(n % 251).unwrap()).collect();
    assert!(consul.put("big", value.clone(), Cas::New).await.unwrap());
    assert_eq!(consul.get("big").await.unwrap().unwrap().bytes, value);
    let error = consul
        .put("bigger", vec![0; 512 * 1024 + 1], Cas::New)
        .await
        .unwrap_err();
    assert!(matches!(error.fault(), ConsulFault::Unsendable { .. }), "{error}");
    assert!(consul.put("empty", Vec::new(), Cas::New).await.unwrap());
    assert_eq!(consul.get("empty").await.unwrap().unwrap().bytes, b"");
}

#[tokio::test]
async fn several_keys_are_written_at_once_or_not_at_all() {
    let server = Server::dev();
    let consul = open(&server);
    let put = |key: &str, value: &str, cas| Put {
        key: key.into(),
        value: value.into(),
        cas,
    };
    let fresh = ["jobs/a", "jobs/b"].map(|key| put(key, "1", Cas::New));
    assert!(consul.put_all(&fresh).await.unwrap());
    assert!(!consul.put_all(&fresh).await.unwrap(), "they are there");
    let index = consul.get("jobs/a").await.unwrap().unwrap().modify_index;
    let was = Cas::Unchanged(index);
    let stale = [
        put("jobs/a", "2", was),
        put("jobs/b", "2", Cas::New),
        put("jobs/c", "2", Cas::New),
    ];
    assert!(!consul.put_all(&stale).await.unwrap());
    assert_eq!(consul.list("jobs/").await.unwrap(), ["jobs/a", "jobs/b"]);
    let right = [put("jobs/a", "\0é", was), put("jobs/c", "", Cas::New)];
    assert!(consul.put_all(&right).await.unwrap());
    assert_eq!(
        consul.get("jobs/a").await.unwrap().unwrap().bytes,
        "\0é".as_bytes()
    );
    assert_eq!(consul.get("jobs/c").await.unwrap().unwrap().bytes, b"");
    // The most that goes at once goes.
    let many: Vec<Put> = (0..64)
        .map(|n| put(&format!("many/{n}"), &"x".repeat(5_000), Cas::New))
        .collect();
    assert_eq!(mayfly_kit::consul::parts(&many), [&many[..]]);
    assert!(consul.put_all(&many).await.unwrap());
    let bad = [put("a b", "1", Cas::New), put("c", "1", Cas::New)];
    let error = consul.put_all(&bad).await.unwrap_err();
    assert!(matches!(error.fault(), ConsulFault::Unsendable { .. }), "{error}");
}

#[tokio::test]
async fn names_that_are_not_sent() {
    let server = Server::dev();
    let consul = open(&server);
    for key in [
        "",
        "../acl",
        "a/../../acl/token",
        "a b",
        "a\nb",
        "a%2fb",
        "a?raw",
        "/a",
        "a/",
    ] {
        let error = consul.get(key).await.unwrap_err();
        assert!(
            matches!(error.fault(), ConsulFault::Unsendable { .. }),
            "{key:?}: {error}"
        );
    }
    for name in ["x\n", "../..", "a b", "/..;", "é"] {
        let error = consul.register(&service(name)).await.unwrap_err();
        assert!(
            matches!(error.fault(), ConsulFault::Unsendable { .. }),
            "{name:?}: {error}"
        );
    }
    for address in ["0.0.0.0:7077", "10.0.0.1:0", "255.255.255.255:1"] {
        let mut service = service("m");
        service.address = address.parse().unwrap();
        assert!(consul.register(&service).await.is_err(), "{address}");
    }
    assert_eq!(server.services(), [""; 0]);
}

#[tokio::test]
async fn a_service_from_its_registration_to_its_end() {
    let server = Server::dev();
    let consul = open(&server);
    let service = service("flights-abcdefgh-master-1");
    assert!(
        !consul
            .report(&service, Health::Passing, "too early")
            .await
            .unwrap()
    );
    consul.register(&service).await.unwrap();
    assert!(
        consul
            .report(&service, Health::Passing, "the job\nruns")
            .await
            .unwrap()
    );

    let [shown] = &server.instances("mayfly-master")[..] else {
        panic!("one instance")
    };
    assert_eq!(shown["Service"]["ID"], "mayfly-flights-abcdefgh-master-1");
    assert_eq!(shown["Service"]["Port"], 7077);
    assert_eq!(
        shown["Service"]["Meta"],
        serde_json::json!({ "admin_port": "9464", "ui_port": "8080" })
    );
    assert_eq!(
        shown["Service"]["Tags"],
        serde_json::json!(["run=flights-abcdefgh", "attempt=1"])
    );
    let check = |id: &str| {
        let checks = shown["Checks"].as_array().unwrap();
        checks
            .iter()
            .find(|c| c["CheckID"].as_str().unwrap().ends_with(id))
            .unwrap()
            .clone()
    };
    assert_eq!(check(":alive")["Status"], "passing");
    // What it says is at the agent at once; the servers hear of it when its status changes, or minutes later.
    let checks = server.json("GET", "/v1/agent/checks", &serde_json::Value::Null);
    assert_eq!(
        checks["mayfly-flights-abcdefgh-master-1:alive"]["Output"],
        "the job\\nruns"
    );
    assert_eq!(
        check(":ready")["Status"],
        "critical",
        "nobody has asked its page yet"
    );

    // Not ready, so it is not found.
    let found = consul.healthy(&query(), 0, AT_ONCE).await.unwrap();
    assert_eq!((found.instances.len(), found.refused.len()), (0, 0));
    assert!(found.index > 0);
    assert!(consul.deregister(&service).await.unwrap());
    assert_eq!(server.services(), [""; 0]);
    consul.deregister(&service).await.unwrap();
}

#[tokio::test]
async fn a_check_that_is_not_made_any_more_does_not_fail_for_ever() {
    let server = Server::dev();
    let consul = open(&server);
    let earlier = service("flights-abcdefgh-master-1");
    let now = Service {
        ready: None,
        admin_port: None,
        ..earlier.clone()
    };
    consul.register(&earlier).await.unwrap();
    let found = consul.healthy(&query(), 0, AT_ONCE).await.unwrap();
    assert_eq!(found.instances, [], "nobody listens where its page shall be");
    consul.register(&now).await.unwrap();
    let [shown] = &server.instances("mayfly-master")[..] else {
        panic!("one instance")
    };
    assert_eq!(shown["Service"]["Meta"], serde_json::json!({ "ui_port": "8080" }));
    let found = consul.healthy(&query(), 0, AT_ONCE).await.unwrap();
    assert_eq!(found.instances.len(), 1, "{shown:#}");
}

#[tokio::test]
async fn a_query_that_blocks_returns_with_the_news_or_after_its_time() {
    let server = Server::dev();
    let consul = open(&server);
    let wait = Duration::from_millis(300);
    let mut index = consul.healthy(&query(), 0, AT_ONCE).await.unwrap().index;
    // A Consul that has just been started has news of its own.
    loop {
        let began = Instant::now();
        let next = consul.healthy(&query(), index, wait).await.unwrap();
        assert!(next.instances.is_empty());
        if next.index == index {
            assert!(began.elapsed() >= wait, "nothing has changed");
            break;
        }
        index = next.index;
    }
    let body = serde_json::json!({
        "Name": "mayfly-master", "ID": "m", "Address": "127.99.0.1", "Port": 7077,
        "Tags": ["run=flights-abcdefgh", "attempt=2"],
    });
    let began = Instant::now();
    server.http("PUT", "/v1/agent/service/register", &body.to_string());
    let news = loop {
        let next = consul
            .healthy(&query(), index, Duration::from_secs(30))
            .await
            .unwrap();
        if !next.instances.is_empty() {
            break next;
        }
        index = next.index;
    };
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(news.instances[0].address, "127.99.0.1:7077".parse().unwrap());
    assert_eq!(news.instances[0].tag("attempt"), Some("2"));
}

#[tokio::test]
async fn a_lock_belongs_to_one_session_at_a_time() {
    let server = Server::dev();
    let consul = open(&server);
    let (one, two) = (
        consul.create_session("node-1").await.unwrap(),
        consul.create_session("node-2").await.unwrap(),
    );
    let lock = "runs/flights-abcdefgh/master";
    assert!(consul.acquire(lock, b"1".to_vec(), &one).await.unwrap());
    assert!(!consul.acquire(lock, b"2".to_vec(), &two).await.unwrap());
    assert_eq!(
        consul.get(lock).await.unwrap().unwrap().session,
        Some(one.clone())
    );
    assert!(consul.renew_session(&one).await.unwrap());
    assert!(consul.release(lock, b"1".to_vec(), &one).await.unwrap());
    assert!(consul.acquire(lock, b"2".to_vec(), &two).await.unwrap());
    consul.destroy_session(&two).await.unwrap();
    assert!(!consul.renew_session(&two).await.unwrap());
    // What a session had locked does not stay behind.
    assert_eq!(consul.get(lock).await.unwrap(), None);
    // A session that has ended cannot take a lock.
    let taken = consul.acquire(lock, b"3".to_vec(), &two).await;
    assert!(!matches!(taken, Ok(true)), "{taken:?}");
}

#[tokio::test]
async fn a_consul_that_is_not_there() {
    let server = Server::absent();
    let consul = open(&server);
    let began = Instant::now();
    let error = consul.get("jobs/x").await.unwrap_err();
    assert_eq!(error.fault(), &ConsulFault::Connect, "{error}");
    assert!(error.to_string().contains(&server.url()), "{error}");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn over_tls_only_the_authority_of_the_settings_is_trusted() {
    let (server, other) = (Server::with_tls(), Server::with_tls());
    let open = |ca_file| {
        let settings = ConsulSettings {
            ca_file,
            ..ConsulSettings::at(server.https())
        };
        Consul::open(&settings)
    };
    let trusting = open(Some(server.authority())).unwrap();
    assert!(trusting.put("a", b"x".to_vec(), Cas::New).await.unwrap());
    for ca_file in [None, Some(other.authority())] {
        let error = open(ca_file).unwrap().get("a").await.unwrap_err();
        assert_eq!(error.fault(), &ConsulFault::Connect, "{error:?}");
    }
    let key = server.authority().with_file_name("consul-agent-ca-key.pem");
    for ca_file in [key, "/nonexistent/ca.pem".into(), "/dev/null".into()] {
        let Err(error) = open(Some(ca_file.clone())) else {
            panic!("{ca_file:?} was taken")
        };
        assert!(error.to_string().contains(&*ca_file.to_string_lossy()), "{error}");
    }
}
