//! What a definition offers, each key by what it does: daemons are shell commands, pages are served by the test.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mayfly_agent::config::Toolchain;
use mayfly_agent::engine::{Context, Engine, Fleet, Job, Python, Role, Status};
use mayfly_agent::supervise::Line;
use mayfly_proto::engine::{Definition, Peer};
use mayfly_proto::v1::Progress;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// For whatever is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(2);

/// A definition with what is said over one that is right.
fn definition(keys: Value) -> Definition {
    let mut all = json!({
        "name": "mine",
        "jobs": { ".sh": { "run": ["sh", "{entry}", "{args}"] } },
    });
    let more = keys.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(more);
    let definition: Definition = serde_json::from_value(all).unwrap();
    assert_eq!(definition.flaws(), []);
    definition
}

/// A shell command that is the daemon of a role.
fn daemon(script: &str) -> Value {
    json!({ "run": ["sh", "-c", script] })
}

/// One node of an engine.
struct Node {
    folder: tempfile::TempDir,
    engine: Engine,
    status: watch::Receiver<Status>,
    _python: watch::Sender<Option<Python>>,
    lines: mpsc::Receiver<Line>,
}

impl Node {
    fn start(definition: Definition, role: Role) -> Self {
        Self::at(definition, role, Ipv4Addr::new(127, 251, 0, 1))
    }

    fn at(definition: Definition, role: Role, address: Ipv4Addr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (sender, lines) = mpsc::channel(10_000);
        let code = folder.path().join("code");
        std::fs::create_dir(&code).unwrap();
        let context = Context {
            toolchain: Toolchain {
                spark_home: PathBuf::new(),
                spark_version: String::new(),
                scala_version: String::new(),
                java: PathBuf::new(),
                python: PathBuf::new(),
                cds_archive: None,
            },
            keeper: PathBuf::from(env!("CARGO_BIN_EXE_agent")).into(),
            address: IpAddr::V4(address),
            cores: 3,
            memory_bytes: 2048 << 20,
            folder: folder.path().into(),
            secret: "of-this-run".into(),
            conf: BTreeMap::new(),
            env: BTreeMap::from([("OF_THE_JOB".into(), "the job's".into())]),
            python_bin: PathBuf::new(),
            temporary: folder.path().join("tmp"),
            lines: sender,
            fleet: Fleet {
                definition: Arc::new(definition),
                node: if role == Role::Master {
                    "master-1"
                } else {
                    "worker-1"
                }
                .into(),
                run: "mine-0000000a".into(),
                attempt: 4,
                workers: 2,
                min_workers: 1,
                worker_cores: 5,
                worker_memory_bytes: 1024 << 20,
                results: folder.path().join("results"),
                code,
            },
        };
        let python = watch::Sender::new(Some(Python {
            program: "/of/the/node/python3".into(),
            path: Vec::new(),
        }));
        let engine = Engine::start(context, role, python.subscribe()).unwrap();
        Self {
            status: engine.status(),
            folder,
            engine,
            _python: python,
            lines,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn until(&mut self, what: &str, is: impl FnMut(&Status) -> bool) -> Status {
        let seen = timeout(PATIENCE, self.status.wait_for(is)).await;
        seen.unwrap_or_else(|_| panic!("not in time: {what}"))
            .unwrap()
            .clone()
    }

    /// The next line that holds the text.
    async fn says(&mut self, text: &str) -> String {
        let said = async {
            loop {
                let line = self.lines.recv().await.expect("the engine lives").text;
                if line.contains(text) {
                    return line;
                }
            }
        };
        timeout(PATIENCE, said)
            .await
            .unwrap_or_else(|_| panic!("nobody said {text:?}"))
    }

    /// What the job prints until it ends.
    async fn run(&mut self, script: &str, job: Job) -> Vec<String> {
        std::fs::write(self.path("code/job.sh"), format!("{script}\necho the end\n")).unwrap();
        let job = Job {
            code: self.path("code"),
            entry: "job.sh".into(),
            ..job
        };
        let child = self.engine.submit(&job).await.unwrap();
        assert!(
            timeout(PATIENCE, child.wait())
                .await
                .expect("the job ends")
                .success()
        );
        let mut said = Vec::new();
        while let Some(line) = self.lines.recv().await {
            if line.text == "the end" {
                return said;
            }
            said.push(line.text);
        }
        panic!("the engine is gone")
    }
}

/// Answers every request with what `answer` is at the time; tells how many have been answered.
async fn serve(
    address: SocketAddr,
    answer: watch::Receiver<(u16, String)>,
) -> (JoinSet<()>, watch::Receiver<u32>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let mut serving = JoinSet::new();
    let (count, answered) = watch::channel(0);
    serving.spawn(async move {
        loop {
            let Ok((mut asking, _)) = listener.accept().await else {
                return;
            };
            let _request = asking.read(&mut [0; 4096]).await;
            let (status, body) = answer.borrow().clone();
            let head = format!(
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _sent = asking.write_all(format!("{head}{body}").as_bytes()).await;
            count.send_modify(|answered| *answered += 1);
        }
    });
    (serving, answered)
}

fn worker() -> Role {
    Role::Worker {
        master: "127.251.0.9:7000".into(),
    }
}

/// Each sign is looked for: the daemon is not up before it is given.
#[tokio::test]
async fn a_daemon_is_up_when_its_sign_is_there() {
    let address = SocketAddr::from(([127, 251, 1, 1], 8100));
    for (ready, sign) in [
        (json!({ "file": "{folder}/up" }), "touch up"),
        (json!({ "line": "it is up" }), "echo now it is up, or so"),
        (json!({ "port": "main" }), "echo listen"),
        (
            json!({ "http": "http://{node.address}:{ports.main}/x" }),
            "echo answer",
        ),
    ] {
        let script = format!("echo begun; while [ ! -e go ]; do sleep 0.02; done; {sign}; exec sleep 1h");
        let mut daemon = daemon(&script);
        daemon["ready"] = ready.clone();
        daemon["ui"] = "main".into();
        let keys = json!({ "ports": { "main": 8100 }, "worker": daemon });
        let mut node = Node::at(definition(keys), worker(), Ipv4Addr::new(127, 251, 1, 1));
        node.says("begun").await;
        assert!(!node.status.borrow().ready, "{ready}");
        let answer = watch::Sender::new((503, String::new()));
        let serving = match sign {
            "echo answer" => Some(serve(address, answer.subscribe()).await),
            _ => None,
        };
        std::fs::write(node.path("engine/go"), "").unwrap();
        let listening = match sign {
            "echo listen" => {
                node.says("listen").await;
                assert!(!node.status.borrow().ready, "{ready}");
                Some(TcpListener::bind(address).await.unwrap())
            }
            _ => None,
        };
        if let Some((_, answered)) = &serving {
            let mut answered = answered.clone();
            // It asks again only when it has thought about the first answer.
            let twice = timeout(PATIENCE, answered.wait_for(|answered| *answered >= 2)).await;
            twice.expect("a second question").unwrap();
            assert!(!node.status.borrow().ready, "503 is no sign");
            answer.send_replace((204, String::new()));
        }
        let up = node.until(&ready.to_string(), |status| status.ready).await;
        assert_eq!(up.ui, "http://127.251.1.1:8100");
        node.engine.stop(GRACE).await;
        drop((listening, serving));
    }
}

#[tokio::test]
async fn without_a_daemon_or_a_sign_a_node_is_up_at_once() {
    for keys in [json!({}), json!({ "worker": daemon("exec sleep 1h") })] {
        let mut node = Node::start(definition(keys.clone()), worker());
        node.until(&keys.to_string(), |status| status.ready).await;
        node.engine.stop(GRACE).await;
    }
}

/// `drain` runs with the daemon's environment and its facts, and the daemon lives until it is told to stop.
#[tokio::test]
async fn a_worker_is_drained_before_its_machine_goes() {
    let script = "trap 'echo stopped; exit' TERM; echo begun; while :; do sleep 0.02; done";
    let keys = json!({
        "env": { "MINE": "of {node.name}" },
        "worker": daemon(script),
        "drain": ["sh", "-c", "echo \"$0 hands over, $MINE\"; exit 3", "{node.name}-{attempt}"],
    });
    let mut node = Node::start(definition(keys), worker());
    node.says("begun").await;
    node.engine.decommission();
    assert_eq!(
        node.says("hands over").await,
        "worker-1-4 hands over, of worker-1"
    );
    let status = node.status.borrow().clone();
    assert_eq!((status.ready, status.restarts, status.failed), (true, 0, None));
    let Node {
        engine, mut lines, ..
    } = node;
    engine.stop(GRACE).await;
    let mut last = Vec::new();
    while let Ok(line) = lines.try_recv() {
        last.push(line.text);
    }
    assert!(
        last.contains(&"stopped".to_owned()),
        "it does not end when it is told: {last:?}"
    );
}

#[tokio::test]
async fn a_worker_without_a_drain_goes_on() {
    let mut node = Node::start(
        definition(json!({ "worker": daemon("echo begun; exec sleep 1h") })),
        worker(),
    );
    node.says("begun").await;
    node.engine.decommission();
    node.engine.stop(GRACE).await;
}

#[tokio::test]
async fn a_worker_is_started_again_as_often_as_it_says() {
    let mut daemon = daemon("echo life >> lives; exit 7");
    daemon["restarts"] = 2.into();
    let mut node = Node::start(definition(json!({ "worker": daemon })), worker());
    let status = node
        .until("its last life", |status| status.failed.is_some())
        .await;
    assert_eq!(
        status.failed.unwrap(),
        "mine-worker ended with exit code 7, 3 times"
    );
    let lives = std::fs::read_to_string(node.path("engine/lives")).unwrap();
    assert_eq!(lives, "life\nlife\nlife\n");
}

/// What it knew is lost with it.
#[tokio::test]
async fn a_master_that_was_up_is_not_started_again() {
    let mut daemon = daemon("echo it is up; while [ ! -e go ]; do sleep 0.02; done; exit 7");
    daemon["restarts"] = 2.into();
    daemon["ready"] = json!({ "line": "it is up" });
    let mut node = Node::start(definition(json!({ "master": daemon })), Role::Master);
    node.until("up", |status| status.ready).await;
    std::fs::write(node.path("engine/go"), "").unwrap();
    let status = node.until("its end", |status| status.failed.is_some()).await;
    assert_eq!((status.ready, status.restarts), (false, 0));
    assert_eq!(status.failed.unwrap(), "mine-master ended with exit code 7");
}

#[tokio::test]
async fn the_master_counts_its_workers_and_tells_how_far_the_job_is() {
    let (ip, answer) = (
        Ipv4Addr::new(127, 251, 2, 1),
        watch::Sender::new((200, "[]".to_owned())),
    );
    let (serving, _) = serve(SocketAddr::from((ip, 8100)), answer.subscribe()).await;
    let mut daemon = daemon("exec sleep 1h");
    daemon["port"] = "main".into();
    let page = "http://{master.address}:{ports.main}/";
    let keys = json!({
        "ports": { "main": 8100 },
        "master": daemon,
        "joined": { "http": page, "count": "/there" },
        "progress": { "http": page, "done": "/tasks/done", "total": "/tasks/all" },
    });
    let mut node = Node::at(definition(keys), Role::Master, ip);
    let up = node.until("up", |status| status.ready).await;
    assert_eq!((up.address.as_str(), up.alive_workers), ("127.251.2.1:8100", 0));
    let (report, mut progress) = watch::channel(Progress::default());
    let mut following = JoinSet::new();
    following.spawn(node.engine.follow(report).expect("there is progress"));
    let body = json!({ "there": { "a": {}, "b": {} }, "tasks": { "done": 3, "all": ["1", "2", "3", "4"] } });
    answer.send_replace((200, body.to_string()));
    node.until("both workers", |status| status.alive_workers == 2)
        .await;
    let told = timeout(PATIENCE, progress.wait_for(|progress| progress.tasks_total > 0)).await;
    let told = told.expect("progress").unwrap().clone();
    assert_eq!((told.tasks_done, told.tasks_total), (3, 4));
    // What cannot be read is not known: what was told stands.
    answer.send_replace((500, String::new()));
    node.engine.stop(GRACE).await;
    drop(serving);
}

#[tokio::test]
async fn nobody_tells_how_far_a_job_is_without_progress() {
    let node = Node::start(definition(json!({})), Role::Master);
    assert!(
        node.engine
            .follow(watch::Sender::new(Progress::default()))
            .is_none()
    );
}

/// Variables, files, ports, the fleet, arguments: everything that a template may name on the master.
#[tokio::test]
async fn a_job_finds_variables_files_and_who_is_there() {
    let keys = json!({
        "ports": { "main": 8100 },
        "env": {
            "MINE": "{master.address}:{ports.main} {secret}",
            "OF_THE_JOB": "the engine's",
            "SIZES": "{node.cores} {node.memory_mib} {node.memory_bytes / 4} {workers.count} {workers.min} \
                      {workers.cores} {workers.memory_mib}",
            "WHO": "{run} {attempt} {node.name} {python}",
        },
        "files": {
            "plain.conf": { "text": "port {ports.main} {{}} {secret}\n" },
            "nodes": { "each_node": "{each.name} {each.address} {each.cores}" },
            "workers": { "each_worker": "{each.name}@{files.plain.conf}" },
        },
        "jobs": { ".sh": { "run": [
            "sh", "{entry}", "{files.plain.conf}", "{files.nodes}", "{files.workers}", "{args}", "{results}",
            "{workers.here} {workers.addresses} {nodes.addresses}",
        ] } },
    });
    let mut node = Node::start(definition(keys), Role::Master);
    node.until("up", |status| status.ready).await;
    let peer = |n: u8| Peer {
        name: format!("worker-{n}"),
        address: format!("127.251.0.{}", n + 1),
        cores: n.into(),
    };
    let job = Job {
        args: vec!["a b".into(), "$c".into()],
        python: "/of/the/job/python3".into(),
        workers: vec![peer(1), peer(2)],
        ..Job::default()
    };
    let script = r#"echo "$MINE"; echo "$OF_THE_JOB"; echo "$SIZES"; echo "$WHO"; cat "$1" "$2" "$3"; echo "$4|$5|$6|$7"
        stat -c %a "$1""#;
    let said = node.run(script, job).await;
    let file = node.path("engine/plain.conf");
    let at = |path: &Path| path.display().to_string();
    let expected = [
        "127.251.0.1:8100 of-this-run".to_owned(),
        "the job's".to_owned(),
        "3 2048 536870912 2 1 5 1024".to_owned(),
        "mine-0000000a 4 master-1 /of/the/job/python3".to_owned(),
        "port 8100 {} of-this-run".to_owned(),
        "master-1 127.251.0.1 3".to_owned(),
        "worker-1 127.251.0.2 1".to_owned(),
        "worker-2 127.251.0.3 2".to_owned(),
        format!("worker-1@{}", at(&file)),
        format!("worker-2@{}", at(&file)),
        format!(
            "a b|$c|{}|2 127.251.0.2,127.251.0.3 127.251.0.1,127.251.0.2,127.251.0.3",
            at(&node.path("results"))
        ),
        "400".to_owned(),
    ];
    assert_eq!(said, expected);
    node.engine.stop(GRACE).await;
}

#[tokio::test]
async fn the_folder_with_the_short_path_goes_with_the_engine() {
    let keys = json!({ "worker": daemon("exec sleep 1h"), "env": { "SOCKETS": "{short}" } });
    let mut node = Node::start(definition(keys), worker());
    node.until("up", |status| status.ready).await;
    let short = |node: &str| {
        let there = std::fs::read_dir("/tmp").unwrap().flatten();
        there
            .filter(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                name.contains("0000000a") && name.ends_with(node)
            })
            .count()
    };
    assert_eq!(short("worker-1"), 1);
    node.engine.stop(GRACE).await;
    assert_eq!(short("worker-1"), 0);
}

#[tokio::test]
async fn a_kind_says_whether_it_needs_a_class_and_what_is_no_kind_is_refused() {
    let keys = json!({ "jobs": {
        ".sh": { "run": ["sh", "{entry}", "{class}"], "class": true },
        "command": { "run": ["{command}"] },
    } });
    let mut node = Node::start(definition(keys), Role::Master);
    let refused = |entry: &str| Job {
        code: node.path("code"),
        entry: entry.into(),
        ..Job::default()
    };
    for (entry, says) in [
        ("job.sh", "entry job.sh needs `class`"),
        (
            "job.py",
            "the engine `mine` cannot run \"job.py\": it runs .sh, command",
        ),
    ] {
        let Err(error) = node.engine.submit(&refused(entry)).await else {
            panic!("{entry} runs")
        };
        assert!(error.message.contains(says), "{error}");
    }
    let job = Job {
        class: "org.example.Main".into(),
        ..Job::default()
    };
    assert_eq!(node.run("echo $1", job).await, ["org.example.Main"]);
    let command = Job {
        code: node.path("code"),
        command: vec!["echo".into(), "a word".into()],
        ..Job::default()
    };
    let child = node.engine.submit(&command).await.unwrap();
    assert!(timeout(PATIENCE, child.wait()).await.expect("it ends").success());
    assert_eq!(node.says("a word").await, "a word");
    node.engine.stop(GRACE).await;
}
