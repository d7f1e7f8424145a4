//! Shows a run to those who cannot reach its coordinator: the view goes into the store, again and again while it lives.

use mayfly_kit::layout;
use mayfly_kit::store::Store;
use mayfly_proto::{RunId, v1};
use prost::Message as _;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::PUBLISH_EVERY;

/// Writes the view whenever it has changed, and once more when its owner is gone.
pub(super) async fn publish(store: Store, run: RunId, mut view: watch::Receiver<v1::RunView>) {
    let mut pace = interval(PUBLISH_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut there = true;
    while there {
        there = view.changed().await.is_ok();
        pace.tick().await;
        let bytes = view.borrow_and_update().encode_to_vec();
        if let Err(error) = store.put(&layout::view(&run), bytes).await {
            tracing::warn!(%run, %error, "cannot show the run in the store; trying again");
        }
    }
}
