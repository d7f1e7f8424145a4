//! The real agent against a small coordinator and our own S3 server, over real sockets. Spark itself has its own tests.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, outside a test function"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mayfly_agent::config::{Access, NodeConfig, RoleName, StoreConfig, Toolchain};
use mayfly_kit::layout;
use mayfly_kit::records::Manifest;
use mayfly_kit::store::Store;
use mayfly_proto::v1::agent_service_server::{AgentService, AgentServiceServer};
use mayfly_proto::v1::{
    CarryDown, CarryUp, Code, Desired, EnrollReply, EnrollRequest, Goal, LogBatch, NodePhase, NodeReport,
    NodeSpec, PushLogsReply, SyncReply, SyncRequest,
};
use mayfly_proto::{Attempt, NodeId, RunId};
use mayfly_s3::{Config, Server};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

const TOKEN: &str = "session-token-of-this-test";
const SECRET: &str = "store-secret-of-this-test";
const PATIENCE: Duration = Duration::from_secs(60);

/// Says what it is told to say, and keeps what it hears.
#[derive(Clone)]
struct Fake {
    desired: watch::Sender<Option<Desired>>,
    heard: watch::Sender<Vec<SyncRequest>>,
    lines: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl AgentService for Fake {
    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollReply>, Status> {
        let request = request.into_inner();
        if request.join_token != "join-token" {
            return Err(Status::permission_denied("this is not the run's token"));
        }
        let code = Code {
            commit: "0".repeat(40),
            url: "https://127.0.0.1:1/r".into(),
            ..Code::default()
        };
        Ok(Response::new(EnrollReply {
            node_id: "worker-1".into(),
            session_token: TOKEN.into(),
            spec: Some(NodeSpec {
                engine: "spark".into(),
                code: Some(code),
                ..NodeSpec::default()
            }),
            sync_interval_ms: 100,
            ..EnrollReply::default()
        }))
    }

    async fn sync(&self, request: Request<SyncRequest>) -> Result<Response<SyncReply>, Status> {
        let authorization = request
            .metadata()
            .get("authorization")
            .and_then(|v| v.to_str().ok());
        if authorization != Some(&format!("Bearer {TOKEN}")) {
            return Err(Status::unauthenticated("no token"));
        }
        let request = request.into_inner();
        let seq = request.seq;
        self.heard.send_modify(|heard| heard.push(request));
        let desired = self.desired.borrow().clone();
        match desired {
            Some(desired) => Ok(Response::new(SyncReply {
                seq,
                desired: Some(desired),
            })),
            None => Err(Status::unavailable("silent")),
        }
    }

    async fn push_logs(
        &self,
        request: Request<Streaming<LogBatch>>,
    ) -> Result<Response<PushLogsReply>, Status> {
        let mut batches = request.into_inner();
        while let Some(batch) = batches.next().await {
            self.lines.lock().unwrap().extend(batch?.lines);
        }
        Ok(Response::new(PushLogsReply {}))
    }

    type CarryStream = tokio_stream::Empty<Result<CarryDown, Status>>;

    /// As a coordinator of before it.
    async fn carry(&self, _: Request<Streaming<CarryUp>>) -> Result<Response<Self::CarryStream>, Status> {
        Err(Status::unimplemented("it carries no pages"))
    }
}

impl Fake {
    fn tell(&self, goal: Goal, attempt: u32) {
        self.desired.send_replace(Some(Desired {
            attempt,
            goal: goal.into(),
            // Nobody listens there, so the engine of a worker never becomes ready.
            master_address: "127.0.0.1:1".into(),
            lease_ms: 2_000,
            deadline_ms: 600_000,
            grace_ms: 1_000,
            sync_interval_ms: 100,
            save_results: true,
            ..Desired::default()
        }));
    }

    /// The first report from now on that is of this phase.
    async fn phase(&self, phase: NodePhase) -> NodeReport {
        let mut heard = self.heard.subscribe();
        let last = |heard: &Vec<SyncRequest>| {
            heard
                .last()
                .and_then(|r| r.report.clone())
                .filter(|r| r.phase() == phase)
        };
        let found = timeout(PATIENCE, heard.wait_for(|heard| last(heard).is_some())).await;
        let found = found.unwrap_or_else(|_| panic!("never {phase:?}: {:?}", self.heard.borrow().last()));
        last(&found.unwrap()).unwrap()
    }
}

struct Rig {
    fake: Fake,
    store: Store,
    agent: Child,
    folder: TempDir,
    _server: Server,
    _tasks: JoinSet<()>,
}

async fn rig(join_token: &str) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Config {
        root: folder.path().join("store"),
        listen: "127.0.0.1:0".parse().unwrap(),
        access_key: "test".into(),
        secret_key: SECRET.into(),
        region: "us-east-1".into(),
    });
    let server = server.await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let coordinator = format!("http://{}", listener.local_addr().unwrap());
    let fake = Fake {
        desired: watch::Sender::new(None),
        heard: watch::Sender::new(Vec::new()),
        lines: Arc::default(),
    };
    let service = AgentServiceServer::new(fake.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let incoming = TcpListenerStream::new(listener);
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming)
            .await
            .unwrap();
    });
    let config = config(folder.path(), &server, coordinator, join_token);
    let store = Store::open(&config.store);
    store.ensure_bucket().await.unwrap();
    let file = folder.path().join("node.json");
    std::fs::write(&file, serde_json::to_vec(&config).unwrap()).unwrap();
    let agent = Command::new(env!("CARGO_BIN_EXE_agent"))
        .args(["run", "--config"])
        .arg(&file)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    Rig {
        fake,
        store,
        agent,
        folder,
        _server: server,
        _tasks: tasks,
    }
}

/// `java` is a program that sleeps: an engine that never becomes ready.
fn config(folder: &Path, server: &Server, coordinator: String, join_token: &str) -> NodeConfig {
    let java = folder.join("jdk/bin/java");
    std::fs::create_dir_all(java.parent().unwrap()).unwrap();
    std::fs::write(
        &java,
        format!("#!/bin/sh\necho the key is {SECRET}\nexec sleep 1000\n"),
    )
    .unwrap();
    std::fs::set_permissions(&java, std::fs::Permissions::from_mode(0o755)).unwrap();
    NodeConfig {
        run: run_id(),
        role: RoleName::Worker,
        machine_id: "machine".into(),
        coordinator,
        fingerprint: None,
        join_token: join_token.into(),
        address: "127.0.0.1".parse().unwrap(),
        cores: 1,
        memory_bytes: 1 << 30,
        folder: folder.join("node"),
        shared: folder.join("shared"),
        store: StoreConfig {
            endpoint: Some(format!("http://{}", server.addr())),
            bucket: "mayfly".into(),
            prefix: String::new(),
            region: "us-east-1".into(),
            access: Access::keys("test", SECRET),
        },
        toolchain: Toolchain {
            spark_home: folder.join("spark"),
            spark_version: "4.0.5".into(),
            scala_version: "2.13".into(),
            java,
            python: "/usr/bin/python3".into(),
            cds_archive: None,
        },
        consul: None,
        alone_secs: 120,
        deadline_secs: None,
        job_role: None,
        job_user: None,
    }
}

fn run_id() -> RunId {
    "flights-abcdefgh".parse().unwrap()
}

impl Rig {
    async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.agent.wait())
            .await
            .expect("the agent never ended")
            .unwrap()
    }

    /// Nothing whose command line names the rig's folder is left.
    fn nothing_left(&self) {
        let name = self.folder.path().display().to_string();
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            assert!(!command.contains(&name), "left: {command}");
        }
    }
}

#[tokio::test]
async fn a_node_collects_and_leaves_as_it_is_told() {
    let mut rig = rig("join-token").await;
    rig.fake.tell(Goal::Form, 1);
    rig.fake.phase(NodePhase::Preparing).await;
    let results = rig.folder.path().join("node/shared/results");
    let shown = rig.folder.path().join("shared/results");
    let one_of_them = async {
        while !results.exists() && !shown.exists() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, one_of_them).await.unwrap();
    let folder = if results.exists() { results } else { shown };
    std::fs::write(folder.join("x"), "xyz").unwrap();

    rig.fake.tell(Goal::Collect, 1);
    let report = rig.fake.phase(NodePhase::Collected).await;
    assert_eq!(report.failure, None);
    let manifest = layout::manifest(&run_id(), Attempt::FIRST, &NodeId::worker(1));
    let manifest = rig.store.get(&manifest).await.unwrap().expect("a manifest");
    let manifest: Manifest = serde_json::from_slice(&manifest.bytes).unwrap();
    let private = folder.starts_with(rig.folder.path().join("node"));
    assert_eq!(manifest.files.len(), usize::from(private));

    rig.fake.tell(Goal::Leave, 1);
    assert_eq!(rig.ended().await.code(), Some(0));
    rig.nothing_left();
    let logs = rig
        .store
        .list_all(&layout::logs(&run_id(), Attempt::FIRST), 100)
        .await
        .unwrap();
    assert!(!logs.is_empty(), "no logs in the store");
    for chunk in logs {
        let packed = rig.store.get(&chunk.key).await.unwrap().unwrap().bytes;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed[..]), &mut text).unwrap();
        assert!(!text.contains(SECRET), "{}: {text}", chunk.key);
    }
    assert!(
        !rig.fake
            .lines
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains(SECRET))
    );
    let heard = rig.fake.heard.borrow();
    assert!(
        heard.windows(2).all(|pair| pair[0].seq < pair[1].seq),
        "numbers do not grow"
    );
}

#[tokio::test]
async fn a_node_that_hears_nothing_ends_with_its_lease() {
    let mut rig = rig("join-token").await;
    rig.fake.tell(Goal::Form, 1);
    rig.fake.phase(NodePhase::Preparing).await;
    rig.fake.desired.send_replace(None);
    assert_eq!(rig.ended().await.code(), Some(3));
    rig.nothing_left();
}

#[tokio::test]
async fn a_higher_attempt_begins_again() {
    let mut rig = rig("join-token").await;
    rig.fake.tell(Goal::Form, 1);
    rig.fake.phase(NodePhase::Preparing).await;
    rig.fake.tell(Goal::Form, 2);
    let mut heard = rig.fake.heard.subscribe();
    let second = heard.wait_for(|heard| heard.last().is_some_and(|r| r.attempt == 2));
    timeout(PATIENCE, second)
        .await
        .expect("never in attempt 2")
        .unwrap();
    rig.fake.tell(Goal::Leave, 2);
    assert_eq!(rig.ended().await.code(), Some(0));
    rig.nothing_left();
}

#[tokio::test]
async fn a_node_that_is_not_taken_in_says_why_and_ends() {
    let mut rig = rig("forged").await;
    assert_eq!(rig.ended().await.code(), Some(1));
    assert!(rig.fake.heard.borrow().is_empty());
}
