//! bad-inputs.md, Consul: whole runs of nodes that are alike, whose Consul lies about locks, sessions and masters.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use mayfly_tests::procs::{self, Kind};
use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Launch, Repo, Run, slots, wait};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::timeout;

use super::election::alike;

const SESSION: &str = "11111111-1111-1111-1111-111111111111";
/// Of a node that there never was.
const OTHER_SESSION: &str = "22222222-2222-2222-2222-222222222222";
/// Less than a node waits for an answer.
const HELD: Duration = Duration::from_secs(4);
const NODES: usize = 3;

/// Whom it gives the lock to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lock {
    /// To all, and to all at once: each is told that it alone has it.
    Everybody,
    /// To nobody: a session that is none of theirs has it, or their own has just gone.
    Nobody,
}

/// What is not Consul, and answers as one.
struct Liar {
    url: String,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

struct Shared {
    lock: Lock,
    /// The nodes that have asked for it.
    asked: watch::Sender<BTreeSet<String>>,
    /// Whom it names as the master, and to how many it did.
    named: watch::Sender<Named>,
}

/// A master as it is registered.
#[derive(Debug, Clone)]
struct Named {
    id: String,
    address: String,
    attempt: u32,
    times: usize,
}

impl Default for Named {
    /// On a machine that was never of the fleet.
    fn default() -> Self {
        Self {
            id: "node-9".into(),
            address: "127.9.9.9".into(),
            attempt: 1,
            times: 0,
        }
    }
}

impl Liar {
    fn start(lock: Lock) -> Self {
        let shared = Arc::new(Shared {
            lock,
            asked: watch::Sender::default(),
            named: watch::Sender::default(),
        });
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            shared,
            _runtime: runtime,
        }
    }

    fn asked(&self) -> usize {
        self.shared.asked.borrow().len()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    body: String,
) -> (StatusCode, String) {
    let path = uri.path();
    let (status, said) = match (&method, path) {
        // The same one for all of them.
        (&Method::PUT, "/v1/session/create") => (200, json!({ "ID": SESSION }).to_string()),
        _ if path.starts_with("/v1/session/renew/") => shared.renewed(),
        (&Method::PUT, _) if path.starts_with("/v1/kv/") => shared.acquired(body).await,
        (&Method::GET, _) if path.starts_with("/v1/kv/") => (200, lock_of_another(path).to_string()),
        _ if path.starts_with("/v1/health/service/") => (200, shared.masters(&uri).to_string()),
        _ if path.starts_with("/v1/agent/") => (200, String::new()),
        _ => (200, "true".into()),
    };
    (StatusCode::from_u16(status).unwrap(), said)
}

impl Shared {
    async fn acquired(&self, node: String) -> (u16, String) {
        let number = {
            self.asked.send_if_modified(|asked| asked.insert(node));
            self.asked.borrow().len()
        };
        match self.lock {
            Lock::Everybody => {
                let all = |asked: &BTreeSet<String>| asked.len() == NODES;
                // Fewer have asked in time: the test says so.
                let mut news = self.asked.subscribe();
                let _all = timeout(HELD, news.wait_for(all)).await;
                (200, "true".into())
            }
            Lock::Nobody if number % 2 == 0 => (500, format!("invalid session {SESSION:?}")),
            Lock::Nobody => (200, "false".into()),
        }
    }

    /// Whatever is looked for is there.
    fn masters(&self, uri: &Uri) -> Value {
        self.named.send_modify(|named| named.times += 1);
        let named = self.named.borrow();
        let query = uri.query().unwrap_or_default().split('&');
        let wanted = query.filter_map(|pair| pair.strip_prefix("tag="));
        let tags: Vec<String> = wanted
            .map(|tag| tag.replace("%3D", "="))
            .chain(["engine=spark".into(), format!("attempt={}", named.attempt)])
            .collect();
        json!([{
            "Node": {}, "Checks": [],
            "Service": { "ID": named.id, "Address": named.address, "Port": 7077, "Tags": tags },
        }])
    }

    fn renewed(&self) -> (u16, String) {
        match self.lock {
            Lock::Everybody => (200, json!([{ "ID": SESSION }]).to_string()),
            Lock::Nobody => (404, String::new()),
        }
    }
}

fn lock_of_another(path: &str) -> Value {
    json!([{
        "Key": path.trim_start_matches("/v1/kv/"), "Value": "bm9kZS05", "Session": OTHER_SESSION,
        "LockIndex": 1, "Flags": 0, "CreateIndex": 1, "ModifyIndex": 1,
    }])
}

/// A run to its end; what its command said.
fn run_with(liar: &Liar, name: &str, before_the_end: impl FnOnce()) -> String {
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job: Job = alike(name, &home, &repo, "holds.py");
    let mut launch = home.launch_with(&job, &["--consul", &liar.url]);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(120), || home.heard("holds"));
    before_the_end();
    home.tell("go");
    let ended = launch.wait(secs(60));
    ended.exited(0);
    let receipt = run.assert_closed("succeeded");
    assert_eq!(
        (&receipt["attempts"], &receipt["release"]["machines_started"]),
        (&json!(1), &json!(NODES))
    );
    assert_eq!(run.commit().expect("a commit").files.len(), 1);
    ended.stderr
}

#[test]
fn all_nodes_are_told_that_they_have_the_lock_and_one_is_the_master() {
    let _slot = slots::take();
    let liar = Liar::start(Lock::Everybody);
    let said = run_with(&liar, "told-true", || {
        assert_eq!(liar.asked(), NODES, "not all of them were told so");
    });
    assert!(!said.contains("was chosen"), "no claim was taken: {said}");
}

#[test]
fn the_lock_is_held_by_nobody_of_the_run_and_a_master_is_chosen() {
    let _slot = slots::take();
    let liar = Liar::start(Lock::Nobody);
    let said = run_with(&liar, "told-false", || {
        assert_eq!(liar.asked(), NODES, "not all of them were told so");
    });
    assert!(
        said.contains("was chosen as the master of attempt 1"),
        "who was it then? {said}"
    );
}

/// The master of an attempt, once the coordinator has chosen it.
fn chosen(said: &str, attempt: u32) -> Option<String> {
    let choice = format!("was chosen as the master of attempt {attempt}");
    let line = said.lines().find(|line| line.contains(&choice))?;
    let mut words = line.split_whitespace();
    words.find(|word| word.starts_with("node-")).map(str::to_owned)
}

/// That of the first attempt, and its address.
fn first_master(run: &Run<'_>, launch: &Launch) -> (String, String) {
    let said = launch.stderr();
    let node = chosen(&said, 1).unwrap_or_else(|| panic!("nobody was chosen: {said}"));
    let record = run.record().expect("a record");
    let nodes = record["nodes"].as_array().expect("nodes");
    let node_of = nodes.iter().find(|one| one["node"] == node.as_str());
    let address = node_of.unwrap_or_else(|| panic!("{node} in {record:#}"))["address"].clone();
    (node, address.as_str().expect("an address").to_owned())
}

#[test]
fn the_master_that_is_named_is_a_machine_that_is_gone() {
    let _slot = slots::take();
    let liar = Liar::start(Lock::Nobody);
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = alike("named-dead", &home, &repo, "holds.py");
    let mut launch = home.launch_with(&job, &["--consul", &liar.url]);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(120), || home.heard("holds"));
    let (dead, address) = first_master(&run, &launch);
    // From now on it is healthy, and the master of the attempt that comes after its end.
    liar.shared.named.send_replace(Named {
        id: format!("mayfly-{}-{dead}", run.id),
        address,
        attempt: 2,
        times: 0,
    });
    fs::remove_file(home.gate().join("holds")).unwrap();
    procs::find(&run.id, Kind::Agent, Some(&dead), secs(10)).kill();
    let second = wait::until("the second choice", secs(120), || chosen(&launch.stderr(), 2));
    assert_ne!(second, dead, "who is dead was chosen again");
    launch.until("the job again", secs(120), || home.heard("holds"));
    assert!(liar.shared.named.borrow().times > 0, "nobody looked for a master");
    home.tell("go");
    let ended = launch.wait(secs(60));
    ended.exited(0);
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 2, "{receipt:#}");
    assert_eq!(run.commit().expect("a commit").attempt.number(), 2);
}
