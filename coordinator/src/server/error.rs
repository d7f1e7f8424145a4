//! Why a run cannot be launched, found or asked for something.

use mayfly_kit::store::StoreError;
use mayfly_proto::RunId;

use crate::cloud::CloudError;
use crate::home::HomeError;
use crate::placed::package::PackageError;

/// Why a run cannot be launched or found.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The job is not one.
    #[error("the job of this request cannot be read: {0}")]
    BadJob(String),
    /// No machines for this job can be had.
    #[error("{0}")]
    Impossible(String),
    /// There is no such cloud here.
    #[error("this coordinator has no cloud `{asked}`; it has {has}")]
    NoSuchCloud {
        /// What was asked for.
        asked: String,
        /// Those it has.
        has: String,
    },
    /// Nodes that are alike elect their master in Consul.
    #[error(
        "`{0}.master.role` is `auto`, and this coordinator has no Consul for its nodes to elect the master in: \
         give it one (--consul), or write `role: fixed`"
    )]
    NoConsul(String),
    /// There is no such run here.
    #[error("there is no run {0} here")]
    NoSuchRun(RunId),
    /// The end of a run is to be moved too far, or not at all.
    #[error("deadline_secs must be 1 s to 7 days from now")]
    TooLate,
    /// The run ends already.
    #[error("run {0} is ending already: its end is not moved")]
    Ending(RunId),
    /// The run's owner has ended.
    #[error("run {0} is closed")]
    Closed(RunId),
    /// It drives as many runs as it may.
    #[error(
        "the coordinator drives {0} runs, as many as its settings allow (limits.runs): try again when one is closed"
    )]
    Full(usize),
    /// Another coordinator owns the run.
    #[error("run {0} is driven by another coordinator")]
    Foreign(RunId),
    /// Another coordinator owns the run, as its record says.
    #[error("run {run} is driven by another coordinator: {by}")]
    Elsewhere {
        /// The run.
        run: RunId,
        /// Who drives it.
        by: String,
    },
    /// What its coordinator begins with.
    #[error("the run cannot be handed to a coordinator on its own master")]
    Package(#[from] PackageError),
    /// Folders.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The store.
    #[error("cannot write the record of the run")]
    Store(#[from] StoreError),
    /// The cloud.
    #[error("the machines of a run that is taken over cannot be looked at")]
    Cloud(#[from] CloudError),
    /// Random bytes, files.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}
