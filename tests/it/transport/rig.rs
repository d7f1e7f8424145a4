//! The real server in this process, with a cloud that has no machines: its nodes are what the test says they are.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use mayfly_agent::identity::Door;
use mayfly_configs::Job;
use mayfly_coordinator::authority::Authority;
use mayfly_coordinator::cloud::{
    Admission, Cloud, CloudError, Clouds, Offered, Order, Pace, Plan, Sight, local,
};
use mayfly_coordinator::embedded::{self, OpenStore};
use mayfly_coordinator::grpc;
use mayfly_coordinator::home::Home;
use mayfly_coordinator::notify::Notify;
use mayfly_coordinator::run::{Role, Wanted};
use mayfly_coordinator::server::{Launch, Parts, Placement, Security, Server};
use mayfly_coordinator::tokens::Tokens;
use mayfly_coordinator::transport::{Gate, Limits, ServerTls, Source, Wished};
use mayfly_proto::{NodeId, RunId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Between two looks of whoever waits for something.
pub(super) const LOOK: Duration = Duration::from_millis(50);
const RUNS_MAX: usize = 2;

/// How long certificates last, from before their issue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lives {
    pub(super) node: Duration,
    pub(super) listener: Duration,
}

/// A cloud whose machines are never there; whoever comes is one of them, once it answers.
struct Nowhere(Arc<Listing>);

/// How the cloud answers to who is asked about.
pub(super) struct Listing {
    /// Whether it does.
    pub(super) answers: watch::Sender<bool>,
    /// Those that are waited for: now, and at most.
    pub(super) waiting: watch::Sender<Waiting>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waiting {
    pub(super) now: usize,
    pub(super) most: usize,
}

/// Somebody waits, until this is dropped: a call may be given up at any time.
struct Turn<'a>(&'a watch::Sender<Waiting>);

impl<'a> Turn<'a> {
    fn begin(waiting: &'a watch::Sender<Waiting>) -> Self {
        waiting.send_modify(|waiting| {
            waiting.now += 1;
            waiting.most = waiting.most.max(waiting.now);
        });
        Self(waiting)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| waiting.now -= 1);
    }
}

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

    async fn admit(&self, _run: &RunId, _node: &NodeId) -> Result<Admission, CloudError> {
        let _turn = Turn::begin(&self.0.waiting);
        let mut answers = self.0.answers.subscribe();
        // The sender is there as long as this.
        let _answered = answers.wait_for(|&answers| answers).await;
        Ok(Admission::Member)
    }

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

pub(super) struct Rig {
    pub(super) dir: TempDir,
    server: Arc<Server>,
    pub(super) run: RunId,
    pub(super) url: String,
    pub(super) fingerprint: String,
    pub(super) listing: Arc<Listing>,
    _store: OpenStore,
    _stop: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Rig {
    /// With a run of one worker.
    pub(super) async fn start(lives: Lives) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let store = embedded::open_store(home.path()).await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let authority = Arc::new(Authority::kept(&home).unwrap());
        let source = Source::Own {
            names: vec![address.ip().to_string()],
            life: lives.listener,
        };
        let tls = Arc::new(ServerTls::new(Arc::clone(&authority), source).unwrap());
        let fingerprint = tls.fingerprint();
        let url = format!("https://{address}");
        let listing = Arc::new(Listing {
            answers: watch::Sender::new(true),
            waiting: watch::Sender::default(),
        });
        let server = Server::new(Parts {
            clouds: Clouds::one(Offered {
                name: "nowhere",
                cloud: Arc::new(Nowhere(Arc::clone(&listing))),
                timing: local::timing(local::Patience::COMMAND),
            }),
            store: store.store.clone(),
            shelf: None,
            tokens: Tokens::kept(&home).unwrap(),
            home,
            url: url.clone(),
            security: Some(Security {
                authority,
                node_life: lives.node,
                fingerprint,
            }),
            runs_max: RUNS_MAX,
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
        let (run, _) = server.launch(launch("first")).await.unwrap();
        Self {
            dir,
            server,
            run,
            url,
            fingerprint: fingerprint.to_string(),
            listing,
            _store: store,
            _stop: stop,
            _tasks: tasks,
        }
    }

    /// Another run.
    pub(super) async fn launch(&self, request: &str) -> RunId {
        self.server.launch(launch(request)).await.unwrap().0
    }

    /// What a machine of this role shows when it comes.
    pub(super) fn token(&self, role: Role) -> String {
        self.server
            .tokens()
            .joining(&self.run)
            .token(role, Timestamp::now())
    }

    /// The agent's own door, with what the `node.json` of this node would say.
    pub(super) fn door(&self, run: &RunId, role: Role, machine: &str) -> Door {
        let joining = self.server.tokens().joining(run);
        let mut node = node_json(run, self.dir.path());
        node["role"] = role.name().into();
        node["machine_id"] = machine.into();
        node["coordinator"] = self.url.as_str().into();
        node["fingerprint"] = self.fingerprint.as_str().into();
        node["join_token"] = joining.token(role, Timestamp::now()).into();
        Door::new(&serde_json::from_value(node).unwrap(), false).unwrap()
    }
}

/// What a worker is started with, but for where its coordinator is and what it shows there.
pub(super) fn node_json(run: &RunId, folder: &Path) -> Value {
    json!({
        "run": run,
        "role": "worker",
        "machine_id": "worker-1",
        "coordinator": "",
        "join_token": "",
        "address": "127.0.0.1",
        "cores": 1,
        "memory_bytes": 1 << 30,
        "folder": folder,
        "shared": folder,
        "store": {
            "endpoint": null, "bucket": "b", "prefix": "", "region": "r",
            "access": { "keys": { "access_key": "", "secret_key": "" } },
        },
        "toolchain": {
            "spark_home": "/", "spark_version": "4.0.5", "scala_version": "2.13", "java": "/", "python": "/",
            "cds_archive": null,
        },
    })
}

fn launch(request: &str) -> Launch {
    let text = "idle:\n  code: {entry: main.py}\n  workers: {count: 1}\n";
    let job = mayfly_configs::parse_job("idle.yml", text, &|_| None, None, &[])
        .unwrap()
        .job;
    Launch {
        request_id: request.into(),
        job_json: serde_json::to_string(&job).unwrap(),
        job,
        commit: "0".repeat(40),
        bundle_key: Some("none".into()),
        owner: "test".into(),
        cloud: String::new(),
    }
}
