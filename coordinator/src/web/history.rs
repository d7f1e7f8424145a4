//! History Servers that were asked for on a page. Few at a time; one that nobody looks at any more is ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use mayfly_proto::RunId;
use mayfly_proto::v1::{CarryDown, CarryHead, CarryHeader};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::answer::{Answer, Refused};
use super::engine::{self, Seat};
use crate::history::{History, HistoryError, Wanted};
use crate::home::Home;
use http::StatusCode;

/// At one time.
const MANY: usize = 2;
/// Since somebody looked at it.
const IDLE: Duration = Duration::from_secs(15 * 60);
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Those that run.
pub(super) struct Histories {
    home: Home,
    running: Mutex<HashMap<RunId, Running>>,
}

struct Running {
    history: Arc<History>,
    used: Instant,
}

impl Histories {
    pub(super) fn new(home: Home) -> Self {
        Self {
            home,
            running: Mutex::default(),
        }
    }

    /// The path of the run's page on the server of its run, which is started where there is none.
    ///
    /// # Errors
    /// It does not start.
    pub(super) async fn open(&self, wanted: &Wanted<'_>) -> Result<String, Refused> {
        // Held while one starts: two clicks are one server.
        let mut running = self.running.lock().await;
        if let Some(known) = running.get_mut(wanted.run) {
            known.used = Instant::now();
            return Ok(known.history.path());
        }
        if running.len() >= MANY {
            let oldest = running.iter().min_by_key(|(_, known)| known.used);
            if let Some(run) = oldest.map(|(run, _)| run.clone()) {
                running.remove(&run);
            }
        }
        let started = History::start(&self.home, wanted, |_| {}).await;
        let history = started.map_err(|error| match error {
            HistoryError::Nothing(why) => Refused::not_found(why),
            HistoryError::Failed(error) => {
                Refused::new(StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}"))
            }
        })?;
        let path = history.path();
        let entry = Running {
            history: Arc::new(history),
            used: Instant::now(),
        };
        running.insert(wanted.run.clone(), entry);
        Ok(path)
    }

    /// Ends those that nobody looks at.
    pub(super) async fn tidy(&self) {
        self.running
            .lock()
            .await
            .retain(|_, known| known.used.elapsed() < IDLE);
    }

    /// A page of the server of a run.
    ///
    /// # Errors
    /// None runs, or it does not answer.
    pub(super) async fn ask(&self, run: &RunId, seat: &Seat, asked: &CarryDown) -> Answer {
        let mut running = self.running.lock().await;
        let Some(known) = running.get_mut(run) else {
            return Err(Refused::not_found(
                "It is not running any more: start it from the page of the run.",
            ));
        };
        known.used = Instant::now();
        let history = Arc::clone(&known.history);
        drop(running);
        let failed =
            |error: reqwest::Error| Refused::new(StatusCode::BAD_GATEWAY, error.without_url().to_string());
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWER_LIMIT)
            .build()
            .map_err(failed)?;
        let mut request = client.get(format!("{}{}", history.url, asked.path));
        for CarryHeader { name, value } in &asked.headers {
            request = request.header(name, value);
        }
        let answered = request.send().await.map_err(failed)?;
        let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| CarryHeader {
            name: name.as_str().to_owned(),
            value: value.to_str().unwrap_or_default().to_owned(),
        };
        let head = CarryHead {
            status: answered.status().as_u16().into(),
            headers: answered.headers().iter().map(header).collect(),
        };
        let pieces = futures::stream::try_unfold(answered, async |mut answered| {
            let piece = answered.chunk().await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(piece.map(|piece| (piece, answered)))
        });
        engine::answer(seat, &history.url, &head, Body::from_stream(pieces))
    }
}
