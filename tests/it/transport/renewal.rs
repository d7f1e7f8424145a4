//! Certificates that end while somebody is connected: of nodes and of the listener. The real server in this process,
//! with a cloud that has no machines, since real lives are hours.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use mayfly_agent::attempt::Facts;
use mayfly_agent::identity::{Door, Session};
use mayfly_agent::metrics::Metrics;
use mayfly_agent::node::Event;
use mayfly_agent::notice::Notice;
use mayfly_agent::sync::{Report, Sources, Sync};
use mayfly_agent::upload;
use mayfly_agent::written::Written;
use mayfly_configs::Job;
use mayfly_coordinator::authority::Authority;
use mayfly_coordinator::cloud::{Cloud, CloudError, Clouds, Offered, Order, Pace, Plan, Sight, local};
use mayfly_coordinator::embedded::{self, OpenStore};
use mayfly_coordinator::grpc;
use mayfly_coordinator::home::Home;
use mayfly_coordinator::notify::Notify;
use mayfly_coordinator::run::{Role, Wanted};
use mayfly_coordinator::server::{Launch, Parts, Placement, Security, Server};
use mayfly_coordinator::tokens::Tokens;
use mayfly_coordinator::transport::{Gate, Limits, ServerTls, Source, Wished};
use mayfly_kit::admin::Admin;
use mayfly_proto::v1::{LogBatch, NodePhase, NodeReport, Usage};
use mayfly_proto::{NodeId, RunId};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::version::TLS13;
use tonic::{Code, Status};

use super::socket;

const LOOK: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(30);
/// Longest that a heartbeat may be without an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A certificate lasts half of such a short life from its issue, and is renewed at two thirds of that.
const NODE_LIFE: Duration = Duration::from_secs(20);
const LISTENER_LIFE: Duration = Duration::from_secs(6);

/// A cloud whose machines are never there.
struct Nowhere;

#[async_trait]
impl Cloud for Nowhere {
    async fn plan(&self, job: &Job) -> Result<Plan, CloudError> {
        Ok(Plan::as_ordered(job))
    }

    async fn arm(&self, _order: &Order) -> Result<(), CloudError> {
        Ok(())
    }

    async fn keep(&self, _run: &RunId, _wanted: Wanted, _until: Timestamp) -> Result<(), CloudError> {
        Ok(())
    }

    async fn end(&self, _run: &RunId, _node: &NodeId) -> Result<(), CloudError> {
        Ok(())
    }

    async fn observe(&self, _run: &RunId) -> Result<Sight, CloudError> {
        Ok(Sight::default())
    }

    async fn forget(&self, _run: &RunId) {}

    fn pace(&self) -> Pace {
        Pace {
            keeping: LOOK,
            releasing: LOOK,
        }
    }

    async fn release(&self, _run: &RunId) -> Result<(), CloudError> {
        Ok(())
    }
}

struct Rig {
    dir: TempDir,
    server: Arc<Server>,
    run: RunId,
    url: String,
    fingerprint: String,
    _store: OpenStore,
    _stop: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Rig {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let store = embedded::open_store(home.path()).await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let authority = Arc::new(Authority::kept(&home).unwrap());
        let source = Source::Own {
            names: vec![address.ip().to_string()],
            life: LISTENER_LIFE,
        };
        let tls = Arc::new(ServerTls::new(Arc::clone(&authority), source).unwrap());
        let fingerprint = tls.fingerprint();
        let url = format!("https://{address}");
        let server = Server::new(Parts {
            clouds: Clouds::one(Offered {
                name: "nowhere",
                cloud: Arc::new(Nowhere),
                timing: local::timing(local::Patience::COMMAND),
            }),
            store: store.store.clone(),
            shelf: None,
            tokens: Tokens::kept(&home).unwrap(),
            home,
            url: url.clone(),
            security: Some(Security {
                authority,
                node_life: NODE_LIFE,
                fingerprint,
            }),
            runs_max: 1,
            placement: Placement::Here,
            nodes_in_consul: None,
            notify: Notify::default(),
        });
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let gate = Gate::tls(
            listener,
            Arc::clone(&tls),
            Limits::of_this_process(Wished::default()),
        );
        let serving = Arc::clone(&server);
        tasks.spawn(async move {
            grpc::serve(serving, gate, axum::Router::new(), stopping)
                .await
                .unwrap();
        });
        tasks.spawn(async move { tls.keep_current().await });
        let (run, _) = server.launch(launch()).await.unwrap();
        Self {
            dir,
            server,
            run,
            url,
            fingerprint: fingerprint.to_string(),
            _store: store,
            _stop: stop,
            _tasks: tasks,
        }
    }

    /// The agent's own door, with what its `node.json` would say.
    fn door(&self) -> Door {
        let joining = self.server.tokens().joining(&self.run);
        let config = json!({
            "run": self.run,
            "role": "worker",
            "machine_id": "worker-1",
            "coordinator": self.url,
            "fingerprint": self.fingerprint,
            "join_token": joining.token(Role::Worker, Timestamp::now()),
            "address": "127.0.0.1",
            "cores": 1,
            "memory_bytes": 1 << 30,
            "folder": self.dir.path(),
            "shared": self.dir.path(),
            "store": { "endpoint": null, "bucket": "b", "prefix": "", "region": "r", "access": { "keys": { "access_key": "", "secret_key": "" } } },
            "toolchain": {
                "spark_home": "/", "spark_version": "4.0.5", "scala_version": "2.13", "java": "/", "python": "/",
                "cds_archive": null,
            },
        });
        Door::new(&serde_json::from_value(config).unwrap(), false).unwrap()
    }
}

fn launch() -> Launch {
    let text = "idle:\n  code: {entry: main.py}\n  workers: {count: 1}\n";
    let job = mayfly_configs::parse_job("idle.yml", text, &|_| None, None, &[])
        .unwrap()
        .job;
    Launch {
        request_id: "renewal".into(),
        job_json: serde_json::to_string(&job).unwrap(),
        job,
        commit: "0".repeat(40),
        bundle_key: Some("none".into()),
        owner: "test".into(),
        cloud: String::new(),
    }
}

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
            upload: watch::channel(upload::Progress::default()).1,
            written: watch::channel(Written::default()).1,
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
        let rig = Rig::start().await;
        let mut door = rig.door();
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
        let rig = Rig::start().await;
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
