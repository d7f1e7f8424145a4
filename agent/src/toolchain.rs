//! `agent toolchain`: finds or installs Java, Python and Spark in a cache, once.
//!
//! Every part is made in a temporary folder of the cache and moved into place when it is whole, under a lock: two at once
//! and a death in the middle do no harm. What was found is noted in `toolchain-<spark>.json`; as long as what it names is
//! there, the next call takes milliseconds.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::supervise::Keeper;

mod cds;
mod flags;
mod java;
mod look;
mod python;

pub use flags::Flags;
pub(crate) use java::on_path;
pub use look::{Part, State, look};
pub(crate) use python::{Interpreter, ask, names};

/// The version that is installed unless another is asked for.
pub const SPARK_VERSION: &str = "4.0.5";
const REQUIREMENTS: &str = include_str!("toolchain/base-requirements.txt");
const REQUIREMENTS_OF_3: &str = include_str!("toolchain/base-requirements-3.txt");
/// For another one that is installing.
const LOCK_MAX: Duration = Duration::from_secs(30 * 60);
const LOCK_POLL: Duration = Duration::from_millis(200);

/// What `agent toolchain` found or installed on a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toolchain {
    /// Folder that holds `jars/`, `python/`, `bin/`.
    pub spark_home: PathBuf,
    /// Spark's version, as `4.0.5`.
    pub spark_version: String,
    /// Scala's binary version that this Spark was built for, as `2.13`.
    pub scala_version: String,
    /// The `java` program.
    pub java: PathBuf,
    /// The base Python, with pyspark, numpy, pandas and pyarrow.
    pub python: PathBuf,
    /// Folder of the AppCDS archives that fit this Spark and JDK; `None` where they cannot be used.
    pub cds_archive: Option<PathBuf>,
}

impl Toolchain {
    /// Where the `java` program belongs: its `JAVA_HOME`.
    #[must_use]
    pub fn java_home(&self) -> PathBuf {
        let home = self.java.parent().and_then(Path::parent);
        home.map_or_else(PathBuf::new, Path::to_path_buf)
    }

    /// Where programs find what is in it, by the variables in which they look.
    pub(crate) fn variables(&self) -> [(&'static str, PathBuf); 2] {
        [
            ("JAVA_HOME", self.java_home()),
            ("SPARK_HOME", self.spark_home.clone()),
        ]
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Spark {} at {}", self.spark_version, self.spark_home.display())?;
        write!(
            f,
            "Java {}, Python {}",
            self.java.display(),
            self.python.display()
        )
    }
}

/// What to find or install.
#[derive(Debug, Clone)]
pub struct Request {
    /// The folder for what is installed; made when missing.
    pub cache: PathBuf,
    /// Spark's version, as `4.0.5`.
    pub spark: String,
    /// The Python that a job names, for [`look`]; empty for the machine's own.
    pub python: String,
    /// The agent's own executable.
    pub keeper: Keeper,
}

/// Something that takes a while has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// `python`, `spark`, `java`, `cds` or `lock`.
    pub name: &'static str,
    /// One line for people.
    pub detail: String,
}

/// Why there is no toolchain, in one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something must be installed by hand.
    #[error("{0}")]
    Missing(String),
    /// An installation failed.
    #[error("{0}")]
    Failed(String),
    /// The cache cannot be used.
    #[error("{what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }
}

/// What was found the last time, and what must still be so.
#[derive(Serialize, Deserialize)]
struct Record {
    toolchain: Toolchain,
    /// `java -version` is not asked again while its file is the same.
    java_modified_secs: u64,
    /// The user's wish of then.
    java_home: Option<String>,
    /// The list of pinned packages of then.
    requirements: String,
}

/// Finds or installs; `progress` hears of what takes a while.
///
/// # Errors
/// See [`Error`].
pub async fn ensure(request: &Request, mut progress: impl FnMut(Step)) -> Result<Toolchain, Error> {
    if !request.spark.bytes().all(|b| b.is_ascii_digit() || b == b'.') || request.spark.is_empty() {
        return Err(Error::Missing(format!(
            "Spark version {:?} is not like {SPARK_VERSION}",
            request.spark
        )));
    }
    let note = request.cache.join(format!("toolchain-{}.json", request.spark));
    if let Some(toolchain) = recall(&note, &request.spark) {
        return Ok(toolchain);
    }
    std::fs::create_dir_all(&request.cache).map_err(Error::io("create the cache", &request.cache))?;
    let cache = request
        .cache
        .canonicalize()
        .map_err(Error::io("find the cache", &request.cache))?;
    let request = Request {
        cache,
        ..request.clone()
    };
    let _lock = lock(&request.cache, &mut progress).await?;
    if let Some(toolchain) = recall(&note, &request.spark) {
        return Ok(toolchain);
    }
    remove_leftovers(&request.cache);
    let base = python::base(&request, &mut progress).await?;
    let java = java::find_or_install(&request, &base.python, &mut progress).await?;
    let mut toolchain = Toolchain {
        scala_version: scala_version(&base.spark_home)?,
        spark_home: base.spark_home,
        spark_version: request.spark.clone(),
        java: java.program,
        python: base.python,
        cds_archive: None,
    };
    toolchain.cds_archive = cds::archive(&request, &toolchain, &java.version, &mut progress).await;
    remember(&note, &toolchain)?;
    Ok(toolchain)
}

/// The packages that every job may import without asking for them, pinned as this release of Spark wants them.
pub(crate) fn base_requirements(spark: &str) -> &'static str {
    if spark.starts_with("3.") {
        REQUIREMENTS_OF_3
    } else {
        REQUIREMENTS
    }
}

fn recall(note: &Path, spark: &str) -> Option<Toolchain> {
    let record: Record = serde_json::from_slice(&std::fs::read(note).ok()?).ok()?;
    let found = &record.toolchain;
    let same = record.requirements == base_requirements(spark)
        && record.java_home == java_home()
        && modified_secs(&found.java)? == record.java_modified_secs
        && found.spark_home.join("jars").is_dir()
        && found.python.exists()
        && found
            .cds_archive
            .as_ref()
            .is_none_or(|archives| archives.is_dir());
    same.then_some(record.toolchain)
}

fn remember(note: &Path, toolchain: &Toolchain) -> Result<(), Error> {
    let record = Record {
        toolchain: toolchain.clone(),
        java_modified_secs: modified_secs(&toolchain.java).unwrap_or(0),
        java_home: java_home(),
        requirements: base_requirements(&toolchain.spark_version).into(),
    };
    let part = note.with_extension("part");
    let text = serde_json::to_vec_pretty(&record).map_err(|error| Error::Failed(error.to_string()))?;
    std::fs::write(&part, text).map_err(Error::io("write", &part))?;
    std::fs::rename(&part, note).map_err(Error::io("write", note))
}

fn java_home() -> Option<String> {
    std::env::var("JAVA_HOME").ok().filter(|home| !home.is_empty())
}

fn modified_secs(path: &Path) -> Option<u64> {
    let modified = path.metadata().ok()?.modified().ok()?;
    modified.duration_since(UNIX_EPOCH).ok().map(|age| age.as_secs())
}

/// The lock goes with the file handle, also when this process is killed.
async fn lock(cache: &Path, progress: &mut impl FnMut(Step)) -> Result<File, Error> {
    let tell = || {
        progress(Step {
            name: "lock",
            detail: "another command installs; waiting for it".into(),
        });
    };
    lock_file(&cache.join("lock"), LOCK_MAX, tell).await
}

/// The same for any file, for at most so long; `wait` is called once, when another one has it.
pub(crate) async fn lock_file(path: &Path, limit: Duration, wait: impl FnOnce()) -> Result<File, Error> {
    let file = File::create(path).map_err(Error::io("open", path))?;
    let began = tokio::time::Instant::now();
    let mut wait = Some(wait);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => {
                return Err(Error::Io {
                    what: "lock",
                    path: path.to_owned(),
                    source,
                });
            }
            Err(TryLockError::WouldBlock) if began.elapsed() > limit => {
                return Err(Error::Failed(format!(
                    "another installation holds {} for too long",
                    path.display()
                )));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        if let Some(wait) = wait.take() {
            wait();
        }
        tokio::time::sleep(LOCK_POLL).await;
    }
}

/// A folder of the cache for something unfinished; it is removed unless it is moved into place.
fn unfinished(cache: &Path) -> Result<tempfile::TempDir, Error> {
    tempfile::Builder::new()
        .prefix(".unfinished-")
        .tempdir_in(cache)
        .map_err(Error::io("create a folder in", cache))
}

/// Moves what is whole into its place. An older one of the same name was not whole, or it would have been used.
fn put_in_place(folder: tempfile::TempDir, place: &Path) -> Result<(), Error> {
    if place.exists() {
        std::fs::remove_dir_all(place).map_err(Error::io("remove", place))?;
    }
    std::fs::rename(folder.path(), place).map_err(Error::io("move into place", place))?;
    // Moved: there is nothing left to remove.
    let _ = folder.keep();
    Ok(())
}

/// Of those that were killed. Only under the lock.
fn remove_leftovers(cache: &Path) {
    for entry in std::fs::read_dir(cache).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(".unfinished-") {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// From the name of Spark's own core JAR: `spark-core_2.13-4.0.5.jar`.
fn scala_version(spark_home: &Path) -> Result<String, Error> {
    let jars = spark_home.join("jars");
    let entries = std::fs::read_dir(&jars).map_err(Error::io("read", &jars))?;
    let mut names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    names
        .find_map(|name| Some(name.strip_prefix("spark-core_")?.split_once('-')?.0.to_owned()))
        .ok_or_else(|| Error::Failed(format!("{} has no spark-core JAR", jars.display())))
}

/// The cache of this user: `MAYFLY_CACHE`, else `$XDG_CACHE_HOME/mayfly`, else `~/.cache/mayfly`.
#[must_use]
pub fn default_cache() -> PathBuf {
    let set = |key: &str| {
        std::env::var_os(key)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("MAYFLY_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("mayfly")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/mayfly")))
        .unwrap_or_else(|| PathBuf::from(".mayfly/cache"))
}
