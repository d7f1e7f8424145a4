//! `connect`: a cluster that is held for people, who use its engine from here: a notebook with Spark Connect, a Dask client.
//!
//! It is a launch whose job is a session. Clients connect to a port of this machine; every connection to it is carried over
//! the connection to the coordinator, and from there by the master's agent to its engine.

mod way;

use std::path::Path;
use std::time::Duration;

use mayfly_configs::{JobName, Problem, Secs};
use mayfly_proto::engine::{Definition, SESSION};
use tempfile::TempDir;

use super::failure::Failure;
use super::jobs::{self, Found};
use super::view::Paint;
use super::{home, launch};
use crate::home::random_base32;
use crate::source;

pub(crate) use way::{Door, Way};

/// What a session without a job of its own is called by.
const STAND_IN: &str = "session.py";
/// The variable in which the job has its token.
const TOKEN: &str = "MAYFLY_SESSION_TOKEN";
const TOKEN_BYTES: usize = 32;
/// A client that waits for an answer may be silent for a while.
const IDLE_MIN: Duration = Duration::from_secs(10);

/// Flags of `connect`.
#[derive(Debug, clap::Args)]
// Those of a launch are a group of this name already.
#[group(skip)]
#[command(after_help = "\
Examples:
  coordinator connect --workers 4                      a Spark cluster for this machine's notebook
  coordinator connect churn                            the machines, settings and requirements of a job
  coordinator connect --engine dask --idle 1h
  coordinator connect churn --coordinator URL          on the machines of the team's server

It prints an address of this machine when it is ready. With Spark (pip install 'pyspark[connect]'):

  spark = SparkSession.builder.remote(\"sc://localhost:PORT/;token=…\").getOrCreate()

The session ends with Ctrl-C, when it was idle for --idle, and in any case at `limits.deadline` (`coordinator extend`).")]
pub(crate) struct Flags {
    /// End it when nothing went to or came from it for so long
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = idle)]
    idle: Secs,
    /// Port of this machine that clients connect to [default: one that is free]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    port: u16,
    #[command(flatten)]
    launch: launch::Flags,
}

fn idle(text: &str) -> Result<Secs, String> {
    let secs: Secs = text.parse().map_err(|problem: Problem| problem.message)?;
    if secs.as_duration() < IDLE_MIN {
        return Err(format!("it is {} s at least", IDLE_MIN.as_secs()));
    }
    Ok(secs)
}

/// Holds a session to its end.
///
/// # Errors
/// As those of a launch; the engine knows no sessions.
pub(crate) async fn run(flags: &Flags, home: &Path, paint: Paint) -> Result<u8, Failure> {
    if flags.launch.detaches() {
        return Err(Failure::usage(
            "--detach: a session is used through this command; without it, it is idle and ends",
        ));
    }
    if flags.launch.without_file().has_program() {
        return Err(Failure::usage(
            "--entry, --class and --arg: a session runs no program of yours; `coordinator launch` does",
        ));
    }
    if flags.launch.is_placed()? {
        return Err(Failure::usage(
            "a session goes through its coordinator, and without a server that one lives on the run's own master, which \
             nobody reaches from outside: name a server with --coordinator (`coordinator control create` makes one)",
        ));
    }
    let cwd = home::current()?;
    // Lives until the code has been read.
    let (mut found, _scratch) = found(&flags.launch, &cwd).await?;
    let job = &mut found.job;
    let url = url_of(job.engine.definition())?;
    if job.engine.definition().hook.is_some() && job.spark.version.starts_with("3.") {
        return Err(Failure::usage(format!(
            "Spark {} has no Spark Connect that asks its clients for a token: set `spark.version` to a release of Spark 4",
            job.spark.version
        )));
    }
    let token = random_base32(TOKEN_BYTES).map_err(|error| Failure::chain("draw a token", &error))?;
    job.code.become_session(flags.idle);
    // What its runs take says nothing of those of the job itself.
    if let Ok(name) = JobName::new(format!("{}-session", job.name))
        && !flags.launch.names_nothing()
    {
        job.name = name;
    }
    job.env.interpolated.insert(TOKEN.to_owned());
    job.env.values.insert(TOKEN.to_owned(), token.clone());
    let door = Door::open(flags.port, &url.replace("{token}", &token)).await?;
    launch::found_job(&flags.launch, found, Some(door), home, paint).await
}

/// The job that is named, or none in particular: then a folder that is in no repository has no code for it.
async fn found(flags: &launch::Flags, cwd: &Path) -> Result<(Found, Option<TempDir>), Failure> {
    if !flags.names_nothing() {
        return Ok((flags.found(cwd).await?, None));
    }
    let without = flags.without_file();
    let mut found = jobs::of_flags(&without.named(STAND_IN, flags.sets(), cwd)?, cwd)?;
    if without.has_repo() || source::is_repository(cwd).await? {
        return Ok((found, None));
    }
    let scratch = home::scratch("mayfly-no-code-")?;
    source::make_empty(scratch.path()).await?;
    found.base = scratch.path().to_owned();
    Ok((found, Some(scratch)))
}

fn url_of(engine: &Definition) -> Result<String, Failure> {
    let kind = engine.jobs.get(SESSION);
    kind.map(|kind| kind.url.clone()).ok_or_else(|| {
        Failure::usage(format!(
            "the engine `{}` knows no sessions: `coordinator engine list` shows which do",
            engine.name
        ))
    })
}
