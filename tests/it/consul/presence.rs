//! A service that is kept registered, without a cluster around it.

use std::time::Duration;

use mayfly_kit::consul::{Consul, ConsulSettings, Health, Kind, Presence, Service};
use mayfly_tests::Consul as Server;
use mayfly_tests::wait::{self, secs};

fn service(attempt: u32) -> Service {
    Service {
        kind: Kind::Worker,
        name: "a-abcdefgh-worker-1".into(),
        address: "127.99.0.1:8081".parse().unwrap(),
        tags: vec![("run", "a-abcdefgh".into()), ("attempt", attempt.to_string())],
        ready: Some("127.99.0.1:9464".parse().unwrap()),
        admin_port: Some(9464),
        ui_port: None,
    }
}

fn open(server: &Server) -> Presence {
    Presence::new(Consul::open(&ConsulSettings::at(server.url())).unwrap())
}

fn attempts(server: &Server) -> Vec<String> {
    let all = server.instances("mayfly-worker");
    all.iter()
        .map(|i| i["Service"]["Tags"][1].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn what_is_registered_follows_what_is_wanted() {
    let mut server = Server::dev();
    let mut presence = open(&server);
    let turn = async |presence: &mut Presence, attempt: Option<u32>| {
        presence
            .turn(attempt.map(service).as_ref(), Health::Passing, "well")
            .await
    };
    turn(&mut presence, None).await;
    assert!(!presence.is_shown());
    let next = turn(&mut presence, Some(1)).await;
    assert!(
        next < Duration::from_secs(6),
        "later than its check lives: {next:?}"
    );
    assert_eq!(attempts(&server), ["attempt=1"]);
    turn(&mut presence, Some(2)).await;
    assert_eq!(attempts(&server), ["attempt=2"]);
    // Somebody takes it out: it is there again at the next turn.
    server.http(
        "PUT",
        "/v1/agent/service/deregister/mayfly-a-abcdefgh-worker-1",
        "",
    );
    turn(&mut presence, Some(2)).await;
    assert_eq!(attempts(&server), ["attempt=2"]);

    server.kill();
    let retry = turn(&mut presence, Some(2)).await;
    assert!(retry < Duration::from_secs(2), "{retry:?}");
    assert!(presence.is_shown());
    assert!(presence.status().contains(&server.url()), "{}", presence.status());
    // What may be registered is taken out again, as soon as this can be said.
    turn(&mut presence, None).await;
    assert!(presence.is_shown());
    server.start();
    turn(&mut presence, None).await;
    assert!(!presence.is_shown());
    assert_eq!(presence.status(), "not registered");
    turn(&mut presence, Some(3)).await;
    assert_eq!(attempts(&server), ["attempt=3"]);
    turn(&mut presence, None).await;
    assert_eq!(attempts(&server), [""; 0]);
}

#[tokio::test]
async fn one_that_dies_without_a_word_is_forgotten_by_consul() {
    let server = Server::dev();
    let mut presence = open(&server);
    presence.turn(Some(&service(1)), Health::Passing, "well").await;
    drop(presence);
    // After 15 s of silence it is critical, and gone a minute or two after that.
    wait::until("the check to fail", secs(30), || {
        let [instance] = &server.instances("mayfly-worker")[..] else {
            panic!("one instance")
        };
        let mut checks = instance["Checks"].as_array().unwrap().iter();
        checks
            .any(|c| c["CheckID"].as_str().unwrap().ends_with(":alive") && c["Status"] == "critical")
            .then_some(())
    });
    wait::until("Consul to forget it", secs(180), || {
        attempts(&server).is_empty().then_some(())
    });
}
