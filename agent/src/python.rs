//! Python environments of a node: the job's requirements, and the packages of an engine.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::command::Command;
use crate::prepare::PrepareError;
use crate::supervise::{Keeper, Line, Stream};

pub mod choice;
pub mod packages;
mod pip;
pub mod search;
pub(crate) mod shared;

/// For all of it.
const INSTALL_MAX: Duration = Duration::from_secs(15 * 60);
const VENV_MAX: Duration = Duration::from_secs(120);

/// Describes a package: that is installed, with what it requires.
const PROJECT: &str = "pyproject.toml";

/// What is needed to prepare an interpreter.
#[derive(Clone)]
pub struct Request {
    /// The base interpreter, with what every job may import.
    pub base: PathBuf,
    /// Whether the node has an environment of its own over it in any case.
    pub own: bool,
    /// Environments over the base whose packages are seen too.
    pub under: Vec<PathBuf>,
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

/// Where the interpreter of a node's own environment is or will be: put first on the `PATH` of the engine's daemons, so that
/// `python3` means the same packages on each node, each at a place of its own.
#[must_use]
pub fn bin_folder(folder: &Path) -> PathBuf {
    folder.join("python").join("bin")
}

/// Returns the interpreter to use: the base or that of the last environment over it, or one of the node's own over those
/// with the requirements installed.
///
/// # Errors
/// The job's doing when a requirement cannot be installed, with pip's own sentence.
pub async fn prepare(request: &Request) -> Result<PathBuf, PrepareError> {
    let requirements = requirements_file(request)?;
    if requirements.is_none() && !request.own {
        let last = request.under.last().map(|venv| venv.join("bin").join("python3"));
        return Ok(last.unwrap_or_else(|| request.base.clone()));
    }
    let venv = request.folder.join("python");
    let maker = Maker {
        keeper: &request.keeper,
        base: &request.base,
        lines: &request.lines,
    };
    maker.make(&venv, &request.under).await?;
    let program = bin_folder(&request.folder).join("python3");
    let Some(requirements) = requirements else {
        return Ok(program);
    };
    let cwd = requirements.parent().unwrap_or(&request.code);
    // Compiling every module takes pip half of its time, for one run that imports a few of them: those are compiled then.
    let mut what: Vec<OsString> = vec!["--no-compile".into()];
    if requirements.file_name().is_some_and(|name| name == PROJECT) {
        what.push(cwd.into());
    } else {
        what.extend(["-r".into(), requirements.clone().into()]);
    }
    maker.install(&venv, cwd, &what, &request.requirements).await?;
    Ok(program)
}

fn requirements_file(request: &Request) -> Result<Option<PathBuf>, PrepareError> {
    let name = &request.requirements;
    if name.is_empty() {
        return Ok(None);
    }
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
        Ok(Some(real))
    } else {
        Err(PrepareError::job(format!(
            "requirements {name:?} are not a file of the repository"
        )))
    }
}

/// Python's arguments before what is to be installed.
pub(crate) const PIP_INSTALL: [&str; 8] = [
    "-m",
    "pip",
    "install",
    "--no-input",
    "--disable-pip-version-check",
    "--progress-bar=off",
    "--retries=5",
    "--timeout=30",
];

/// Makes environments and installs into them.
struct Maker<'r> {
    keeper: &'r Keeper,
    base: &'r Path,
    lines: &'r mpsc::Sender<Line>,
}

impl Maker<'_> {
    /// An environment without pip of its own (the base's is used), which sees the packages of those under it, and of the
    /// base, after its own.
    async fn make(&self, venv: &Path, under: &[PathBuf]) -> Result<(), PrepareError> {
        let infra = |what: &str| PrepareError::infra(format!("make a Python environment: {what}"));
        let created = self.create(venv, &["--without-pip"]).await;
        created.map_err(|said| infra(&said))?;
        let base = self.base.parent().and_then(Path::parent).unwrap_or(self.base);
        let mut seen = String::new();
        for folder in under.iter().rev().map(PathBuf::as_path).chain([base]) {
            let site = site_packages(folder).ok_or_else(|| infra("no site-packages folder"))?;
            seen.push_str(&format!("{}\n", site.display()));
        }
        let own = site_packages(venv).ok_or_else(|| infra("no site-packages folder"))?;
        std::fs::write(own.join("mayfly-base.pth"), seen).map_err(|error| infra(&error.to_string()))
    }

    /// An empty environment in place of what is there, or what is said instead.
    async fn create(&self, venv: &Path, options: &[&str]) -> Result<(), String> {
        let args = ["-m", "venv", "--clear"].iter().chain(options);
        let args = args.map(OsStr::new).chain([venv.as_os_str()]);
        let cwd = venv.parent().unwrap_or(venv);
        let command = Command::new(self.keeper, self.base, args, cwd);
        match command.run(VENV_MAX, |_| {}).await {
            Ok(done) if done.success() => Ok(()),
            Ok(done) => Err(done.last_line().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// `pip install` of what pip takes as arguments; `name` is what they are called.
    async fn install(
        &self,
        venv: &Path,
        cwd: &Path,
        what: &[OsString],
        name: &str,
    ) -> Result<(), PrepareError> {
        let args = PIP_INSTALL.iter().map(OsString::from).chain(what.iter().cloned());
        let done = Command::new(self.keeper, venv.join("bin").join("python3"), args, cwd)
            .of_job()
            .env("VIRTUAL_ENV", venv)
            .run(INSTALL_MAX, |line| {
                // What nobody takes at once is of no use later: the failure carries pip's last words.
                let _ = self.lines.try_send(Line {
                    stream: Stream::Agent,
                    text: line.to_owned(),
                });
            })
            .await
            .map_err(|error| PrepareError::infra(format!("run pip: {error}")))?;
        pip::judge(&done, name)
    }
}

fn site_packages(venv: &Path) -> Option<PathBuf> {
    let mut versions = std::fs::read_dir(venv.join("lib")).ok()?.flatten();
    versions.find_map(|entry| Some(entry.path().join("site-packages")).filter(|path| path.is_dir()))
}
