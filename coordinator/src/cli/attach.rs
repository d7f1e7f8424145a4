//! `attach`: back to the live view of a run, from any machine.

use std::path::Path;

use super::args::RunArg;
use super::consul::ConsulArgs;
use super::failure::Failure;
use super::follow::{self, Manner};
use super::remote::{Found, Remote};
use super::view::{Mode, Paint, Screen};
use super::{out, signals};

/// Flags of `attach`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator attach last
  coordinator attach flights-fhnxibup --json

It exits as the launch would have. Ctrl-C asks whether to cancel the run or only to leave.")]
pub(crate) struct Flags {
    #[command(flatten)]
    run: RunArg,
    /// One JSON object for each event; the last one is the receipt
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    consul: ConsulArgs,
}

/// Follows a run to its receipt; the exit code is that of its launch.
///
/// # Errors
/// There is no such run, or its coordinator cannot be reached.
pub(crate) async fn run(flags: &Flags, home: &Path, paint: Paint) -> Result<u8, Failure> {
    let mut signals = signals::counting()?;
    let reached = match flags.remote.of_run(&flags.consul, home, &flags.run.run).await? {
        Found::Open(reached) => reached,
        Found::Closed(id) => {
            out::note(&format!(
                "{id} is over: `coordinator receipt {id}` shows what it took"
            ));
            return Ok(0);
        }
    };
    let mut screen = Screen::new(Mode::choose(flags.json), paint);
    let ended = follow::to_the_end(
        reached.client,
        &reached.run,
        &mut screen,
        &mut signals,
        Manner::Guest,
        None,
    )
    .await;
    screen.clear();
    let code = follow::finish(ended?, flags.json, paint)?;
    if let Some(follower) = reached.follower {
        follower.stop().await;
    }
    Ok(code)
}
