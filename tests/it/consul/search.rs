//! A real agent, whose coordinator does not name the master: it finds it in Consul, and drops it at the coordinator's word.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mayfly_agent::config::{Access, ConsulSettings, NodeConfig, RoleName, StoreConfig, Toolchain};
use mayfly_proto::v1::agent_service_server::{AgentService, AgentServiceServer};
use mayfly_proto::v1::{
    CarryDown, CarryUp, Code, Desired, EnrollReply, EnrollRequest, Goal, LogBatch, NodeSpec, PushLogsReply,
    SyncReply, SyncRequest,
};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Consul, programs};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

const RUN: &str = "searching-abcdefgh";
/// Runs of which nobody has cleaned up.
const DEAD_RUNS: usize = 1_000;

/// Says what it is told to say; without a word it is silent.
#[derive(Clone)]
struct Coordinator(watch::Receiver<Option<Desired>>);

#[tonic::async_trait]
impl AgentService for Coordinator {
    type CarryStream = futures::stream::Empty<Result<CarryDown, Status>>;

    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollReply>, Status> {
        let code = Code {
            commit: "0".repeat(40),
            // It is the join token that says where.
            url: request.into_inner().join_token,
            ..Code::default()
        };
        let spec = NodeSpec {
            engine: "spark".into(),
            code: Some(code),
            ..NodeSpec::default()
        };
        Ok(Response::new(EnrollReply {
            node_id: "worker-1".into(),
            session_token: "session".into(),
            spec: Some(spec),
            sync_interval_ms: 100,
            ..EnrollReply::default()
        }))
    }

    async fn sync(&self, request: Request<SyncRequest>) -> Result<Response<SyncReply>, Status> {
        let desired = self.0.borrow().clone();
        let silent = || Status::unavailable("silent");
        Ok(Response::new(SyncReply {
            seq: request.into_inner().seq,
            desired: Some(desired.ok_or_else(silent)?),
        }))
    }

    async fn push_logs(&self, _: Request<Streaming<LogBatch>>) -> Result<Response<PushLogsReply>, Status> {
        Err(Status::unimplemented("nobody watches"))
    }

    async fn carry(&self, _: Request<Streaming<CarryUp>>) -> Result<Response<Self::CarryStream>, Status> {
        Err(Status::unimplemented("nobody looks"))
    }
}

fn told(goal: Goal, master: &str) -> Option<Desired> {
    Some(Desired {
        attempt: 1,
        goal: goal.into(),
        master_address: master.into(),
        lease_ms: 120_000,
        deadline_ms: 600_000,
        grace_ms: 500,
        sync_interval_ms: 100,
        ..Desired::default()
    })
}

struct Worker {
    agent: Child,
    folder: TempDir,
    consul: Consul,
    say: watch::Sender<Option<Desired>>,
    _runtime: Runtime,
}

impl Worker {
    fn start(consul: Consul) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let (say, said) = watch::channel(told(Goal::Form, ""));
        let coordinator = runtime.block_on(async {
            let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let url = format!("http://{}", incoming.local_addr().unwrap());
            let service = AgentServiceServer::new(Coordinator(said));
            let server = tonic::transport::Server::builder().add_service(service);
            runtime.spawn(server.serve_with_incoming(incoming));
            url
        });
        // A Git server that takes the connection and is silent: the worker prepares for as long as the test takes.
        let git = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("https://{}/code", git.local_addr().unwrap());
        runtime.spawn(async move {
            let mut held = Vec::new();
            while let Ok(taken) = git.accept().await {
                held.push(taken);
            }
        });
        let config = config(folder.path(), &consul, coordinator, url);
        let file = folder.path().join("node.json");
        fs::write(&file, serde_json::to_vec(&config).unwrap()).unwrap();
        let log = fs::File::create(folder.path().join("agent.log")).unwrap();
        let agent = Command::new(programs::path("agent"))
            .args(["run", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            agent,
            folder,
            consul,
            say,
            _runtime: runtime,
        }
    }

    /// The masters that the engine was started with so far.
    fn masters(&self) -> Vec<String> {
        let said = fs::read_to_string(started(self.folder.path())).unwrap_or_default();
        let masters = said
            .split_whitespace()
            .filter_map(|word| word.strip_prefix("spark://"));
        masters.map(str::to_owned).collect()
    }

    fn wait_masters(&self, masters: &[&str]) {
        wait::until(&format!("masters {masters:?}"), secs(30), || {
            let now = self.masters();
            assert!(
                masters.join(" ").starts_with(&now.join(" ")),
                "{now:?} instead of {masters:?}"
            );
            (now == masters).then_some(())
        });
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Its keepers end what it had started.
        drop(self.agent.kill());
        drop(self.agent.wait());
        if std::thread::panicking() {
            eprintln!(
                "{}",
                fs::read_to_string(self.folder.path().join("agent.log")).unwrap_or_default()
            );
        }
    }
}

fn started(folder: &Path) -> PathBuf {
    folder.join("started")
}

/// `java` is a program that notes what it was started with, and sleeps.
fn config(folder: &Path, consul: &Consul, coordinator: String, code: String) -> NodeConfig {
    let java = folder.join("jdk/bin/java");
    fs::create_dir_all(java.parent().unwrap()).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {}\nexec sleep 1000\n",
        started(folder).display()
    );
    let text = folder.join("java.sh");
    fs::write(&text, script).unwrap();
    // Written by another process, so that none of ours can be holding it open while it is started.
    programs::must(Command::new("install").arg("-m755").args([&text, &java]));
    NodeConfig {
        run: RUN.parse().unwrap(),
        role: RoleName::Worker,
        machine_id: "machine".into(),
        coordinator,
        fingerprint: None,
        join_token: code,
        address: host(1).parse().unwrap(),
        cores: 1,
        memory_bytes: 1 << 30,
        folder: folder.join("node"),
        shared: folder.join("shared"),
        store: StoreConfig {
            endpoint: Some("http://127.0.0.1:1".into()),
            bucket: "mayfly".into(),
            prefix: String::new(),
            region: "us-east-1".into(),
            access: Access::keys("test", "secret-of-this-test"),
        },
        toolchain: Toolchain {
            spark_home: folder.join("spark"),
            spark_version: "4.0.5".into(),
            scala_version: "2.13".into(),
            java,
            python: "/usr/bin/python3".into(),
            cds_archive: None,
        },
        consul: Some(ConsulSettings::at(consul.url())),
        alone_secs: 120,
        deadline_secs: None,
        job_role: None,
        job_user: None,
    }
}

/// An address of this test's own.
fn host(n: u8) -> String {
    let [_, _, _, low] = std::process::id().to_be_bytes();
    format!("127.15.{low}.{n}")
}

/// Where the engine of a master is.
fn engine(n: u8) -> String {
    format!("{}:7077", host(n))
}

/// Registers what says that it is a master.
fn claim(consul: &Consul, id: &str, address: &str, tags: &[&str]) {
    let tags = [&["role=master", "engine=spark"], tags].concat();
    let service = json!({
        "Name": "mayfly-master", "ID": id, "Address": address, "Port": 7077, "Tags": tags,
    });
    consul.http("PUT", "/v1/agent/service/register", &service.to_string());
}

fn withdraw(consul: &Consul, id: &str) {
    consul.http("PUT", &format!("/v1/agent/service/deregister/{id}"), "");
}

#[test]
fn a_worker_finds_its_master_while_the_coordinator_is_silent() {
    let consul = Consul::dev();
    let run = format!("run={RUN}");
    // What must not be believed: other runs, other attempts, addresses that are none, and two where there can be one.
    claim(
        &consul,
        "other-run",
        &host(5),
        &["run=searching-bbbbbbbb", "attempt=1"],
    );
    for dead in 0..DEAD_RUNS {
        let run = format!("run=dead-{dead:08}");
        claim(&consul, &format!("dead-{dead}"), &host(5), &[&run, "attempt=1"]);
    }
    claim(&consul, "stale", &host(6), &[&run, "attempt=7"]);
    claim(&consul, "nowhere", "master.example.org", &[&run, "attempt=1"]);
    claim(&consul, "metadata", "169.254.169.254", &[&run, "attempt=1"]);
    claim(&consul, "both", &host(7), &[&run, "attempt=1", "attempt=7"]);
    claim(&consul, "one", &host(8), &[&run, "attempt=1"]);
    claim(&consul, "two", &host(9), &[&run, "attempt=1"]);
    let mut worker = Worker::start(consul);
    wait::until("the worker in Consul", secs(30), || {
        (!worker.consul.instances("mayfly-worker").is_empty()).then_some(())
    });
    worker.say.send_replace(None);
    withdraw(&worker.consul, "two");
    worker.wait_masters(&[&engine(8)]);
    // It has moved.
    claim(&worker.consul, "one", &host(10), &[&run, "attempt=1"]);
    worker.wait_masters(&[&engine(8), &engine(10)]);
    // The coordinator is there again, and knows better.
    worker.say.send_replace(told(Goal::Form, &engine(11)));
    worker.wait_masters(&[&engine(8), &engine(10), &engine(11)]);
    // From here on nobody asks Consul, which names yet another one.
    claim(&worker.consul, "one", &host(12), &[&run, "attempt=1"]);

    worker.say.send_replace(told(Goal::Leave, ""));
    wait::until("the end of the agent", secs(30), || {
        worker.agent.try_wait().unwrap()
    });
    assert_eq!(worker.masters().len(), 3, "{:?}", worker.masters());
    assert!(
        worker.consul.instances("mayfly-worker").is_empty(),
        "left in Consul"
    );
}
