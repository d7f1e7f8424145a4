//! `extend`: moves the end of a run.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_configs::{Problem, Secs};
use mayfly_proto::v1::{ExtendRequest, GetRequest};

use super::args::RunArg;
use super::consul::ConsulArgs;
use super::failure::Failure;
use super::remote::{Found, Reached, Remote};
use super::view::json;
use super::{client, out};

/// Flags of `extend`.
#[derive(Debug, clap::Args)]
#[command(
    group(clap::ArgGroup::new("end").required(true).args(["by", "until"])),
    after_help = "\
Examples:
  coordinator extend last --by 1h                        an hour after the end of now
  coordinator extend flights-abc --until 2026-12-24T18:00:00Z

The end is seven days from now at most. It is in the run's record before the old one has come."
)]
pub(crate) struct Flags {
    #[command(flatten)]
    run: RunArg,
    /// So much later than the end of now
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    by: Option<Duration>,
    /// Then, in RFC 3339 with its zone
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// The run as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    consul: ConsulArgs,
}

fn duration(text: &str) -> Result<Duration, String> {
    let secs: Secs = text.parse().map_err(|problem: Problem| problem.to_string())?;
    Ok(secs.as_duration())
}

/// Moves the end of a run.
///
/// # Errors
/// There is no such run, it is over, or the new end is too late or has passed.
pub(crate) async fn run(flags: &Flags, home: &Path) -> Result<u8, Failure> {
    let Reached {
        mut client,
        run,
        follower,
    } = match flags.remote.of_run(&flags.consul, home, &flags.run.run).await? {
        Found::Open(reached) => reached,
        Found::Closed(id) => return Err(Failure::usage(format!("{id} is closed: it has no end to move"))),
    };
    let asked = client.get(GetRequest { run_id: run.clone() }).await;
    let now = asked
        .map_err(|status| client::refused("extend", &status))?
        .into_inner();
    let wanted = end(flags, now.deadline_ms)?;
    let from_now = wanted.as_millisecond().saturating_sub(now.now_ms);
    let request = ExtendRequest {
        run_id: run.clone(),
        deadline_secs: u64::try_from(from_now).unwrap_or(0).div_ceil(1000),
    };
    let answered = client.extend(request).await;
    let view = answered
        .map_err(|status| client::refused("extend", &status))?
        .into_inner();
    if let Some(follower) = follower {
        follower.stop().await;
    }
    if flags.json {
        out::json(&json::view(&view))?;
    } else {
        let end = Timestamp::from_millisecond(view.deadline_ms).unwrap_or(wanted);
        out::line(&format!(
            "{run} ends at {} at the latest",
            end.strftime("%Y-%m-%d %H:%M:%S UTC")
        ))?;
    }
    Ok(0)
}

/// The end that is wanted, by the coordinator's clock.
fn end(flags: &Flags, deadline_ms: i64) -> Result<Timestamp, Failure> {
    let known = Timestamp::from_millisecond(deadline_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let wanted = match (flags.until, flags.by) {
        (Some(until), _) => until,
        (None, by) => known
            .checked_add(by.unwrap_or_default())
            .map_err(|error| Failure::usage(format!("--by: {error}")))?,
    };
    if wanted > known {
        return Ok(wanted);
    }
    Err(Failure::usage(format!(
        "the run goes on until {known} already; `coordinator cancel` ends it before that"
    )))
}
