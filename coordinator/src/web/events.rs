//! What changes on the page of a run, as it changes: server-sent events. A reader that is slower than the run misses lines
//! and is told so; nothing waits for it and nothing piles up.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use mayfly_proto::{RunId, v1};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use super::Web;
use super::parts;
use super::shown::Shown;
use crate::cli::plain;
use crate::driver::Handle;

/// Time between two looks at what changed, at least.
const PAUSE: Duration = Duration::from_millis(500);
/// The clock of the page goes on even when nothing else does.
const TICK: Duration = Duration::from_secs(2);
/// Lines of one event.
const LINES_MAX: usize = 500;
/// Lines behind, from which on a reader jumps to what is new: more than the page keeps is of no use to it.
const BEHIND_MAX: u64 = 2_000;
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A reader: what it has been told.
struct Reader {
    web: Web,
    run: RunId,
    handle: Handle,
    end: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
    next_line: u64,
    told: HashMap<&'static str, String>,
    next_look: Instant,
    /// Whether its owner is gone.
    over: bool,
    done: bool,
    _place: OwnedSemaphorePermit,
}

/// The events of a run from a line on.
pub(super) fn of_run(
    web: Web,
    run: RunId,
    handle: Handle,
    from: u64,
    place: OwnedSemaphorePermit,
) -> Response {
    let reader = Reader {
        end: handle.output.end(),
        stop: web.stop(),
        web,
        run,
        handle,
        next_line: from,
        told: HashMap::new(),
        next_look: Instant::now(),
        over: false,
        done: false,
        _place: place,
    };
    let events = futures::stream::unfold(reader, async |mut reader| {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.lines() {
                return Some(event);
            }
            if self.done || *self.stop.borrow() {
                return None;
            }
            if Instant::now() >= self.next_look
                && let Some(event) = self.look()
            {
                return Some(event);
            }
            self.wait().await;
        }
    }

    /// Until there is a line, or it is time for a look.
    async fn wait(&mut self) {
        let (next_look, view) = (self.next_look, &mut self.handle.view);
        let look = async {
            tokio::select! {
                changed = view.changed() => {
                    sleep_until(next_look).await;
                    // Without an owner nothing changes any more.
                    changed.is_err()
                }
                () = sleep_until(next_look + TICK) => false,
            }
        };
        tokio::select! {
            // An error means that the coordinator is being stopped.
            _ = self.stop.changed() => self.done = true,
            _ = self.end.changed() => {}
            over = look => self.over = over,
        }
    }

    fn lines(&mut self) -> Option<Event> {
        let end = *self.end.borrow_and_update();
        let mut lines = Vec::new();
        if end.saturating_sub(self.next_line) > BEHIND_MAX {
            let skipped = end - BEHIND_MAX - self.next_line;
            self.next_line += skipped;
            lines.push(json!([
                "",
                format!("[{skipped} lines are not shown here; the whole log has them]")
            ]));
        }
        while lines.len() < LINES_MAX
            && let Some(batch) = self.handle.output.read(self.next_line)
        {
            self.next_line = batch.first_line + batch.lines.len() as u64;
            lines.extend(
                batch
                    .lines
                    .iter()
                    .map(|line| json!([batch.node_id, plain::line(line)])),
            );
        }
        if lines.is_empty() {
            return None;
        }
        let event = Event::default().event("lines").id(self.next_line.to_string());
        event.json_data(lines).ok()
    }

    /// What of the page is not as it was.
    fn look(&mut self) -> Option<Event> {
        self.next_look = Instant::now() + PAUSE;
        let view = self.handle.view.borrow_and_update().clone();
        let closed = view.phase() == v1::Phase::Closed;
        let shown = Shown::live(&view, Timestamp::now().as_millisecond());
        let parts = self
            .web
            .with_samples(&self.run, |samples| parts::all(&shown, samples));
        let mut news = serde_json::Map::new();
        for (name, part) in parts {
            let text = part.into_string();
            if self.told.get(name) != Some(&text) {
                news.insert(name.to_owned(), json!(text));
                self.told.insert(name, text);
            }
        }
        if closed || self.over {
            self.done = true;
            // The page that comes now is made of what the store has.
            return Some(Event::default().event("end").data("closed"));
        }
        let title = format!("{} · {} · Mayfly", shown.state.word, shown.run);
        let event = json!({ "parts": news, "title": title, "engine": shown.engine_ui });
        if news_is_empty(&event) {
            return None;
        }
        Event::default().event("parts").json_data(event).ok()
    }
}

fn news_is_empty(event: &serde_json::Value) -> bool {
    event["parts"].as_object().is_none_or(serde_json::Map::is_empty)
}
