//! What the loop of a daemon is told by whoever holds its engine.

use std::time::Duration;

use tokio::sync::watch;

/// Waits for the order to drain; a dropped engine gives none.
pub(super) async fn decommissioned(leaving: &mut watch::Receiver<bool>) {
    if leaving.wait_for(|leaving| *leaving).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The grace, once the engine is told to stop; a dropped engine means none.
pub(super) async fn told(stop: &mut watch::Receiver<Option<Duration>>) -> Duration {
    stop.wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|grace| *grace)
        .unwrap_or_default()
}
