//! The AppCDS archives: classes of Spark, parsed and verified once and then mapped into each JVM.
//!
//! Made from the classes that one run each of Master, Worker, driver and executor loads; one for all, and one for Master and
//! Worker alone, which have a class path of their own. They are an optimisation only: when anything goes wrong here there
//! are none, and everything works without them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Request, Step, put_in_place, unfinished};
use crate::command::Command;
use crate::config::Toolchain;
use crate::engine::spark::classes::{ALL, DAEMONS, DAEMONS_JARS, class_path, jars, path_of};
use crate::engine::spark::{Classes, Engine};
use crate::engine::{self, Context, Fleet, Job, Role};
use crate::supervise::Line;

const TRAINING: &str = include_str!("training.py");
const RECORD_MAX: Duration = Duration::from_secs(240);
const DUMP_MAX: Duration = Duration::from_secs(240);
/// An address of its own, far from those that nodes are given.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 251, 17, 1));
const MEMORY_BYTES: u64 = 2 << 30;
/// What the files of Master and Worker begin with.
const DAEMON_LISTS: [&str; 2] = ["spark-master-", "spark-worker-"];

/// A JAR with more files than this is left out of a class path that does not need it: to open it takes the longer the more
/// it has.
const LARGE_ENTRIES: usize = 500;

/// The folder of the archives, made now when it is not there; `None` when it cannot be made.
pub(super) async fn archive(
    request: &Request,
    toolchain: &Toolchain,
    java_version: &str,
    progress: &mut impl FnMut(Step),
) -> Option<PathBuf> {
    let path = request.cache.join(format!(
        "classes-{}-{}",
        toolchain.spark_version,
        fingerprint(toolchain, java_version)
    ));
    if path.is_dir() {
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
    let folder = toolchain.spark_home.join("jars");
    let jars: BTreeSet<String> = jars(&toolchain.spark_home)
        .into_iter()
        .map(|name| {
            let meta = folder.join(&name).metadata();
            let known = meta.map(|meta| (meta.len(), meta.modified().ok())).ok();
            format!("{name:?} {known:?}")
        })
        .collect();
    let hash = Sha256::digest(format!("{java_version}\n{}\n{jars:?}", toolchain.java.display()));
    data_encoding::HEXLOWER.encode(&hash).chars().take(12).collect()
}

async fn make(request: &Request, toolchain: &Toolchain, place: &Path) -> Result<(), String> {
    let folder = unfinished(&request.cache).map_err(|error| error.to_string())?;
    let lists = folder.path().join("lists");
    std::fs::create_dir(&lists).map_err(|error| error.to_string())?;
    timeout(RECORD_MAX, record(request, toolchain, folder.path(), &lists))
        .await
        .map_err(|_| "the training run hangs")??;
    let made = unfinished(&request.cache).map_err(|error| error.to_string())?;
    let spark = &toolchain.spark_home;
    let all = read(&lists, |_| true).map_err(|error| error.to_string())?;
    dump(
        request,
        toolchain,
        &all,
        &class_path(spark),
        &made.path().join(ALL),
    )
    .await?;
    let daemons = read(&lists, |name| DAEMON_LISTS.iter().any(|of| name.starts_with(of)));
    let daemons = daemons.map_err(|error| error.to_string())?;
    let names = needed(&daemons, spark).map_err(|error| error.to_string())?;
    let path = path_of(spark, names.iter().map(String::as_str));
    dump(request, toolchain, &daemons, &path, &made.path().join(DAEMONS)).await?;
    std::fs::write(made.path().join(DAEMONS_JARS), names.join("\n")).map_err(|error| error.to_string())?;
    put_in_place(made, place).map_err(|error| error.to_string())
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

fn start(context: &Context, classes: &Classes) -> io::Result<[Engine; 2]> {
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

async fn train([master, worker]: &[Engine; 2], toolchain: &Toolchain, folder: &Path) -> Result<(), String> {
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
    if !exit.success() {
        return Err(format!("the training job {}", engine::cause::of_exit(exit)));
    }
    for daemon in [master, worker] {
        let page = daemon.status().borrow().ui.clone();
        // With a parameter, since other classes see to those.
        look(&format!("{page}/?look=1"))
            .await
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// What a page for people needs is loaded when the first of them looks.
async fn look(page: &str) -> reqwest::Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    client.get(page).send().await?.error_for_status()?;
    Ok(())
}

/// All lists whose file is wanted, as one, each line once. Lambda forms stay: they are lines of their own.
fn read(lists: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
    let (mut seen, mut lines) = (BTreeSet::new(), Vec::new());
    for list in std::fs::read_dir(lists)? {
        let list = list?;
        if !wanted(&list.file_name().to_string_lossy()) {
            continue;
        }
        for line in String::from_utf8_lossy(&std::fs::read(list.path())?).lines() {
            // `id:` and `super:` number the classes of one process; only plain names can be merged.
            let plain = line.split(" id: ").next().unwrap_or(line);
            let useful =
                !plain.starts_with('#') && !plain.contains(" source: ") && !line.contains(" source: ");
            if useful && seen.insert(plain.to_owned()) {
                lines.push(plain.to_owned());
            }
        }
    }
    Ok(lines)
}

/// Of Spark's JARs those that hold any of these classes, and those that are small anyhow.
fn needed(classes: &[String], spark_home: &Path) -> io::Result<Vec<String>> {
    let files: HashSet<String> = classes.iter().map(|name| format!("{name}.class")).collect();
    let mut needed = Vec::new();
    for name in jars(spark_home) {
        let (mut entries, mut held) = (0, false);
        each_entry(&spark_home.join("jars").join(&name), |file| {
            entries += 1;
            held |= std::str::from_utf8(file).is_ok_and(|file| files.contains(file));
        })?;
        if held || entries <= LARGE_ENTRIES {
            needed.push(name);
        }
    }
    Ok(needed)
}

fn each_entry(jar: &Path, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let archive =
        rawzip::ZipArchive::from_file(std::fs::File::open(jar)?, &mut buffer).map_err(io::Error::other)?;
    let mut entries = archive.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(io::Error::other)? {
        each(entry.file_path().as_ref());
    }
    Ok(())
}

async fn dump(
    request: &Request,
    toolchain: &Toolchain,
    classes: &[String],
    class_path: &str,
    archive: &Path,
) -> Result<(), String> {
    let list = archive.with_extension("classes");
    std::fs::write(&list, classes.join("\n")).map_err(|error| error.to_string())?;
    let args = [
        "-Xshare:dump".into(),
        "-Xmx1g".into(),
        "-Xlog:disable".into(),
        "-Xlog:all=error:stderr".into(),
        format!("-XX:SharedClassListFile={}", list.display()),
        format!("-XX:SharedArchiveFile={}", archive.display()),
        "-cp".into(),
        class_path.into(),
    ];
    let command = Command::new(&request.keeper, &toolchain.java, args, &request.cache);
    let done = command
        .run(DUMP_MAX, |_| {})
        .await
        .map_err(|error| error.to_string())?;
    std::fs::remove_file(&list).map_err(|error| error.to_string())?;
    if done.success() && archive.is_file() {
        return Ok(());
    }
    Err(format!("java -Xshare:dump failed: {}", done.last_line()))
}
