//! Certificates that end while somebody is connected: of nodes and of the listener. The real server in this process,
//! since real lives are hours.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mayfly_agent::attempt::Facts;
use mayfly_agent::identity::{Door, Session};
use mayfly_agent::logs::Tail;
use mayfly_agent::metrics::Metrics;
use mayfly_agent::node::Event;
use mayfly_agent::notice::Notice;
use mayfly_agent::sync::{Report, Sources, Sync};
use mayfly_agent::upload;
use mayfly_agent::written::Written;
use mayfly_coordinator::run::Role;
use mayfly_kit::admin::Admin;
use mayfly_proto::v1::{LogBatch, NodePhase, NodeReport, Usage};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::version::TLS13;
use tonic::{Code, Status};

use super::rig::{LOOK, Lives, Rig};
use super::socket;

const LIMIT: Duration = Duration::from_secs(30);
/// Longest that a heartbeat may be without an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A certificate lasts half of such a short life from its issue, and is renewed at two thirds of that.
const NODE_LIFE: Duration = Duration::from_secs(20);
const LIVES: Lives = Lives {
    node: NODE_LIFE,
    listener: Duration::from_secs(6),
};

/// A line of the agent's own, which costs nothing and shows whether a session is taken.
async fn say(session: &Session) -> Result<(), Status> {
    let batch = LogBatch {
        run_id: session.run.to_string(),
        node_id: session.node.to_string(),
        attempt: 1,
        stream: "agent".into(),
        lines: vec!["here".into()],
        ..LogBatch::default()
    };
    let lines = session.request(futures::stream::iter([batch]));
    session.client().push_logs(lines).await.map(|_| ())
}

/// The agent's own heartbeat, from a node that does nothing.
fn heartbeat(
    door: Door,
    session: watch::Sender<Option<Session>>,
    events: mpsc::Sender<Event>,
) -> impl Future<Output = ()> {
    let admin = Admin::new();
    let report = Report {
        attempt: 0,
        role: None,
        report: NodeReport {
            phase: NodePhase::Preparing.into(),
            ..NodeReport::default()
        },
    };
    let sync = Sync {
        door,
        session,
        sources: Sources {
            node: watch::channel(report).1,
            facts: watch::channel(Facts::default()).1,
            usage: watch::channel(Usage::default()).1,
            tail: Tail::default(),
            upload: watch::channel(upload::Progress::default()).1,
            written: watch::channel(Written::default()).1,
            staged: Arc::default(),
            notice: watch::channel(Notice::None).1,
            admin_port: 0,
        },
        events,
        boot: tokio::time::Instant::now(),
        interval: LOOK,
        pulse: admin.watch("sync", LIMIT),
        metrics: Metrics::new(&admin),
    };
    sync.run()
}

async fn answered(events: &mut mpsc::Receiver<Event>) {
    let answer = timeout(PATIENCE, events.recv()).await;
    assert!(
        matches!(answer, Ok(Some(Event::Desired { .. }))),
        "the heartbeat has no answer: {answer:?}"
    );
}

#[test]
fn a_node_renews_its_certificate_before_it_ends() {
    Runtime::new().unwrap().block_on(async {
        let rig = Rig::start(LIVES).await;
        let mut door = rig.door(&rig.run, Role::Worker, "worker-1");
        let first = door.enrol().await.unwrap().session;
        let (session, newest) = watch::channel(Some(first.clone()));
        let (sender, mut events) = mpsc::channel(16);
        let mut tasks = JoinSet::new();
        tasks.spawn(heartbeat(door, session, sender));
        let began = Instant::now();
        // Who renews is answered all the time; who does not is refused, though its connection is still there.
        let refused = loop {
            answered(&mut events).await;
            if let Err(status) = say(&first).await {
                break status;
            }
            assert!(began.elapsed() < LIMIT, "a certificate that has ended is taken");
        };
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
        assert!(refused.message().contains("expired"), "{refused}");
        assert!(began.elapsed() > NODE_LIFE / 4, "it ended too soon");
        for _ in 0..10 {
            answered(&mut events).await;
        }
        let newest = newest.borrow().clone().unwrap();
        say(&newest).await.expect("the renewed session is taken");
    });
}

#[test]
fn the_listener_renews_its_certificate_and_drops_nobody() {
    Runtime::new().unwrap().block_on(async {
        let rig = Rig::start(LIVES).await;
        let address = rig.url.trim_start_matches("https://").to_owned();
        let client = socket::client(rig.dir.path(), &[&TLS13], None);
        let connect = async || {
            let stream = TcpStream::connect(&address).await?;
            socket::tls(&client, stream).await
        };
        let held = connect().await.unwrap();
        let leaf = held.get_ref().1.peer_certificates().unwrap()[0].clone();
        let held = socket::http2(held).await.unwrap();
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < LIMIT, "the certificate is not renewed");
            // One that fails is tried again: the machine may be slower than this short life.
            if let Ok(stream) = connect().await
                && stream.get_ref().1.peer_certificates().unwrap()[0] != leaf
            {
                break;
            }
            sleep(LOOK).await;
        }
        assert!(
            held.send.ready().await.is_ok(),
            "the renewal has cut a connection"
        );
    });
}
