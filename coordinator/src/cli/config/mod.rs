//! `config`: the jobs that a team keeps in Consul.

mod changes;
mod diff;
mod lines;
mod list;
mod pull;
mod push;

use super::consul::ConsulArgs;
use super::failure::Failure;
use super::view::Paint;
use crate::shared::SharedJobs;

/// Flags of `config`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  export CONSUL_HTTP_ADDR=http://127.0.0.1:8500
  coordinator config push jobs.yml                shows what would change, asks, writes
  coordinator config list
  coordinator launch churn --from consul
  coordinator config diff jobs.yml                exits with 1 when Consul has something else
  coordinator config pull -o jobs.yml             all jobs as one job file

A job is one key, PREFIX/jobs/JOB, whose value is a job file of that job alone.")]
pub(crate) struct Flags {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Put the jobs of files into Consul
    Push(push::Flags),
    /// Print the jobs that are in Consul as one job file
    Pull(pull::Flags),
    /// Show what `push` would change
    Diff(diff::Flags),
    /// List the jobs that are in Consul
    List(list::Flags),
}

/// Does what the verb says.
///
/// # Errors
/// A file or a job is wrong, or Consul cannot be asked.
pub(crate) async fn run(flags: &Flags, paint: Paint) -> Result<u8, Failure> {
    match &flags.verb {
        Verb::Push(flags) => push::run(flags, paint).await,
        Verb::Pull(flags) => pull::run(flags).await,
        Verb::Diff(flags) => diff::run(flags, paint).await,
        Verb::List(flags) => list::run(flags, paint).await,
    }
}

/// The jobs in the Consul that the flags name.
///
/// # Errors
/// They name none, or a setting cannot be used.
pub(crate) fn open(consul: &ConsulArgs) -> Result<SharedJobs, Failure> {
    Ok(SharedJobs::open(&consul.named()?)?)
}
