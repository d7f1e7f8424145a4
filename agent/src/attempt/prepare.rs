//! Code and requirements of the job.

mod build;
mod built;
mod inputs;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mayfly_kit::crash::{self, Point};
use mayfly_proto::Attempt;
use mayfly_proto::v1::Code;
use tokio::time::Instant;

use super::Common;
use crate::config::RoleName;
use crate::engine::Python;
use crate::git::{self, Limits, Source};
use crate::prepare::PrepareError;
use crate::python::{self, choice, packages};

/// What the job needs on this node.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// The clone.
    pub(super) code: PathBuf,
    /// The interpreter.
    pub(super) python: Python,
}

/// Clones and installs. A worker needs neither where the engine sends it what it runs.
pub(super) async fn prepare(common: Arc<Common>, attempt: Attempt) -> Result<Prepared, PrepareError> {
    let Common { config, spec, .. } = &*common;
    make_results(&common).await?;
    let wanted = spec.code.clone().unwrap_or_default();
    let code = config.folder.join("code");
    let alone = config.role == RoleName::Worker && !common.definition.code_on_workers;
    // Neither waits for the other.
    let (staged, installed) = tokio::join!(stage(&common), installed(&common, &wanted, alone));
    staged?;
    let (base, under) = installed?;
    if !alone || !wanted.requirements.is_empty() {
        let began = Instant::now();
        crash::around(Point::AgentPrepare, clone(&common, &wanted, &code)).await?;
        took(&common, "clone", began);
    }
    let began = Instant::now();
    let request = python::Request {
        // Daemons look for it there, which may have started before it was made.
        own: base != config.toolchain.python,
        base: base.clone(),
        under: under.clone(),
        folder: config.folder.clone(),
        code: code.join(&wanted.path),
        requirements: wanted.requirements.clone(),
        keeper: common.keeper.clone(),
        lines: common.lines.clone(),
    };
    let program = python::prepare(&request).await?;
    if !wanted.requirements.is_empty() {
        took(&common, "requirements", began);
    }
    let python = interpreter(&base, program, &under);
    if !wanted.build.is_empty() {
        let began = Instant::now();
        built(&common, attempt, &wanted, &code, &python).await?;
        took(&common, "build", began);
    }
    Ok(Prepared { code, python })
}

/// The job's inputs, where it has any.
async fn stage(common: &Common) -> Result<(), PrepareError> {
    if common.spec.inputs.is_empty() {
        return Ok(());
    }
    let began = Instant::now();
    inputs::stage(common).await?;
    took(common, "inputs", began);
    Ok(())
}

/// Once, on the master; workers that have the code wait for what came of it. Nodes that are alike do not know yet which of
/// them is the master: each builds.
async fn built(
    common: &Common,
    attempt: Attempt,
    wanted: &Code,
    code: &Path,
    python: &Python,
) -> Result<(), PrepareError> {
    let shared = common.definition.code_on_workers && common.spec.workers > 0;
    match common.config.role {
        RoleName::Worker if shared => built::fetch(common, attempt, code).await,
        RoleName::Worker => Ok(()),
        RoleName::Master if shared => {
            let began = built::Began::now(common).await?;
            build::build(common, wanted, code, python).await?;
            began.share(common, attempt, code).await
        }
        RoleName::Master | RoleName::Auto => build::build(common, wanted, code, python).await,
    }
}

/// What is installed for more than this run: the Python that the job names, and over it what the engine wants.
async fn installed(
    common: &Common,
    wanted: &Code,
    alone: bool,
) -> Result<(PathBuf, Vec<PathBuf>), PrepareError> {
    let began = Instant::now();
    let base = choice::base(&choice::Wanted {
        named: &wanted.python,
        toolchain: &common.config.toolchain,
        path: std::env::var_os("PATH").unwrap_or_default(),
        folder: &common.config.folder,
        keeper: &common.keeper,
        lines: &common.lines,
    })
    .await?;
    if !wanted.python.is_empty() {
        took(common, "python", began);
    }
    let under = packages(common, wanted, alone, &base).await?;
    Ok((base, under))
}

/// What the engine wants to be there; the environment of its packages, if it has any.
async fn packages(
    common: &Common,
    wanted: &Code,
    alone: bool,
    base: &Path,
) -> Result<Vec<PathBuf>, PrepareError> {
    let Common {
        config, definition, ..
    } = common;
    let install = if alone {
        definition.install.clone()
    } else {
        let entries = std::iter::once(&wanted.entry).chain(wanted.steps.iter().map(|step| &step.entry));
        definition.needed(entries.map(String::as_str))
    };
    packages::programs(&install)?;
    if install.pip.is_empty() {
        return Ok(Vec::new());
    }
    let began = Instant::now();
    let venv = packages::environment(&packages::Wanted {
        engine: &definition.name,
        pip: &install.pip,
        base,
        folder: &config.folder,
        keeper: &common.keeper,
        lines: &common.lines,
    })
    .await?;
    took(common, "packages", began);
    Ok(vec![venv])
}

/// Programs of the innermost environment come first.
fn interpreter(base: &Path, program: PathBuf, under: &[PathBuf]) -> Python {
    let bins = under.iter().rev().map(|venv| venv.join("bin"));
    let mut path: Vec<PathBuf> = program.parent().map(Path::to_owned).into_iter().collect();
    path.extend(bins.chain(base.parent().map(Path::to_owned)));
    path.dedup();
    Python { program, path }
}

async fn make_results(common: &Common) -> Result<(), PrepareError> {
    let results = &common.results;
    let made = tokio::fs::create_dir_all(results).await;
    let made = made.and_then(|()| common.keeper.give(results));
    made.map_err(|e| PrepareError::infra(format!("create the results folder {}: {e}", results.display())))
}

/// Removes a folder, if there is one.
async fn remove(folder: &Path) -> Result<(), PrepareError> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(PrepareError::infra(format!("remove {}: {e}", folder.display())))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn clone(common: &Common, wanted: &Code, code: &Path) -> Result<(), PrepareError> {
    // What an earlier attempt left may be half a clone.
    remove(code).await?;
    let commit = wanted.commit.clone();
    let source = if wanted.bundle_key.is_empty() {
        Source::Url {
            url: wanted.url.clone(),
            commit,
        }
    } else {
        Source::Bundle {
            file: bundle(common, &wanted.bundle_key).await?,
            commit,
        }
    };
    git::checkout(&source, code, &Limits::default(), &common.keeper).await
}

async fn bundle(common: &Common, key: &str) -> Result<PathBuf, PrepareError> {
    let file = common.config.folder.join("code.bundle");
    match common.store.get_to_file(key, &file).await {
        Ok(Some(_)) => Ok(file),
        Ok(None) => Err(PrepareError::infra(format!("the store has no bundle {key}"))),
        Err(error) => Err(PrepareError::infra(format!("fetch the code: {error}"))),
    }
}

fn took(common: &Common, step: &str, began: Instant) {
    let secs = began.elapsed().as_secs_f64();
    common.facts.send_modify(|facts| {
        facts.step_secs.insert(step.to_owned(), secs);
    });
}
