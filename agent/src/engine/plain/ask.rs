//! Questions to an engine's own pages. Never fails anything: what cannot be read is not known.

use std::time::Duration;

use mayfly_proto::v1::Progress;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

const POLL: Duration = Duration::from_secs(1);
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Longest answer, in bytes.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// A client for the fleet's own pages.
pub(super) fn client() -> Option<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(ANSWER_MAX)
        .build()
        .ok()
}

/// Whether the URL answers with a status of 200 to 299.
pub(super) async fn answers(client: &reqwest::Client, url: &str) -> bool {
    client
        .get(url)
        .send()
        .await
        .is_ok_and(|answer| answer.status().is_success())
}

/// What a URL answers.
async fn json(client: &reqwest::Client, url: &str) -> Option<Value> {
    let mut answer = client.get(url).send().await.ok()?.error_for_status().ok()?;
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.ok()? {
        if bytes.len() + piece.len() > BYTES_MAX {
            return None;
        }
        bytes.extend_from_slice(&piece);
    }
    serde_json::from_slice(&bytes).ok()
}

/// The number at a place of what a URL answers, or how many there are.
pub(super) async fn count(client: &reqwest::Client, url: &str, at: &str) -> Option<u32> {
    number(&json(client, url).await?, at)
}

fn number(value: &Value, at: &str) -> Option<u32> {
    let number = match value.pointer(at)? {
        Value::Number(number) => number.as_u64()?,
        Value::Array(items) => items.len().try_into().ok()?,
        Value::Object(items) => items.len().try_into().ok()?,
        Value::Null | Value::Bool(_) | Value::String(_) => return None,
    };
    u32::try_from(number).ok()
}

/// Tells how far the job is, until it is dropped.
pub(super) async fn follow(url: String, done: String, total: String, report: watch::Sender<Progress>) {
    let Some(client) = client() else { return };
    let mut tick = interval(POLL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(answer) = json(&client, &url).await else {
            continue;
        };
        if let (Some(done), Some(total)) = (number(&answer, &done), number(&answer, &total)) {
            report.send_replace(Progress {
                tasks_done: done,
                tasks_total: total,
                ..Progress::default()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_lists_are_counted() {
        let value = serde_json::json!({ "a": { "b": 3 }, "c": [1, 2], "d": { "x": 1 }, "e": "4", "f": -1 });
        let at = |place| number(&value, place);
        assert_eq!(
            (at("/a/b"), at("/c"), at("/d"), at("/a")),
            (Some(3), Some(2), Some(1), Some(1))
        );
        assert_eq!((at("/e"), at("/f"), at("/none")), (None, None, None));
    }
}
