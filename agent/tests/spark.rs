//! A real cluster of one master and two workers, and what happens to it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mayfly_agent::engine::spark::Engine;
use mayfly_agent::engine::{self, Context, Fleet, Job, Role};
use mayfly_agent::proctree::{Snapshot, kill_all};
use mayfly_agent::supervise::Keeper;
use mayfly_agent::supervise::{Exit, Line, Stream};
use mayfly_agent::toolchain::{self, Request};
use mayfly_proto::v1::NodeSpec;
use tokio::sync::mpsc;

const MEMORY: u64 = 2 << 30;

struct Cluster {
    folder: tempfile::TempDir,
    master: Engine,
    workers: Vec<Engine>,
    context: Context,
    lines: mpsc::Receiver<Line>,
    formed: Duration,
}

fn keeper() -> Keeper {
    PathBuf::from(env!("CARGO_BIN_EXE_agent")).into()
}

/// `network` keeps the tests of this file apart: they run side by side.
async fn form(network: u8, workers: u8) -> Cluster {
    let request = Request {
        cache: toolchain::default_cache(),
        spark: toolchain::SPARK_VERSION.into(),
        keeper: keeper(),
        python: String::new(),
    };
    let toolchain = toolchain::ensure(&request, |step| eprintln!("{}: {}", step.name, step.detail))
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (sender, lines) = mpsc::channel(100_000);
    let node = |n: u8| Context {
        toolchain: toolchain.clone(),
        keeper: keeper(),
        address: IpAddr::V4(Ipv4Addr::new(127, 250, network, n)),
        cores: 1,
        memory_bytes: MEMORY,
        folder: folder.path().join(format!("node-{n}")),
        secret: "s3cr3t-of-this-run".into(),
        conf: BTreeMap::from([("spark.sql.shuffle.partitions".into(), "2".into())]),
        env: BTreeMap::from([("JOB_SECRET".into(), "canary".into())]),
        python_bin: folder.path().join(format!("node-{n}/python/bin")),
        temporary: folder.path().join("tmp"),
        lines: sender.clone(),
        fleet: Fleet {
            definition: Arc::new(engine::definition(&NodeSpec::default()).unwrap()),
            ..Fleet::default()
        },
    };
    let began = Instant::now();
    let start = |n: u8, role| {
        std::fs::create_dir_all(folder.path().join(format!("node-{n}"))).unwrap();
        Engine::start(node(n), role).unwrap()
    };
    let master = start(1, Role::Master);
    let address = format!("127.250.{network}.1:7077");
    let workers: Vec<Engine> = (0..workers)
        .map(|n| {
            start(
                n + 2,
                Role::Worker {
                    master: address.clone(),
                },
            )
        })
        .collect();
    let mut status = master.status();
    let count = u32::try_from(workers.len()).unwrap();
    let up = status.wait_for(|status| status.alive_workers >= count || status.failed.is_some());
    let up = tokio::time::timeout(Duration::from_secs(90), up)
        .await
        .expect("the cluster forms")
        .unwrap()
        .clone();
    assert_eq!(up.failed, None);
    let formed = began.elapsed();
    Cluster {
        context: node(1),
        folder,
        master,
        workers,
        lines,
        formed,
    }
}

impl Cluster {
    fn job(&self, script: &str) -> Job {
        let code = self.folder.path().join("code");
        std::fs::create_dir_all(&code).unwrap();
        std::fs::write(code.join("job.py"), script).unwrap();
        Job {
            code,
            entry: "job.py".into(),
            args: vec!["an argument".into()],
            python: self.context.toolchain.python.clone(),
            env: BTreeMap::from([("MAYFLY_ATTEMPT".into(), "1".into())]),
            worker_cores: 1,
            worker_memory_bytes: MEMORY,
            ..Job::default()
        }
    }

    async fn run(&mut self, script: &str) -> (Exit, Vec<String>) {
        let child = self.master.submit(&self.job(script)).await.unwrap();
        let exit = tokio::time::timeout(Duration::from_secs(120), child.wait())
            .await
            .expect("the job ends");
        let mut said = Vec::new();
        while let Ok(line) = self.lines.try_recv() {
            if line.stream == Stream::Job {
                said.push(line.text);
            }
        }
        (exit, said)
    }

    async fn stop(self) {
        for engine in self.workers.into_iter().chain([self.master]) {
            engine.stop(Duration::from_secs(5)).await;
        }
    }
}

/// Processes whose command line has all of `words`.
fn processes(words: &[&str]) -> Vec<i32> {
    let me = i32::try_from(std::process::id()).unwrap();
    let has = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        !line.contains(" keep -- ") && words.iter().all(|word| line.contains(word))
    };
    Snapshot::take().descendants(me).into_iter().filter(has).collect()
}

fn command_lines(folder: &Path) -> String {
    let me = i32::try_from(std::process::id()).unwrap();
    let mut all = String::new();
    for pid in Snapshot::take().descendants(me) {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&*folder.to_string_lossy()) || line.contains("CoarseGrained") {
            all.push_str(&line);
            all.push('\n');
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_runs_on_two_workers_with_its_environment_and_no_secret_in_sight() {
    let began = Instant::now();
    let mut cluster = form(1, 2).await;
    let script = r#"
import os, sys, time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
sc = spark.sparkContext
def look(_):
    import os, socket
    time.sleep(0.3)
    return (os.environ["SPARK_LOCAL_IP"], os.environ["JOB_SECRET"], os.environ["MAYFLY_ATTEMPT"], sys.executable)
seen = set(sc.parallelize(range(4), 4).map(look).collect())
print("ARG", sys.argv[1])
print("SUM", spark.range(1000).selectExpr("sum(id)").first()[0])
for s in sorted(seen): print("SEEN", *s[:3])
print("FREE", sc.uiWebUrl)
"#;
    let folder = cluster.folder.path().to_path_buf();
    let mut seen = String::new();
    let watch = async {
        loop {
            seen.push_str(&command_lines(&folder));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let (exit, said) = tokio::select! {
        done = cluster.run(script) => done,
        () = watch => unreachable!("watches for ever"),
    };
    let lines = seen;
    assert!(exit.success(), "{exit:?} {said:#?}");
    eprintln!(
        "formed in {:?}, whole in {:?}, {said:#?}",
        cluster.formed,
        began.elapsed()
    );
    for line in [
        "ARG an argument",
        "SUM 499500",
        "SEEN 127.250.1.2 canary 1",
        "SEEN 127.250.1.3 canary 1",
    ] {
        assert!(said.iter().any(|said| said == line), "{line} is not in {said:#?}");
    }
    assert!(
        lines.contains("CoarseGrainedExecutorBackend"),
        "no executor was seen"
    );
    for secret in ["s3cr3t", "canary"] {
        assert!(!lines.contains(secret), "{lines}");
    }
    let events = cluster.folder.path().join("node-1/events");
    assert_eq!(std::fs::read_dir(events).unwrap().count(), 1);
    let begun = Instant::now();
    cluster.stop().await;
    eprintln!("stopped in {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn masters_workers_and_executors_may_die_while_a_job_runs() {
    let mut cluster = form(2, 2).await;
    let script = r#"
import time
from pyspark.sql import SparkSession
sc = SparkSession.builder.getOrCreate().sparkContext
print("BEGUN", flush=True)
def slow(x):
    time.sleep(1)
    return x
print("SUM", sc.parallelize(range(40), 40).map(slow).sum(), flush=True)
"#;
    let child = cluster.master.submit(&cluster.job(script)).await.unwrap();
    loop {
        let line = cluster.lines.recv().await.unwrap();
        if line.text == "BEGUN" {
            break;
        }
    }
    let addresses = ["--host 127.250.2.1", "--host 127.250.2.2", "127.250.2.3"];
    for (words, what) in [
        (["deploy.master.Master", addresses[0]], "master"),
        (["deploy.worker.Worker", addresses[1]], "worker"),
        (["CoarseGrainedExecutorBackend", addresses[2]], "executor"),
    ] {
        let mut victims = processes(&words);
        let began = Instant::now();
        while victims.is_empty() && began.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            victims = processes(&words);
        }
        assert!(!victims.is_empty(), "no {what} found");
        kill_all(&victims);
    }
    let exit = tokio::time::timeout(Duration::from_secs(180), child.wait())
        .await
        .expect("the job ends");
    let mut said = Vec::new();
    while let Ok(line) = cluster.lines.try_recv() {
        said.push(line.text);
    }
    assert!(exit.success(), "{exit:?} {said:#?}");
    assert!(said.iter().any(|line| line == "SUM 780"), "{said:#?}");
    assert_eq!(cluster.master.status().borrow().restarts, 1);
    assert_eq!(cluster.workers[0].status().borrow().restarts, 1);
    let mut status = cluster.master.status();
    let back = status.wait_for(|status| status.ready && status.alive_workers >= 2);
    tokio::time::timeout(Duration::from_secs(60), back)
        .await
        .expect("both workers are back")
        .unwrap();
    cluster.stop().await;
    assert!(processes(&["127.250.2."]).is_empty());
}
