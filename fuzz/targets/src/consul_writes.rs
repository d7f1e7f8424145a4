//! What Consul answers to whoever writes: keys, many of them at once, locks, services and their checks, and its ACLs.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use mayfly_kit::consul::{
    Bootstrap, Cas, Consul, ConsulError, ConsulSettings, Health, Kind, Presence, Put, Service,
};

use crate::liar::{Answer, Liar, STATUS, parts};

static LIAR: LazyLock<Liar> = LazyLock::new(Liar::start);
static CONSUL: LazyLock<Consul> =
    LazyLock::new(|| Consul::open(&ConsulSettings::at(LIAR.address())).expect("settings"));

const UUID: &str = "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a";

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    // Two answers in turn: some calls look again when the first one says that something is there.
    let [first, first_body, second, second_body] = parts(bytes);
    let answers = [(first, first_body), (second, second_body)];
    let turn = AtomicUsize::new(0);
    let says = move |_: &str| {
        let (status, body) = &answers[turn.fetch_add(1, Ordering::SeqCst) % 2];
        let status = usize::from(status.first().copied().unwrap_or_default());
        Answer {
            status: STATUS[status % STATUS.len()],
            headers: "X-Consul-Index: 7\r\n".into(),
            body: body.clone(),
        }
    };
    LIAR.during(says, async {
        keys().await;
        acls().await;
        services().await;
    });
}

async fn keys() {
    let put = |key: &str| Put {
        key: key.into(),
        value: b"x".to_vec(),
        cas: Cas::New,
    };
    let _ = CONSUL.put_all(&[put("jobs/a"), put("jobs/b")]).await;
    let _ = CONSUL.delete("jobs/a", 7).await;
    if let Ok(session) = CONSUL.create_session("a-abcdefgh-worker-1").await {
        let _ = CONSUL.acquire("runs/a/master", b"x".to_vec(), &session).await;
        let _ = CONSUL.release("runs/a/master", b"x".to_vec(), &session).await;
    }
}

async fn acls() {
    match CONSUL.bootstrap().await {
        Ok(Bootstrap::Token(_) | Bootstrap::Closed { .. }) => {}
        Err(error) => says_where(&error),
    }
    if let Err(error) = CONSUL.ensure_policy("mayfly-node", "# none").await {
        says_where(&error);
    }
    let _ = CONSUL.ensure_token(UUID, "mayfly-node").await;
    let _ = CONSUL.set_agent_token(UUID).await;
}

/// Whoever reads an error learns which Consul it was.
#[track_caller]
fn says_where(error: &ConsulError) {
    let text = error.to_string();
    assert!(text.contains(LIAR.address()), "{text}");
}

/// Registered, fed, and taken out; whatever is answered, it ends hidden or is still to be hidden.
async fn services() {
    let service = Service {
        kind: Kind::Worker,
        name: "a-abcdefgh-worker-1".into(),
        address: SocketAddr::from(([10, 0, 0, 9], 7077)),
        tags: vec![("run", "a-abcdefgh".into())],
        ready: Some(SocketAddr::from(([10, 0, 0, 9], 9464))),
        admin_port: Some(9464),
        ui_port: Some(8080),
    };
    let mut presence = Presence::new(CONSUL.clone());
    for wanted in [Some(&service), Some(&service), None] {
        let next = presence.turn(wanted, Health::Passing, "ready").await;
        assert!(!next.is_zero(), "it would never rest");
        assert!(wanted.is_none() || presence.is_shown());
        let _ = presence.status();
    }
}
