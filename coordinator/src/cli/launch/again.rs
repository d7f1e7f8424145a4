//! The same request once more, when its run is over.

use mayfly_proto::RunId;
use mayfly_proto::v1::GetRequest;
use tonic::Code;

use super::coordinator::Coordinator;
use crate::cli::failure::Failure;
use crate::cli::{client, runs, shelf};
use crate::record::Receipt;

/// What is said of it.
pub(super) fn sentence(run: &str) -> String {
    format!("{run} is over: the same request made it before, and nothing is started")
}

/// The receipt of a run that the coordinator does not show any more, since it is over; `None` where it can be followed.
///
/// # Errors
/// The coordinator knows it no more, and its receipt cannot be read.
pub(super) async fn receipt(coordinator: &Coordinator, run: &str) -> Result<Option<Receipt>, Failure> {
    let request = GetRequest {
        run_id: run.to_owned(),
    };
    match coordinator.client.clone().get(request).await {
        Ok(_) => return Ok(None),
        Err(status) if status.code() == Code::NotFound => {}
        Err(status) => return Err(client::refused("look at the run", &status)),
    }
    let id = run
        .parse::<RunId>()
        .map_err(|error| Failure::infra(format!("{run:?}: {error}")))?;
    let found = match &coordinator.embedded {
        Some(embedded) => runs::receipt(&embedded.store.store, &id).await?,
        None => {
            let open = shelf::open(coordinator.client.clone()).await?;
            let found = runs::receipt(&open.store, &id).await?;
            open.close().await;
            found
        }
    };
    let missing = || {
        Failure::infra(format!(
            "the same request made {run} before, which is over and has no receipt: `coordinator status {run}` shows \
             how far it came"
        ))
    };
    found.map(Some).ok_or_else(missing)
}
