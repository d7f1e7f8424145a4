//! Looks for the Python that a job names.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use mayfly_proto::python::{Named, supported, supported_text};

use crate::prepare::PrepareError;
use crate::supervise::Keeper;
use crate::toolchain::{self, Interpreter};

/// What is looked for, and where.
pub struct Search<'s> {
    /// What the job names; empty for the machine's own.
    pub named: &'s str,
    /// The machine's own.
    pub own: &'s Path,
    /// The release of Spark that it is for.
    pub spark: &'s str,
    /// Where interpreters are looked for, as `PATH` has it.
    pub path: OsString,
    /// Who starts programs.
    pub keeper: &'s Keeper,
    /// Where they are started.
    pub cwd: &'s Path,
}

impl Search<'_> {
    /// The interpreter that is named; `None` where it is the machine's own.
    ///
    /// # Errors
    /// The job's doing: it is not there, and what there is; or it is of no use.
    pub(crate) async fn find(&self) -> Result<Option<Interpreter>, PrepareError> {
        let found = match Named::parse(self.named) {
            None if self.named.is_empty() => return Ok(None),
            None => None,
            Some(Named::Program(program)) if is_same(self.own, Path::new(&program)) => return Ok(None),
            Some(Named::Program(program)) => self.ask(&program).await,
            Some(Named::Version(minor)) => {
                let is = |python: &Interpreter| python.minor == minor;
                if self.ask(self.own).await.is_some_and(|python| is(&python)) {
                    return Ok(None);
                }
                let names = ["python3".to_owned(), format!("python3.{minor}")];
                let mut found: Vec<Interpreter> = self.on_path(&names).await;
                found.retain(is);
                // One that environments cannot be made with is told of, where there is no other.
                found.sort_by_key(|python| !python.complete);
                found.into_iter().next()
            }
        };
        match found {
            Some(python) => usable(python, self.spark).map(Some),
            None => Err(self.missing().await),
        }
    }

    async fn ask(&self, program: impl AsRef<OsStr>) -> Option<Interpreter> {
        toolchain::ask(self.keeper, program.as_ref(), self.cwd).await
    }

    /// Those of these names on the `PATH`. A file of such a name need not be one: version managers put in its place what
    /// only says that there is none.
    async fn on_path(&self, names: &[String]) -> Vec<Interpreter> {
        let mut found = Vec::new();
        for folder in std::env::split_paths(&self.path) {
            for file in names.iter().map(|name| folder.join(name)) {
                if file.is_file() {
                    found.extend(self.ask(&file).await);
                }
            }
        }
        found
    }

    async fn missing(&self) -> PrepareError {
        let mut there: Vec<Interpreter> = self.ask(self.own).await.into_iter().collect();
        there.extend(self.on_path(&toolchain::names(self.spark)).await);
        there.retain(|python| supported(self.spark).contains(&python.minor));
        there.sort_by_key(|python| python.minor);
        there.dedup_by_key(|python| python.minor);
        let there: Vec<String> = there
            .iter()
            .map(|python| format!("3.{} ({})", python.minor, python.program.display()))
            .collect();
        PrepareError::job(format!(
            "this machine has no Python {}, which the job names (code.python): install it there, or name one that it has: {}",
            self.named,
            there.join(", ")
        ))
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize()
        .is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

fn usable(python: Interpreter, spark: &str) -> Result<Interpreter, PrepareError> {
    let (program, minor) = (python.program.display(), python.minor);
    if !supported(spark).contains(&minor) {
        let range = supported_text(spark);
        return Err(PrepareError::job(format!(
            "the Python that the job names (code.python), {program}, is Python 3.{minor}, and Spark {spark} runs with {range}"
        )));
    }
    if !python.complete {
        return Err(PrepareError::job(format!(
            "the Python that the job names (code.python), {program}, lacks venv or ensurepip: install them, as with \
             `apt install python3.{minor}-venv`"
        )));
    }
    Ok(python)
}
