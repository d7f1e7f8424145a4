//! Code and requirements of the job.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mayfly_proto::v1::Code;
use tokio::time::Instant;

use super::Common;
use crate::config::RoleName;
use crate::git::{self, Limits, Source};
use crate::prepare::PrepareError;
use crate::python;

/// What the job needs on this node.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// The clone.
    pub(super) code: PathBuf,
    /// The interpreter.
    pub(super) python: PathBuf,
}

/// Clones and installs. A worker without requirements needs neither: Spark sends it what it runs.
pub(super) async fn prepare(common: Arc<Common>) -> Result<Prepared, PrepareError> {
    let Common { config, spec, .. } = &*common;
    make_results(&common).await?;
    let wanted = spec.code.clone().unwrap_or_default();
    let code = config.folder.join("code");
    if config.role == RoleName::Worker && wanted.requirements.is_empty() {
        return Ok(Prepared {
            code,
            python: config.toolchain.python.clone(),
        });
    }
    let began = Instant::now();
    clone(&common, &wanted, &code).await?;
    took(&common, "clone", began);
    let began = Instant::now();
    let request = python::Request {
        base: config.toolchain.python.clone(),
        folder: config.folder.clone(),
        code: code.join(&wanted.path),
        requirements: wanted.requirements.clone(),
        keeper: common.keeper.clone(),
        lines: common.lines.clone(),
    };
    let python = python::prepare(&request).await?;
    if !wanted.requirements.is_empty() {
        took(&common, "requirements", began);
    }
    Ok(Prepared { code, python })
}

async fn make_results(common: &Common) -> Result<(), PrepareError> {
    let results = &common.results;
    let made = tokio::fs::create_dir_all(results).await;
    let made = made.and_then(|()| common.keeper.give(results));
    made.map_err(|e| PrepareError::infra(format!("create the results folder {}: {e}", results.display())))
}

async fn clone(common: &Common, wanted: &Code, code: &Path) -> Result<(), PrepareError> {
    // What an earlier attempt left may be half a clone.
    match tokio::fs::remove_dir_all(code).await {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            return Err(PrepareError::infra(format!("remove {}: {e}", code.display())));
        }
        Ok(()) | Err(_) => {}
    }
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
