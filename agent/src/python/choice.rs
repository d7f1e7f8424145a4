//! The Python that a job names, where it is not the machine's own: an environment of it with what every job finds, made once
//! on each machine. Spark itself is the machine's, whatever Python drives it.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::search::Search;
use super::{Maker, shared, site_packages};
use crate::config::Toolchain;
use crate::prepare::PrepareError;
use crate::supervise::{Keeper, Line};
use crate::toolchain::{self, Interpreter};

/// What the machine's Spark brings of Python, which runs with every version: taken over as it is.
const OF_SPARK: [&str; 2] = ["pyspark", "py4j"];

/// What is wanted, and where.
pub struct Wanted<'w> {
    /// What the job names; empty for the machine's own.
    pub named: &'w str,
    /// The machine's.
    pub toolchain: &'w Toolchain,
    /// Where interpreters are looked for, as `PATH` has it.
    pub path: OsString,
    /// The node's own folder.
    pub folder: &'w Path,
    /// Who starts programs.
    pub keeper: &'w Keeper,
    /// Where pip's lines go.
    pub lines: &'w mpsc::Sender<Line>,
}

/// The interpreter with what every job finds: the machine's own where that is what the job names.
///
/// # Errors
/// The job's doing when this machine has no such Python, with those that it has; ours when no environment can be made.
pub async fn base(wanted: &Wanted<'_>) -> Result<PathBuf, PrepareError> {
    let Toolchain {
        python: own,
        spark_version: spark,
        ..
    } = wanted.toolchain;
    let search = Search {
        named: wanted.named,
        own,
        spark,
        path: wanted.path.clone(),
        keeper: wanted.keeper,
        cwd: wanted.folder,
    };
    let Some(python) = search.find().await? else {
        return Ok(own.clone());
    };
    let list = toolchain::base_requirements(spark);
    let mark = shared::mark_of(&format!(
        "{}\n{}\n{list}",
        own.display(),
        python.program.display()
    ));
    let name = format!("python-3.{}-spark-{spark}-{mark}", python.minor);
    let venv = shared::place(own, wanted.keeper, wanted.folder, &name);
    shared::once(&venv, async || make(wanted, &python, &venv, list).await).await?;
    Ok(venv.join("bin").join("python3"))
}

async fn make(
    wanted: &Wanted<'_>,
    python: &Interpreter,
    venv: &Path,
    list: &str,
) -> Result<(), PrepareError> {
    let infra = |what: &str| {
        let program = python.program.display();
        PrepareError::infra(format!("make an environment of {program}: {what}"))
    };
    let maker = Maker {
        keeper: wanted.keeper,
        base: &python.program,
        lines: wanted.lines,
    };
    let created = maker.create(venv, &[]).await;
    created.map_err(|said| infra(&said))?;
    let file = venv.join("base-requirements.txt");
    std::fs::write(&file, list).map_err(|error| infra(&error.to_string()))?;
    let cwd = venv.parent().unwrap_or(venv);
    let what = ["--only-binary=:all:".into(), "-r".into(), file.into()];
    let name = format!("what every job with Python 3.{} finds", python.minor);
    maker.install(venv, cwd, &what, &name).await?;
    take_over(&wanted.toolchain.spark_home, venv).map_err(|error| infra(&error.to_string()))
}

/// Links, with what pip knows of them: a requirement that wants pyspark has it.
fn take_over(spark_home: &Path, venv: &Path) -> std::io::Result<()> {
    let none = || std::io::Error::other("no site-packages folder");
    let to = site_packages(venv).ok_or_else(none)?;
    let from = spark_home.parent().ok_or_else(none)?;
    for entry in std::fs::read_dir(from)? {
        let name = entry?.file_name();
        let is = |start: &&str| name.as_encoded_bytes().starts_with(start.as_bytes());
        if OF_SPARK.iter().any(is) {
            symlink(from.join(&name), to.join(&name))?;
        }
    }
    Ok(())
}
