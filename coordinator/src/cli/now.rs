//! A run that is open, as its coordinator sees it: asked, or read where it shows itself in the store.

use std::path::Path;
use std::time::Duration;

use mayfly_kit::layout;
use mayfly_kit::store::Store;
use mayfly_proto::v1::{GetRequest, RunView};
use prost::Message as _;

use super::remote;
use crate::record::RunRecord;

/// Longest that is waited for an answer: the record says how far the run is, too.
const LIMIT: Duration = Duration::from_secs(3);

/// The view of a run; `None` where it is closed, or nobody tells.
pub(crate) async fn view(home: &Path, store: &Store, record: &RunRecord) -> Option<RunView> {
    if record.is_closed() {
        return None;
    }
    let found = async {
        if record.on_master {
            published(store, record).await
        } else {
            asked(home, record).await
        }
    };
    tokio::time::timeout(LIMIT, found).await.ok().flatten()
}

async fn published(store: &Store, record: &RunRecord) -> Option<RunView> {
    let view = store.get(&layout::view(&record.run)).await.ok()??;
    RunView::decode(view.bytes).ok()
}

async fn asked(home: &Path, record: &RunRecord) -> Option<RunView> {
    let mut client = remote::coordinator_of(home, &record.run).await?;
    let request = GetRequest {
        run_id: record.run.to_string(),
    };
    client.get(request).await.ok().map(tonic::Response::into_inner)
}
