//! HTTP for operators: `/live`, `/ready`, `/metrics`, `/status`.
//!
//! Ready means that every latch has been dropped. Live means that every loop has shown a sign of life within its own
//! bound; contact with others has no part in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::scrape::{Family, Scraped};

mod text;

/// What the pages show. Clones share it.
#[derive(Clone, Default)]
pub struct Admin {
    board: Arc<Mutex<Board>>,
    registry: Arc<Mutex<Registry>>,
}

#[derive(Default)]
struct Board {
    latches: BTreeMap<&'static str, usize>,
    loops: BTreeMap<String, Pulse>,
}

struct Pulse {
    fed: Instant,
    bound: Duration,
    status: String,
}

/// Keeps the program not ready until it is dropped.
pub struct Latch {
    name: &'static str,
    board: Arc<Mutex<Board>>,
}

/// One loop's line on `/status` and its sign of life. A loop that ends drops it.
pub struct Loop {
    name: String,
    board: Arc<Mutex<Board>>,
}

impl Admin {
    /// Shows nothing yet and is ready and live.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Something that must happen before the program is ready.
    #[must_use]
    pub fn latch(&self, name: &'static str) -> Latch {
        *self.board().latches.entry(name).or_default() += 1;
        Latch {
            name,
            board: Arc::clone(&self.board),
        }
    }

    /// A loop that shows a sign of life at least once in `bound`.
    #[must_use]
    pub fn watch(&self, name: impl Into<String>, bound: Duration) -> Loop {
        let name = name.into();
        self.board().loops.insert(
            name.clone(),
            Pulse {
                fed: Instant::now(),
                bound,
                status: "starting".into(),
            },
        );
        Loop {
            name,
            board: Arc::clone(&self.board),
        }
    }

    /// Loops that have shown no sign of life within their bound.
    #[must_use]
    pub fn stuck(&self) -> Vec<String> {
        self.board().stuck()
    }

    /// Adds metrics.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut lock(&self.registry));
    }

    /// The pages, for a server of the caller's own.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/live", get(live))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .route("/status", get(status))
            .with_state(self.clone())
    }

    /// Adds metrics whose values are read at each scrape.
    pub fn collect(&self, families: impl Fn() -> Vec<Family> + Send + Sync + 'static) {
        self.register(|registry| registry.register_collector(Box::new(Scraped(families))));
    }

    /// Says which program this is.
    pub fn build_info(&self, program: &'static str, version: &'static str) {
        self.collect(move || {
            let info = Family::gauge("mayfly_build_info", "Always 1; the labels say what runs.");
            vec![info.with([("program", program), ("version", version)], 1.0)]
        });
    }

    /// Serves the pages, and those of `more`, until `stop` ends.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve(
        &self,
        listener: TcpListener,
        more: Router,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        axum::serve(listener, self.router().merge(more))
            .with_graceful_shutdown(stop)
            .await
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        let mut board = lock(&self.board);
        if let Some(open) = board.latches.get_mut(self.name) {
            *open -= 1;
        }
        board.latches.retain(|_, open| *open > 0);
    }
}

impl Loop {
    /// Shows that the loop turns.
    pub fn alive(&self) {
        if let Some(pulse) = lock(&self.board).loops.get_mut(&self.name) {
            pulse.fed = Instant::now();
        }
    }

    /// Shows that the loop turns, and what it does in one line.
    pub fn status(&self, text: impl Into<String>) {
        if let Some(pulse) = lock(&self.board).loops.get_mut(&self.name) {
            pulse.fed = Instant::now();
            pulse.status = crate::telemetry::escape(&text.into());
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        lock(&self.board).loops.remove(&self.name);
    }
}

impl Board {
    fn stuck(&self) -> Vec<String> {
        let late = self
            .loops
            .iter()
            .filter(|(_, pulse)| pulse.fed.elapsed() > pulse.bound);
        late.map(|(name, _)| name.clone()).collect()
    }
}

/// Holders only copy values, so a poisoned lock still guards sound data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn live(State(admin): State<Admin>) -> (StatusCode, String) {
    verdict("live", "stuck", &admin.board().stuck())
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    let waiting: Vec<String> = admin
        .board()
        .latches
        .keys()
        .map(|&name| name.to_owned())
        .collect();
    verdict("ready", "waiting for", &waiting)
}

fn verdict(well: &str, ill: &str, names: &[String]) -> (StatusCode, String) {
    if names.is_empty() {
        return (StatusCode::OK, format!("{well}\n"));
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        format!("{ill}: {}\n", names.join(", ")),
    )
}

async fn status(State(admin): State<Admin>) -> String {
    let mut page = String::new();
    for (name, pulse) in &admin.board().loops {
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "{name:<10} {:>5} s ago  {}",
            pulse.fed.elapsed().as_secs(),
            pulse.status
        );
    }
    page
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let mut page = String::new();
    match prometheus_client::encoding::text::encode(&mut page, &lock(&admin.registry)) {
        Ok(()) => (
            StatusCode::OK,
            [(header::CONTENT_TYPE, text::TYPE)],
            text::classic(&page),
        ),
        Err(e) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain")],
            e.to_string(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_once_every_latch_is_dropped() {
        let admin = Admin::new();
        let (first, second) = (admin.latch("enrolled"), admin.latch("engine"));
        assert_eq!(
            ready(State(admin.clone())).await.1,
            "waiting for: engine, enrolled\n"
        );
        drop(first);
        assert_eq!(
            ready(State(admin.clone())).await.0,
            StatusCode::SERVICE_UNAVAILABLE
        );
        drop(second);
        assert_eq!(ready(State(admin)).await, (StatusCode::OK, "ready\n".into()));
    }

    #[tokio::test(start_paused = true)]
    async fn live_while_every_loop_turns() {
        let admin = Admin::new();
        let (sync, upload) = (
            admin.watch("sync", Duration::from_secs(5)),
            admin.watch("upload", Duration::from_secs(60)),
        );
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(
            live(State(admin.clone())).await,
            (StatusCode::SERVICE_UNAVAILABLE, "stuck: sync\n".into())
        );
        sync.alive();
        upload.status("3 of 7 files\nforged line");
        assert_eq!(live(State(admin.clone())).await.0, StatusCode::OK);
        assert_eq!(status(State(admin.clone())).await.lines().count(), 2);
        tokio::time::advance(Duration::from_secs(30)).await;
        drop(sync);
        assert_eq!(
            live(State(admin)).await.0,
            StatusCode::OK,
            "a loop that ended is not stuck"
        );
    }

    #[tokio::test]
    async fn metrics_are_what_prometheus_reads() {
        let admin = Admin::new();
        let count: prometheus_client::metrics::counter::Counter = Default::default();
        admin.register(|r| r.register("syncs", "Reports sent", count.clone()));
        count.inc();
        let page = metrics(State(admin)).await.into_response();
        assert_eq!(page.headers()[header::CONTENT_TYPE], text::TYPE);
        let body = axum::body::to_bytes(page.into_body(), 4096).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("# TYPE syncs_total counter\nsyncs_total 1\n"));
    }
}
