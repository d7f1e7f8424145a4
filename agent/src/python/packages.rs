//! What an engine wants to be installed: packages of PyPI in an environment that is made once on each machine, and programs
//! that must be there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mayfly_proto::engine::Install;
use tokio::sync::mpsc;

use super::{Maker, shared};
use crate::prepare::PrepareError;
use crate::supervise::{Keeper, Line};
use crate::toolchain;

/// What is to be installed, and where.
pub struct Wanted<'w> {
    /// Name of the engine.
    pub engine: &'w str,
    /// The packages.
    pub pip: &'w [String],
    /// The base interpreter; environments of the machine lie beside its own.
    pub base: &'w Path,
    /// The node's own folder.
    pub folder: &'w Path,
    /// Who starts programs.
    pub keeper: &'w Keeper,
    /// Where pip's lines go.
    pub lines: &'w mpsc::Sender<Line>,
}

/// Looks for programs on the `PATH`.
///
/// # Errors
/// One is missing: its name, and the package that brings it.
pub fn programs(install: &Install) -> Result<(), PrepareError> {
    for (program, package) in &install.programs {
        if toolchain::on_path(program).is_none() {
            return Err(PrepareError::job(format!(
                "the program `{program}` is not on this machine: install it with `apt install {package}`"
            )));
        }
    }
    Ok(())
}

/// The environment with the packages, made now if there is none yet.
///
/// # Errors
/// A package cannot be installed, or the folder cannot be written.
pub async fn environment(wanted: &Wanted<'_>) -> Result<PathBuf, PrepareError> {
    let venv = place(wanted);
    shared::once(&venv, async || install(wanted, &venv).await).await?;
    Ok(venv)
}

async fn install(wanted: &Wanted<'_>, venv: &Path) -> Result<(), PrepareError> {
    let maker = Maker {
        keeper: wanted.keeper,
        base: wanted.base,
        lines: wanted.lines,
    };
    maker.make(venv, &[]).await?;
    let what: Vec<OsString> = ["--only-binary=:all:".into()]
        .into_iter()
        .chain(wanted.pip.iter().map(OsString::from))
        .collect();
    let name = format!(
        "what the engine `{}` needs ({})",
        wanted.engine,
        wanted.pip.join(", ")
    );
    maker
        .install(venv, venv.parent().unwrap_or(venv), &what, &name)
        .await
}

fn place(wanted: &Wanted<'_>) -> PathBuf {
    let list = format!("{}\n{}", wanted.base.display(), wanted.pip.join("\n"));
    let name = format!("engine-{}-{}", wanted.engine, shared::mark_of(&list));
    shared::place(wanted.base, wanted.keeper, wanted.folder, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let install = |program: &str| Install {
            programs: [(program.to_owned(), "a-package".to_owned())].into(),
            ..Install::default()
        };
        assert!(programs(&install("sh")).is_ok());
        let error = programs(&install("no-such-program")).unwrap_err();
        assert!(error.message.ends_with("`apt install a-package`"), "{error}");
    }
}
