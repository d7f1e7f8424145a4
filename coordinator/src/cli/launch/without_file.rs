//! A job without a file: the flags that say what it is.

use std::path::Path;

use mayfly_configs::{AdHoc, engine_files};

use crate::cli::failure::Failure;

/// Those flags.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
pub(crate) struct WithoutFile {
    /// Without a file: the program to run, relative to the job's folder
    #[arg(long, conflicts_with = "named", value_name = "PATH")]
    entry: Option<String>,
    /// Without a file: an https or ssh URL, or a folder [default: the working folder]
    #[arg(long, conflicts_with = "named", value_name = "URL|DIR")]
    repo: Option<String>,
    /// Without a file: branch, tag or commit [default: HEAD]
    #[arg(long = "ref", conflicts_with = "named", value_name = "REF")]
    git_ref: Option<String>,
    /// Without a file: folder inside the repository [default: the folder given, or the top]
    #[arg(long, conflicts_with = "named", value_name = "PATH")]
    path: Option<String>,
    /// Without a file: main class of a .jar
    #[arg(long, conflicts_with = "named", value_name = "CLASS")]
    class: Option<String>,
    /// Without a file: an argument of the program; may be repeated
    #[arg(
        long = "arg",
        conflicts_with = "named",
        value_name = "ARG",
        allow_hyphen_values = true
    )]
    args: Vec<String>,
    /// Without a file: Python requirements, relative to the job's folder
    #[arg(long, conflicts_with = "named", value_name = "PATH")]
    requirements: Option<String>,
    /// Without a file: how many workers
    #[arg(long, conflicts_with = "named", value_name = "N")]
    workers: Option<u32>,
    /// Without a file: engine, compiled in or a file engines/NAME.yml here [default: spark]
    #[arg(long, conflicts_with = "named", value_name = "NAME")]
    engine: Option<String>,
    /// Without a file: name of the job [default: that of the entry]
    #[arg(long, conflicts_with = "named", value_name = "JOB")]
    name: Option<String>,
}

impl WithoutFile {
    /// Whether they say what runs.
    pub(crate) fn has_program(&self) -> bool {
        self.entry.is_some() || self.class.is_some() || !self.args.is_empty()
    }

    /// Whether they name a repository.
    pub(crate) fn has_repo(&self) -> bool {
        self.repo.is_some()
    }

    /// As the job that they make; none without an entry.
    ///
    /// # Errors
    /// There are others and no entry, or an engine of the working folder cannot be read.
    pub(super) fn job(&self, sets: &[(String, String)], cwd: &Path) -> Result<Option<AdHoc>, Failure> {
        match &self.entry {
            Some(entry) => self.named(entry, sets, cwd).map(Some),
            None if *self != Self::default() => Err(Failure::usage(
                "a job without a file needs its program: --entry main.py",
            )),
            None => Ok(None),
        }
    }

    /// The same for something that has no program of its own, whose name is that of the `stand_in`.
    ///
    /// # Errors
    /// An engine of the working folder cannot be read.
    pub(crate) fn named(
        &self,
        stand_in: &str,
        sets: &[(String, String)],
        cwd: &Path,
    ) -> Result<AdHoc, Failure> {
        Ok(AdHoc {
            name: self.name.clone(),
            repo: self.repo.clone(),
            git_ref: self.git_ref.clone(),
            path: self.path.clone(),
            entry: stand_in.to_owned(),
            class: self.class.clone(),
            args: self.args.clone(),
            requirements: self.requirements.clone(),
            workers: self.workers,
            engine: self.engine.clone(),
            engines: engine_files(cwd)?,
            sets: sets.to_vec(),
        })
    }
}
