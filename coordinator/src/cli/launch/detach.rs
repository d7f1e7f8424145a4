//! `--detach`: the run is left to its coordinator, a server or the one on its own master.

use std::time::Duration;

use mayfly_proto::v1::{GetRequest, NodeView, Phase, Role};
use serde_json::json;
use tokio::time::Instant;

use super::begin::Begun;
use super::flags::{Cloud, Flags};
use crate::cli::client::{self, Client};
use crate::cli::failure::Failure;
use crate::cli::out;
use crate::cli::view::Screen;
use crate::record::SCHEMA;

/// How long a master has to boot and to take its run over, where somebody waits to leave.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(900);
/// Between two looks whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Whether there will be somebody to leave the run to.
///
/// # Errors
/// The coordinator would live in this command.
pub(super) fn check(flags: &Flags) -> Result<(), Failure> {
    if flags.detach && flags.on != Some(Cloud::Aws) && !flags.remote.is_named()? {
        return Err(Failure::usage(
            "--detach leaves the run to its coordinator, and this one would live in this command: name one with \
             --coordinator, or launch --on aws",
        ));
    }
    Ok(())
}

/// Leaves a run that was launched, as soon as it does without this command.
///
/// # Errors
/// Its master does not take it over.
pub(super) async fn leave(begun: &Begun, is_json: bool, screen: &Screen) -> Result<u8, Failure> {
    let Begun { coordinator, run, .. } = begun;
    if coordinator.embedded.is_some() {
        handed_over(coordinator.client.clone(), run, screen).await?;
    }
    if is_json {
        out::json(&json!({ "schema": SCHEMA, "event": "launched", "run": run }))?;
    } else {
        out::line(run)?;
    }
    Ok(0)
}

/// Waits until the coordinator on the run's own master has taken it over: until then only this command sees to it.
async fn handed_over(mut client: Client, run: &str, screen: &Screen) -> Result<(), Failure> {
    screen.doing("waiting for the master to take the run over")?;
    let began = Instant::now();
    while began.elapsed() < HAND_OVER_LIMIT {
        let request = GetRequest {
            run_id: run.to_owned(),
        };
        let view = client.get(request).await;
        let view = view
            .map_err(|status| client::refused("look at the run", &status))?
            .into_inner();
        let there = |node: &NodeView| node.role() == Role::Master && node.cores > 0;
        if view.nodes.iter().any(there) || view.phase() == Phase::Closed {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(Failure::infra(format!(
        "the master of {run} has not come up within {} minutes: AWS ends its machines by itself; \
         `coordinator attach {run}` sees to it",
        HAND_OVER_LIMIT.as_secs() / 60
    )))
}
