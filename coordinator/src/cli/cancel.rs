//! `cancel`: asks the coordinator of a run to end it.

use std::path::Path;

use mayfly_proto::RunId;
use mayfly_proto::v1::{CancelLevel, CancelRequest};

use super::args::RunArg;
use super::failure::Failure;
use super::view::json;
use super::{client, out, runs};
use crate::home::Home;
use crate::record::PhaseName;
use crate::server::Control;

/// Flags of `cancel`.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    run: RunArg,
    /// Kill the job now and save its logs only
    #[arg(long)]
    fast: bool,
    /// The run as JSON
    #[arg(long)]
    json: bool,
}

/// Cancels a run.
///
/// # Errors
/// There is no such run, or its coordinator cannot be reached.
pub(crate) async fn run(flags: &Flags, home: &Path) -> Result<u8, Failure> {
    let open = runs::open(home).await?;
    let id = runs::find(&open.store, &flags.run.run).await?;
    let record = runs::record(&open.store, &id).await?;
    if record
        .phases
        .last()
        .is_some_and(|mark| mark.phase == PhaseName::Closed)
    {
        out::note(&format!("{id} is closed already: nothing to cancel"));
        return Ok(0);
    }
    let Some(reach) = control(home, &id)? else {
        let gone = format!("no coordinator of {id} lives on this machine: its nodes end by themselves");
        return Err(Failure::infra(format!(
            "{gone}; `coordinator gc --yes` removes what is left"
        )));
    };
    let mut client = client::connect(
        &reach.url,
        &reach.token,
        client::pinned(reach.fingerprint.as_deref())?,
    )
    .await?;
    let level = if flags.fast {
        CancelLevel::Fast
    } else {
        CancelLevel::Graceful
    };
    let request = CancelRequest {
        run_id: id.to_string(),
        level: level.into(),
    };
    let reply = client
        .cancel(request)
        .await
        .map_err(|status| client::refused("cancel", &status))?;
    if flags.json {
        out::json(&json::view(&reply.into_inner()))?;
    } else {
        out::line(&format!(
            "{id} is being cancelled: `coordinator status {id}` shows how far it is"
        ))?;
    }
    Ok(0)
}

/// How the coordinator of a run is reached; `None` when there is none on this machine.
fn control(home: &Path, run: &RunId) -> Result<Option<Control>, Failure> {
    let path = Home::open(home)?.control(run);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Failure::usage(format!("cannot read {}: {e}", path.display()))),
    };
    let parsed = serde_json::from_slice(&bytes);
    parsed
        .map(Some)
        .map_err(|e| Failure::infra(format!("{} cannot be read: {e}", path.display())))
}
