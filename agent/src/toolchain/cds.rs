//! The AppCDS archive: classes of Spark, parsed and verified once and then mapped into each JVM.
//!
//! Made from the classes that one run each of Master, Worker, driver and executor loads. It is an optimisation only: when
//! anything goes wrong here there is no archive, and everything works without it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Request, Step, unfinished};
use crate::command::Command;
use crate::config::Toolchain;
use crate::engine::spark::{Classes, Engine, class_path};
use crate::engine::{self, Context, Fleet, Job, Role};
use crate::supervise::Line;

const TRAINING: &str = include_str!("training.py");
const RECORD_MAX: Duration = Duration::from_secs(240);
const DUMP_MAX: Duration = Duration::from_secs(240);
/// An address of its own, far from those that nodes are given.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 251, 17, 1));
const MEMORY_BYTES: u64 = 2 << 30;

/// The archive's path, made now when it is not there; `None` when it cannot be made.
pub(super) async fn archive(
    request: &Request,
    toolchain: &Toolchain,
    java_version: &str,
    progress: &mut impl FnMut(Step),
) -> Option<PathBuf> {
    let path = request.cache.join(format!(
        "classes-{}-{}.jsa",
        toolchain.spark_version,
        fingerprint(toolchain, java_version)
    ));
    if path.is_file() {
        return Some(path);
    }
    progress(Step {
        name: "cds",
        detail: "making an archive of Spark's classes, for faster starts (about a minute)".into(),
    });
    match make(request, toolchain, &path).await {
        Ok(()) => Some(path),
        Err(why) => {
            tracing::info!(why, "no class archive");
            progress(Step {
                name: "cds",
                detail: format!("no archive, starts will be slower: {why}"),
            });
            None
        }
    }
}

/// Of what an archive depends on: the JVM, and each JAR by name, size and time.
fn fingerprint(toolchain: &Toolchain, java_version: &str) -> String {
    let jars = std::fs::read_dir(toolchain.spark_home.join("jars"))
        .into_iter()
        .flatten()
        .flatten();
    let jars: BTreeSet<String> = jars
        .map(|jar| {
            format!(
                "{:?} {:?}",
                jar.file_name(),
                jar.metadata().map(|meta| (meta.len(), meta.modified().ok())).ok()
            )
        })
        .collect();
    let hash = Sha256::digest(format!("{java_version}\n{}\n{jars:?}", toolchain.java.display()));
    data_encoding::HEXLOWER.encode(&hash).chars().take(12).collect()
}

async fn make(request: &Request, toolchain: &Toolchain, path: &Path) -> Result<(), String> {
    let folder = unfinished(&request.cache).map_err(|error| error.to_string())?;
    let lists = folder.path().join("lists");
    std::fs::create_dir(&lists).map_err(|error| error.to_string())?;
    timeout(RECORD_MAX, record(request, toolchain, folder.path(), &lists))
        .await
        .map_err(|_| "the training run hangs")??;
    let merged = folder.path().join("classes");
    merge(&lists, &merged).map_err(|error| error.to_string())?;
    let part = folder.path().join("classes.jsa");
    dump(request, toolchain, &merged, &part).await?;
    std::fs::rename(&part, path).map_err(|error| error.to_string())
}

/// One run of a small cluster and a small job, with all JVMs noting what they load.
async fn record(request: &Request, toolchain: &Toolchain, folder: &Path, lists: &Path) -> Result<(), String> {
    let (lines, output) = mpsc::channel(64);
    let mut drain = tokio::task::JoinSet::new();
    drain.spawn(last_line(output));
    let context = Context {
        toolchain: toolchain.clone(),
        keeper: request.keeper.clone(),
        address: ADDRESS,
        cores: 1,
        memory_bytes: MEMORY_BYTES,
        folder: folder.join("node"),
        secret: "training".into(),
        conf: BTreeMap::new(),
        env: BTreeMap::new(),
        python_bin: folder.join("none"),
        temporary: folder.join("tmp"),
        lines,
        fleet: Fleet {
            definition: Arc::new(engine::hook::of_old()?),
            ..Fleet::default()
        },
    };
    let classes = Classes::Record(lists.into());
    let begun = start(&context, &classes).map_err(|error| error.to_string())?;
    let result = train(&begun, toolchain, folder).await;
    for engine in begun {
        engine.stop(Duration::from_secs(10)).await;
    }
    drop(context);
    let said = drain.join_next().await.and_then(Result::ok).unwrap_or_default();
    result.map_err(|error| format!("{error}; last line: {said}"))
}

async fn last_line(mut lines: mpsc::Receiver<Line>) -> String {
    let mut last = String::new();
    while let Some(line) = lines.recv().await {
        last = line.text;
    }
    last
}

fn start(context: &Context, classes: &Classes) -> std::io::Result<[Engine; 2]> {
    let worker = Context {
        folder: context.folder.join("worker"),
        ..context.clone()
    };
    std::fs::create_dir_all(&worker.folder)?;
    let master = Engine::start_with(context.clone(), Role::Master, classes.clone())?;
    let address = master.status().borrow().address.clone();
    let address = if address.is_empty() {
        format!("{ADDRESS}:7077")
    } else {
        address
    };
    Ok([
        master,
        Engine::start_with(worker, Role::Worker { master: address }, classes.clone())?,
    ])
}

async fn train([master, _worker]: &[Engine; 2], toolchain: &Toolchain, folder: &Path) -> Result<(), String> {
    let mut status = master.status();
    let up = status
        .wait_for(|status| status.alive_workers > 0 || status.failed.is_some())
        .await;
    if let Some(failed) = up.map_err(|error| error.to_string())?.failed.clone() {
        return Err(failed);
    }
    std::fs::write(folder.join("training.py"), TRAINING).map_err(|error| error.to_string())?;
    let job = Job {
        code: folder.into(),
        entry: "training.py".into(),
        args: vec![folder.join("data").display().to_string()],
        python: toolchain.python.clone(),
        worker_cores: 1,
        worker_memory_bytes: MEMORY_BYTES,
        ..Job::default()
    };
    let child = master.submit(&job).await.map_err(|error| error.to_string())?;
    let exit = child.wait().await;
    if exit.success() {
        Ok(())
    } else {
        Err(format!("the training job {}", engine::cause::of_exit(exit)))
    }
}

/// All lists as one, each line once. Lambda forms stay: they are lines of their own.
fn merge(lists: &Path, merged: &Path) -> std::io::Result<()> {
    let mut seen = BTreeSet::new();
    let mut text = String::new();
    for list in std::fs::read_dir(lists)? {
        for line in String::from_utf8_lossy(&std::fs::read(list?.path())?).lines() {
            // `id:` and `super:` number the classes of one process; only plain names can be merged.
            let plain = line.split(" id: ").next().unwrap_or(line);
            let useful =
                !plain.starts_with('#') && !plain.contains(" source: ") && !line.contains(" source: ");
            if useful && seen.insert(plain.to_owned()) {
                text.push_str(plain);
                text.push('\n');
            }
        }
    }
    std::fs::write(merged, text)
}

async fn dump(
    request: &Request,
    toolchain: &Toolchain,
    classes: &Path,
    archive: &Path,
) -> Result<(), String> {
    let args = [
        "-Xshare:dump".into(),
        "-Xmx1g".into(),
        "-Xlog:disable".into(),
        "-Xlog:all=error:stderr".into(),
        format!("-XX:SharedClassListFile={}", classes.display()),
        format!("-XX:SharedArchiveFile={}", archive.display()),
        "-cp".into(),
        class_path(&toolchain.spark_home),
    ];
    let command = Command::new(&request.keeper, &toolchain.java, args, &request.cache);
    let done = command
        .run(DUMP_MAX, |_| {})
        .await
        .map_err(|error| error.to_string())?;
    if done.success() && archive.is_file() {
        return Ok(());
    }
    Err(format!("java -Xshare:dump failed: {}", done.last_line()))
}
