//! A machine whose metadata, coordinator and `poweroff` are ours.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use mayfly_proto::v1::agent_service_server::{AgentService, AgentServiceServer};
use mayfly_proto::v1::{
    CarryDown, CarryUp, Desired, EnrollReply, EnrollRequest, Goal, LogBatch, NodeReport, NodeSpec,
    PushLogsReply, SyncReply, SyncRequest,
};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request as Call, Response as Reply, Status, Streaming};

use crate::PATIENCE;

pub(super) const META: &str = "/latest/meta-data";

/// What the metadata holds; it may be changed at any time.
type Pages = Arc<Mutex<HashMap<String, String>>>;

async fn metadata(State(pages): State<Pages>, request: Request) -> Response {
    if request.method() == Method::PUT {
        return "token==".into_response();
    }
    if request.headers().get("x-aws-ec2-metadata-token").is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let page = pages.lock().unwrap().get(request.uri().path()).cloned();
    page.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        axum::response::IntoResponse::into_response,
    )
}

/// A coordinator that takes nodes in, if it does, and wants them to do one thing.
#[derive(Clone)]
pub(super) struct Fake {
    admits: bool,
    pub(super) goal: watch::Sender<Goal>,
    pub(super) enrolled: watch::Sender<Option<EnrollRequest>>,
    pub(super) heard: watch::Sender<NodeReport>,
}

#[tonic::async_trait]
impl AgentService for Fake {
    async fn enroll(&self, request: Call<EnrollRequest>) -> Result<Reply<EnrollReply>, Status> {
        if !self.admits {
            return Err(Status::permission_denied("this run is over"));
        }
        self.enrolled.send_replace(Some(request.into_inner()));
        Ok(Reply::new(EnrollReply {
            node_id: "worker-1".into(),
            session_token: "session-of-this-test".into(),
            spec: Some(NodeSpec::default()),
            sync_interval_ms: 100,
            ..EnrollReply::default()
        }))
    }

    async fn sync(&self, request: Call<SyncRequest>) -> Result<Reply<SyncReply>, Status> {
        let desired = Desired {
            attempt: 1,
            goal: (*self.goal.borrow()).into(),
            lease_ms: 60_000,
            deadline_ms: 600_000,
            sync_interval_ms: 100,
            ..Desired::default()
        };
        let request = request.into_inner();
        self.heard.send_replace(request.report.unwrap_or_default());
        Ok(Reply::new(SyncReply {
            seq: request.seq,
            desired: Some(desired),
        }))
    }

    async fn push_logs(&self, _: Call<Streaming<LogBatch>>) -> Result<Reply<PushLogsReply>, Status> {
        Ok(Reply::new(PushLogsReply {}))
    }

    type CarryStream = tokio_stream::Empty<Result<CarryDown, Status>>;

    /// As a coordinator of before it.
    async fn carry(&self, _: Call<Streaming<CarryUp>>) -> Result<Reply<Self::CarryStream>, Status> {
        Err(Status::unimplemented("it carries no pages"))
    }
}

pub(super) struct Machine {
    folder: TempDir,
    pub(super) pages: Pages,
    pub(super) fake: Fake,
    pub(super) metadata: String,
    pub(super) agent: Option<Child>,
    _tasks: JoinSet<()>,
}

impl Machine {
    pub(super) async fn new(admits: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fake = Fake {
            admits,
            goal: watch::Sender::new(Goal::Form),
            enrolled: watch::Sender::new(None),
            heard: watch::Sender::new(NodeReport::default()),
        };
        let mut tasks = JoinSet::new();
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let coordinator = format!("http://{}", grpc.local_addr().unwrap());
        let service = AgentServiceServer::new(fake.clone());
        tasks.spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            server
                .serve_with_incoming(TcpListenerStream::new(grpc))
                .await
                .unwrap();
        });
        let pages: Pages = Arc::new(Mutex::new(pages(&coordinator)));
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let metadata = format!("http://{}", http.local_addr().unwrap());
        let app = Router::new()
            .fallback(self::metadata)
            .with_state(Arc::clone(&pages));
        tasks.spawn(async move { axum::serve(http, app).await.unwrap() });
        let machine = Self {
            folder,
            pages,
            fake,
            metadata,
            agent: None,
            _tasks: tasks,
        };
        machine.install();
        machine
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The site file, and a `poweroff` that fails at first and only notes that it was called.
    fn install(&self) {
        let root = self.folder.path().display();
        let site = serde_json::json!({
            "toolchain": {
                "spark_home": "/nowhere", "spark_version": "4.0.5", "scala_version": "2.13", "java": "/nowhere/java",
                "python": "/nowhere/python3", "cds_archive": null,
            },
            "folder": self.at("node"), "shared": self.at("shared"),
        });
        fs::write(self.at("site.json"), site.to_string()).unwrap();
        fs::create_dir(self.at("bin")).unwrap();
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {root}/poweroff.log\nif [ -e {root}/tried ]; then exit 0; fi\n: > {root}/tried\nexit 1\n"
        );
        let program = self.at("bin/poweroff");
        fs::write(&program, script).unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(super) fn set(&self, path: &str, value: Option<&str>) {
        let mut pages = self.pages.lock().unwrap();
        match value {
            Some(value) => pages.insert(format!("{META}/{path}"), value.into()),
            None => pages.remove(&format!("{META}/{path}")),
        };
    }

    /// Starts it with nothing on its PATH but our `poweroff`.
    pub(super) fn boot(&mut self, within_secs: u32) {
        let log = fs::File::create(self.at("agent.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
        command
            .args(["boot", &format!("--within-secs={within_secs}")])
            .env_clear()
            .env("PATH", self.at("bin"))
            .env("MAYFLY_SITE", self.at("site.json"))
            .env("MAYFLY_RUNTIME_DIR", self.at("run"))
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &self.metadata)
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.agent = Some(command.spawn().unwrap());
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.at("agent.log")).unwrap_or_default()
    }

    pub(super) fn marked(&self) -> bool {
        self.at("run/enrolled").exists()
    }

    pub(super) fn poweroffs(&self) -> usize {
        let log = fs::read_to_string(self.at("poweroff.log")).unwrap_or_default();
        log.lines().count()
    }

    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "never {what}: {}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The first try fails and the second is made.
    pub(super) async fn powers_off(&mut self) {
        self.until("powered off twice", |machine| machine.poweroffs() >= 2)
            .await;
        let agent = self.agent.as_mut().unwrap();
        assert!(
            agent.try_wait().unwrap().is_none(),
            "it stays until the machine is gone"
        );
    }

    /// The inner process.
    pub(super) fn node(&self) -> Option<Pid> {
        let outer = self.agent.as_ref()?.id()?;
        let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
        children
            .split_whitespace()
            .next()?
            .parse()
            .ok()
            .map(Pid::from_raw)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let pid = self.agent.as_ref().and_then(Child::id);
        if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn pages(coordinator: &str) -> HashMap<String, String> {
    let document = serde_json::json!({
        "accountId": 123_456_789_012_u64, "instanceId": "i-0123456789abcdef0", "region": "eu-central-1",
        "pendingTime": "2026-01-01T00:00:00Z", "padding": "x".repeat(10_000),
    });
    let user_data =
        serde_json::json!({ "version": 1, "join_token": "code-of-this-test", "fingerprint": null });
    let meta = [
        ("instance-id", "i-0123456789abcdef0"),
        ("instance-type", "m7g.large"),
        ("instance-life-cycle", "on-demand"),
        ("local-ipv4", "127.0.0.1"),
        ("placement/region", "eu-central-1"),
        ("placement/availability-zone", "eu-central-1a"),
        ("tags/instance/managed-by", "mayfly"),
        ("tags/instance/mayfly:run", "iris-abcdefgh"),
        ("tags/instance/mayfly:role", "worker"),
        ("tags/instance/mayfly:deadline", "2100-01-01T00:00:00Z"),
        ("tags/instance/mayfly:coordinator", coordinator),
        ("tags/instance/mayfly:store", "s3://bucket/prefix"),
    ];
    let meta = meta.map(|(path, text)| (format!("{META}/{path}"), text.to_owned()));
    let rest = [
        (
            "/latest/dynamic/instance-identity/document".to_owned(),
            document.to_string(),
        ),
        ("/latest/user-data".to_owned(), user_data.to_string()),
    ];
    meta.into_iter().chain(rest).collect()
}
