//! Looks at what the nodes of open runs use, again and again, and keeps it in the store when a run ends.

use std::collections::HashSet;
use std::time::Duration;

use mayfly_kit::layout;
use mayfly_proto::{RunId, v1};
use tokio::time::{MissedTickBehavior, interval};

use super::Web;
use super::samples::Samples;

const EVERY: Duration = Duration::from_secs(2);
/// How long one write may take.
const WRITE_LIMIT: Duration = Duration::from_secs(3);

/// Looks until the coordinator stops.
pub(super) async fn run(web: &Web) {
    let mut stop = web.stop();
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut kept = HashSet::new();
    loop {
        let over = tokio::select! {
            _ = tick.tick() => false,
            // An error means the same.
            _ = stop.changed() => true,
        };
        look(web, &mut kept).await;
        if over {
            return;
        }
        web.0.histories.tidy().await;
    }
}

async fn look(web: &Web, kept: &mut HashSet<RunId>) {
    let views = web.0.server.views().await;
    let mut open = HashSet::new();
    for view in &views {
        let Ok(run) = view.run_id.parse::<RunId>() else {
            continue;
        };
        match view.phase() {
            v1::Phase::Closed | v1::Phase::Releasing if !kept.contains(&run) => {
                keep(web, &run).await;
                kept.insert(run.clone());
            }
            v1::Phase::Forming | v1::Phase::Working | v1::Phase::Collecting => {
                let began = view.phases.first().map_or(view.now_ms, |span| span.began_ms);
                let at = secs(view.now_ms.saturating_sub(began));
                web.samples()
                    .entry(run.clone())
                    .or_default()
                    .look(at, &view.nodes);
            }
            v1::Phase::Unspecified
            | v1::Phase::Accepted
            | v1::Phase::Arming
            | v1::Phase::Releasing
            | v1::Phase::Closed => {}
        }
        if view.phase() != v1::Phase::Closed {
            open.insert(run);
        }
    }
    // The store has those of closed runs.
    web.samples().retain(|run, _| open.contains(run));
    kept.retain(|run| views.iter().any(|view| view.run_id == run.as_str()));
}

/// A chart that is lost is no loss of the run's: it is not tried again.
async fn keep(web: &Web, run: &RunId) {
    let samples: Option<Samples> = web.samples().get(run).cloned();
    let Some(text) = samples
        .filter(|samples| !samples.is_empty())
        .and_then(|samples| serde_json::to_vec(&samples).ok())
    else {
        return;
    };
    let key = layout::samples(run);
    let written = tokio::time::timeout(WRITE_LIMIT, web.0.server.store().put_new(&key, text)).await;
    if !matches!(written, Ok(Ok(_))) {
        tracing::debug!(%run, "the charts of the run are not kept");
    }
}

#[expect(clippy::cast_precision_loss, reason = "a place on a chart")]
fn secs(ms: i64) -> f32 {
    ms.max(0) as f32 / 1000.0
}
