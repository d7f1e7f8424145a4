//! The job's Python requirements, in an environment of this node's own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::command::Command;
use crate::prepare::PrepareError;
use crate::supervise::{Keeper, Line, Stream};

/// For all of it.
const INSTALL_MAX: Duration = Duration::from_secs(15 * 60);
const VENV_MAX: Duration = Duration::from_secs(120);

/// What is needed to prepare an interpreter.
#[derive(Clone)]
pub struct Request {
    /// The base interpreter, with pyspark.
    pub base: PathBuf,
    /// The node's own folder.
    pub folder: PathBuf,
    /// The clone's folder in which the job runs.
    pub code: PathBuf,
    /// Requirements file relative to `code`; empty for none.
    pub requirements: String,
    /// The agent's own executable.
    pub keeper: Keeper,
    /// Where pip's lines go.
    pub lines: mpsc::Sender<Line>,
}

/// Where the interpreter of a node's own environment is or will be: put first on the `PATH` of Spark's daemons, so that
/// `python3` means the same packages on each node, each at a place of its own.
#[must_use]
pub fn bin_folder(folder: &Path) -> PathBuf {
    folder.join("python").join("bin")
}

/// Returns the interpreter to use: the base, or an environment over it with the requirements installed.
///
/// # Errors
/// The job's doing when a requirement cannot be installed, with pip's own sentence.
pub async fn prepare(request: &Request) -> Result<PathBuf, PrepareError> {
    if request.requirements.is_empty() {
        return Ok(request.base.clone());
    }
    let requirements = requirements_file(request)?;
    let venv = request.folder.join("python");
    make_venv(request, &venv).await?;
    let python = bin_folder(&request.folder).join("python3");
    install(request, &python, &requirements).await?;
    Ok(python)
}

fn requirements_file(request: &Request) -> Result<PathBuf, PrepareError> {
    let name = &request.requirements;
    let real = request.code.join(name).canonicalize().map_err(|_| {
        PrepareError::job(format!(
            "requirements {name:?} do not exist in the repository at this commit"
        ))
    })?;
    // `code` may be a folder inside the clone, and requirements may lie beside it, but not outside of the clone.
    let root = request
        .code
        .ancestors()
        .find(|folder| folder.join(".git").exists())
        .unwrap_or(&request.code);
    let inside = root.canonicalize().is_ok_and(|root| real.starts_with(root));
    if inside && real.is_file() {
        Ok(real)
    } else {
        Err(PrepareError::job(format!(
            "requirements {name:?} are not a file of the repository"
        )))
    }
}

/// An environment without pip of its own (the base's is used), which sees the base's packages after its own.
async fn make_venv(request: &Request, venv: &Path) -> Result<(), PrepareError> {
    let infra = |what: &str| PrepareError::infra(format!("make a Python environment: {what}"));
    let args = [
        "-m".as_ref(),
        "venv".as_ref(),
        "--without-pip".as_ref(),
        "--clear".as_ref(),
        venv.as_os_str(),
    ];
    let done = Command::new(&request.keeper, &request.base, args, &request.folder)
        .run(VENV_MAX, |_| {})
        .await
        .map_err(|error| infra(&error.to_string()))?;
    if !done.success() {
        return Err(infra(done.last_line()));
    }
    let base = site_packages(
        request
            .base
            .parent()
            .and_then(Path::parent)
            .unwrap_or(&request.base),
    );
    let own = site_packages(venv);
    match (base, own) {
        (Some(base), Some(own)) => {
            std::fs::write(own.join("mayfly-base.pth"), format!("{}\n", base.display()))
                .map_err(|error| infra(&error.to_string()))
        }
        _ => Err(infra("no site-packages folder")),
    }
}

fn site_packages(venv: &Path) -> Option<PathBuf> {
    let mut versions = std::fs::read_dir(venv.join("lib")).ok()?.flatten();
    versions.find_map(|entry| Some(entry.path().join("site-packages")).filter(|path| path.is_dir()))
}

async fn install(request: &Request, python: &Path, requirements: &Path) -> Result<(), PrepareError> {
    let flags = [
        "-m",
        "pip",
        "install",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar=off",
        "--retries=5",
    ];
    let mut args: Vec<std::ffi::OsString> = flags.iter().map(Into::into).collect();
    args.extend(["--timeout=30".into(), "-r".into(), requirements.into()]);
    let lines = request.lines.clone();
    let done = Command::new(
        &request.keeper,
        python,
        args,
        requirements.parent().unwrap_or(&request.code),
    )
    .env("VIRTUAL_ENV", request.folder.join("python"))
    .run(INSTALL_MAX, |line| {
        // What nobody takes at once is of no use later: the failure carries pip's last words.
        let _ = lines.try_send(Line {
            stream: Stream::Agent,
            text: line.to_owned(),
        });
    })
    .await
    .map_err(|error| PrepareError::infra(format!("run pip: {error}")))?;
    let name = &request.requirements;
    if done.exit.is_none() {
        let minutes = INSTALL_MAX.as_secs() / 60;
        return Err(PrepareError::job(format!(
            "{name} could not be installed within {minutes} minutes"
        )));
    }
    if done.success() {
        return Ok(());
    }
    let said = done.lines.iter().rev().find(|line| line.starts_with("ERROR:"));
    let said = said.map_or(done.last_line(), |line| line.trim_start_matches("ERROR:").trim());
    let message = format!("{name} cannot be installed: {said}");
    Err(if said.contains("No space left") {
        PrepareError::infra(message)
    } else {
        PrepareError::job(message)
    })
}
