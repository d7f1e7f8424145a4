//! The real `agent boot` on an instance whose metadata, coordinator and `poweroff` are ours.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy.toml does not count as such"
)]

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use mayfly_agent::boot::{BootError, Found};
use mayfly_kit::imds::Imds;
use mayfly_proto::v1::agent_service_server::{AgentService, AgentServiceServer};
use mayfly_proto::v1::{
    CarryDown, CarryUp, Desired, EnrollReply, EnrollRequest, Goal, LogBatch, NodeReport, NodeSpec,
    NoticeKind, PushLogsReply, SyncReply, SyncRequest,
};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request as Call, Response as Reply, Status, Streaming};

const PATIENCE: Duration = Duration::from_secs(30);
const META: &str = "/latest/meta-data";

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
struct Fake {
    admits: bool,
    goal: watch::Sender<Goal>,
    enrolled: watch::Sender<Option<EnrollRequest>>,
    heard: watch::Sender<NodeReport>,
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

struct Machine {
    folder: TempDir,
    pages: Pages,
    fake: Fake,
    metadata: String,
    agent: Option<Child>,
    _tasks: JoinSet<()>,
}

impl Machine {
    async fn new(admits: bool) -> Self {
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

    fn at(&self, name: &str) -> PathBuf {
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

    fn set(&self, path: &str, value: Option<&str>) {
        let mut pages = self.pages.lock().unwrap();
        match value {
            Some(value) => pages.insert(format!("{META}/{path}"), value.into()),
            None => pages.remove(&format!("{META}/{path}")),
        };
    }

    /// Starts it with nothing on its PATH but our `poweroff`.
    fn boot(&mut self, within_secs: u32) {
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

    fn log(&self) -> String {
        fs::read_to_string(self.at("agent.log")).unwrap_or_default()
    }

    fn marked(&self) -> bool {
        self.at("run/enrolled").exists()
    }

    fn poweroffs(&self) -> usize {
        let log = fs::read_to_string(self.at("poweroff.log")).unwrap_or_default();
        log.lines().count()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "never {what}: {}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The first try fails and the second is made.
    async fn powers_off(&mut self) {
        self.until("powered off twice", |machine| machine.poweroffs() >= 2)
            .await;
        let agent = self.agent.as_mut().unwrap();
        assert!(
            agent.try_wait().unwrap().is_none(),
            "it stays until the machine is gone"
        );
    }

    /// The inner process.
    fn node(&self) -> Option<Pid> {
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

#[tokio::test]
async fn a_node_that_is_released_powers_its_machine_off() {
    let mut machine = Machine::new(true).await;
    machine.set("tags/instance/mayfly:run", None);
    machine.boot(60);
    // Tags come late.
    machine.until("started", |machine| machine.node().is_some()).await;
    machine.set("tags/instance/mayfly:run", Some("iris-abcdefgh"));
    machine.until("taken in", Machine::marked).await;
    let asked = machine.fake.enrolled.borrow().clone().unwrap();
    assert_eq!(
        (asked.run_id.as_str(), asked.machine_id.as_str()),
        ("iris-abcdefgh", "i-0123456789abcdef0")
    );
    assert_eq!(
        (asked.join_token.as_str(), asked.address.as_str()),
        ("code-of-this-test", "127.0.0.1")
    );
    assert!(asked.private_results && asked.cores > 0 && asked.memory_bytes > 0);
    assert_eq!(machine.poweroffs(), 0);
    machine.fake.goal.send_replace(Goal::Leave);
    machine.powers_off().await;
}

#[tokio::test]
async fn a_node_that_is_not_taken_in_powers_its_machine_off() {
    let mut machine = Machine::new(false).await;
    machine.boot(60);
    machine.powers_off().await;
    assert!(
        !machine.marked() && machine.log().contains("this run is over"),
        "{}",
        machine.log()
    );
}

#[tokio::test]
async fn a_node_that_dies_powers_its_machine_off_and_so_does_the_next_one() {
    let mut machine = Machine::new(true).await;
    machine.boot(60);
    machine.until("taken in", Machine::marked).await;
    kill(machine.node().unwrap(), Signal::SIGKILL).unwrap();
    machine.powers_off().await;

    let outer = machine.agent.as_mut().unwrap();
    outer.kill().await.unwrap();
    let before = machine.poweroffs();
    machine.boot(60);
    machine
        .until("powered off again", |machine| machine.poweroffs() > before)
        .await;
    let alone =
        |machine: &Machine| machine.log().contains("has ended here before") && machine.node().is_none();
    machine.until("alone, and saying why", alone).await;
}

#[tokio::test]
async fn an_instance_without_metadata_powers_off_when_its_time_to_be_taken_in_is_up() {
    let mut machine = Machine::new(true).await;
    machine.metadata = "http://127.0.0.1:1".into();
    machine.boot(2);
    machine.powers_off().await;
}

#[tokio::test]
async fn a_node_whose_coordinator_hangs_powers_off_when_its_time_to_be_taken_in_is_up() {
    let mut machine = Machine::new(true).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    machine.set("tags/instance/mayfly:coordinator", Some(&url));
    machine.boot(2);
    machine.powers_off().await;
    assert!(!machine.marked());
}

#[tokio::test]
async fn an_instance_that_is_not_ours_keeps_its_power() {
    let mut machine = Machine::new(true).await;
    machine.set("tags/instance/managed-by", Some("terraform"));
    machine.boot(3);
    let status = timeout(PATIENCE, machine.agent.as_mut().unwrap().wait()).await;
    assert!(status.unwrap().unwrap().success(), "{}", machine.log());
    assert!(
        machine.log().contains("nothing is done here"),
        "{}",
        machine.log()
    );
    assert_eq!(machine.poweroffs(), 0);
}

/// Where metadata shows no tags at all, nobody knows whose machine it is.
#[tokio::test]
async fn an_instance_whose_tags_are_not_shown_says_so_and_keeps_its_power() {
    let mut machine = Machine::new(true).await;
    machine
        .pages
        .lock()
        .unwrap()
        .retain(|path, _| !path.contains("/tags/"));
    machine.boot(3);
    let status = timeout(PATIENCE, machine.agent.as_mut().unwrap().wait()).await;
    assert!(status.unwrap().unwrap().success(), "{}", machine.log());
    let log = machine.log();
    assert!(log.contains("no tag managed-by"), "{log}");
    assert_eq!(machine.poweroffs(), 0);
    assert!(machine.fake.enrolled.borrow().is_none());
}

#[tokio::test]
async fn a_run_whose_deadline_has_passed_takes_nobody_in() {
    let mut machine = Machine::new(true).await;
    machine.set("tags/instance/mayfly:deadline", Some("2026-01-01T00:00:00Z"));
    machine.boot(60);
    machine.powers_off().await;
    assert!(
        machine.log().contains("the deadline of the run passed"),
        "{}",
        machine.log()
    );
    assert!(machine.fake.enrolled.borrow().is_none());
}

#[tokio::test]
async fn a_node_told_to_end_by_the_system_ends_and_powers_off() {
    let mut machine = Machine::new(true).await;
    machine.boot(60);
    machine.until("taken in", Machine::marked).await;
    let outer = machine
        .agent
        .as_ref()
        .and_then(Child::id)
        .and_then(|pid| i32::try_from(pid).ok());
    kill(Pid::from_raw(outer.unwrap()), Signal::SIGTERM).unwrap();
    machine.powers_off().await;
    assert!(machine.node().is_none() || machine.log().contains("powering off"));
    // The shutdown that follows tells it to end once more.
    kill(Pid::from_raw(outer.unwrap()), Signal::SIGTERM).unwrap();
    let ended = timeout(PATIENCE, machine.agent.as_mut().unwrap().wait()).await;
    assert!(ended.unwrap().unwrap().success(), "{}", machine.log());
}

#[tokio::test]
async fn a_spot_instance_that_is_taken_away_says_so_within_two_seconds() {
    let mut machine = Machine::new(true).await;
    machine.set("instance-life-cycle", Some("spot"));
    machine.set("spot/instance-action", Some("{}"));
    machine.boot(60);
    machine.until("taken in", Machine::marked).await;
    let heard = |machine: &Machine| machine.fake.heard.borrow().notice;
    machine.set(
        "events/recommendations/rebalance",
        Some(r#"{"noticeTime":"2026-01-01T00:00:00Z"}"#),
    );
    let is = |kind: NoticeKind| {
        move |machine: &Machine| heard(machine).is_some_and(|notice| notice.kind() == kind)
    };
    machine.until("recommended", is(NoticeKind::Rebalance)).await;
    machine.set(
        "spot/instance-action",
        Some(r#"{"action":"terminate","time":"2100-01-01T00:00:00Z"}"#),
    );
    let began = Instant::now();
    machine.until("interrupted", is(NoticeKind::Interruption)).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    machine.set("spot/instance-action", None);
    assert!(heard(&machine).unwrap().remaining_ms > 0 && machine.poweroffs() == 0);
}

/// What is wrong, and what is said.
#[tokio::test]
async fn metadata_that_makes_no_sense_is_named() {
    let machine = Machine::new(true).await;
    let imds = Imds::at(&machine.metadata).unwrap();
    let huge = format!(r#"{{"padding":"{}"}}"#, "x".repeat(1 << 20));
    for (path, value, says) in [
        ("instance-id", "i-", "i- and 8 or 17"),
        ("instance-id", "i-0123456789abcdef01", "i- and 8 or 17"),
        ("instance-id", "i-0123456789abcdef0 ", "i- and 8 or 17"),
        ("instance-id", "i-deadbeef", "of this instance"),
        (
            "placement/region",
            "mars-north-1",
            "a zone of the instance's region",
        ),
        ("local-ipv4", "fe80::1", "an IPv4 address"),
        ("tags/instance/mayfly:run", "Iris", "the id of a run"),
        ("tags/instance/mayfly:role", "master\nworker", "master or worker"),
        ("tags/instance/mayfly:deadline", "tomorrow", "a time in UTC"),
        ("tags/instance/mayfly:store", "file:///x", "s3://BUCKET/PREFIX"),
        ("/latest/user-data", "#!/bin/sh", "a JSON object of version"),
        (
            "/latest/dynamic/instance-identity/document",
            "<html>",
            "an identity document",
        ),
        (
            "/latest/dynamic/instance-identity/document",
            r#"{"instanceId":"i-0123456789abcdef0","instanceId":"i-0123456789abcdef0"}"#,
            "duplicate field",
        ),
        (
            "/latest/dynamic/instance-identity/document",
            r#"{"instanceId":"i-0123456789abcdef0","region":"us-east-1","pendingTime":"2026-01-01T00:00:00Z"}"#,
            "of this instance and region",
        ),
        (
            "/latest/dynamic/instance-identity/document",
            r#"{"instanceId":"i-0123456789abcdef0","region":"eu-central-1","pendingTime":"yesterday"}"#,
            "an identity document",
        ),
        ("instance-id", "i-0123 456789abcde", "i- and 8 or 17"),
        ("placement/region", "eu central 1", "a region as eu-central-1"),
        (
            "tags/instance/mayfly:coordinator",
            "http://127.0.0.1:1\nhttp://evil",
            "mayfly:coordinator",
        ),
        (
            "tags/instance/mayfly:store",
            "s3://bucket/prefix\n",
            "s3://BUCKET/PREFIX",
        ),
        (
            "/latest/user-data",
            r#"{"version":1,"join_token":"abc","job_role":{"arn":"admin"}}"#,
            "job_role",
        ),
        (
            "/latest/dynamic/instance-identity/document",
            huge.as_str(),
            "longer than 65536 bytes",
        ),
    ] {
        let key = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{META}/{path}")
        };
        let good = machine
            .pages
            .lock()
            .unwrap()
            .insert(key.clone(), value.to_owned());
        let error = discover(&machine.at("site.json"), &imds).await.err();
        let error = mayfly_agent::collect::chain(&error.unwrap_or_else(|| panic!("{path} {value} is taken")));
        assert!(error.contains(says), "{path} {value:?}: {error}");
        machine.pages.lock().unwrap().insert(key, good.unwrap());
    }
    // An account as text, and a launch that is still to come by the date of the answer.
    let document = serde_json::json!({
        "accountId": "123456789012", "instanceId": "i-0123456789abcdef0", "region": "eu-central-1",
        "pendingTime": "2098-01-01T00:00:00Z",
    });
    let key = "/latest/dynamic/instance-identity/document".to_owned();
    machine.pages.lock().unwrap().insert(key, document.to_string());
    let found = discover(&machine.at("site.json"), &imds).await.unwrap();
    let Found::Node {
        config,
        spot: false,
        package_key: None,
    } = found
    else {
        panic!("not ours");
    };
    assert_eq!(config.store.prefix, "prefix/");
    assert!(config.deadline_secs.unwrap() > 365 * 24 * 3600);
}

/// An id of an older account, a line that ends, an account as text or as a number: AWS has had all of them.
#[tokio::test]
async fn metadata_that_is_odd_and_right_is_taken() {
    let machine = Machine::new(true).await;
    machine.set("instance-id", Some("i-deadbeef\n"));
    let imds = Imds::at(&machine.metadata).unwrap();
    for account in [
        serde_json::json!("012345678901"),
        serde_json::json!(123_456_789_012_u64),
    ] {
        let document = serde_json::json!({
            "accountId": account, "instanceId": "i-deadbeef", "region": "eu-central-1",
            "pendingTime": "2026-01-01T00:00:00Z", "kernelId": null,
        });
        let path = "/latest/dynamic/instance-identity/document".to_owned();
        machine.pages.lock().unwrap().insert(path, document.to_string());
        let found = discover(&machine.at("site.json"), &imds).await.unwrap();
        let Found::Node { config, .. } = found else {
            panic!("not ours");
        };
        assert_eq!(config.machine_id, "i-deadbeef");
        assert!(config.job_role.is_none());
    }
}

/// Once: what is wrong here does not get right.
async fn discover(site: &Path, imds: &Imds) -> Result<Found, BootError> {
    let now = Instant::now();
    mayfly_agent::boot::discover(site, imds, now, now).await
}
