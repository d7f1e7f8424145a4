//! `cancel`: asks the coordinator of a run to end it.

use std::path::Path;

use mayfly_proto::v1::{CancelLevel, CancelRequest, Outcome};

use super::args::RunArg;
use super::consul::ConsulArgs;
use super::failure::Failure;
use super::remote::{Found, Reached, Remote};
use super::view::{json, names};
use super::{client, out};
use crate::run::Cancel;

/// Flags of `cancel`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator cancel last                         stops the job, saves results and logs, releases the machines
  coordinator cancel flights-fhnxibup --fast      saves the logs only")]
pub(crate) struct Flags {
    #[command(flatten)]
    run: RunArg,
    /// Kill the job now and save its logs only
    #[arg(long)]
    fast: bool,
    /// The run as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    consul: ConsulArgs,
}

/// Cancels a run.
///
/// # Errors
/// There is no such run, or its coordinator cannot be reached.
pub(crate) async fn run(flags: &Flags, home: &Path) -> Result<u8, Failure> {
    let Reached {
        mut client,
        run,
        follower,
    } = match flags.remote.of_run(&flags.consul, home, &flags.run.run).await? {
        Found::Open(reached) => reached,
        Found::Closed(id) => {
            out::note(&format!("{id} is closed already: nothing to cancel"));
            return Ok(0);
        }
    };
    let (asked, level) = if flags.fast {
        (CancelLevel::Fast, Cancel::Fast)
    } else {
        (CancelLevel::Graceful, Cancel::Graceful)
    };
    let request = CancelRequest {
        run_id: run.clone(),
        level: asked.into(),
    };
    let reply = client
        .cancel(request)
        .await
        .map_err(|status| client::refused("cancel", &status))?;
    if let Some(follower) = follower {
        // This command does not stay until its follower has done it.
        follower.ask(&run, level).await?;
        follower.stop().await;
    }
    let view = reply.into_inner();
    if flags.json {
        out::json(&json::view(&view))?;
    } else if view.outcome() != Outcome::Unspecified {
        out::line(&format!(
            "{run} is being released: it has ended before, as {}",
            names::outcome_word(view.outcome())
        ))?;
    } else {
        out::line(&format!(
            "{run} is being cancelled: `coordinator status {run}` shows how far it is"
        ))?;
    }
    Ok(0)
}
