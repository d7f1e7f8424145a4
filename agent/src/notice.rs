//! Looks, once a second, whether a spot instance is about to be taken away.
//!
//! A notice is sticky: once seen it is believed, whatever metadata says after it. That metadata does not answer is no notice;
//! it is counted, and the machine may then end without a word, which a run survives as well.

use std::time::Duration;

use jiff::Timestamp;
use mayfly_kit::admin::Loop;
use mayfly_kit::backoff::{about, jitter};
use mayfly_kit::imds::{Answer, Imds, ImdsError};
use mayfly_proto::v1;
use prometheus_client::metrics::counter::Counter;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use crate::node::Event;

const ACTION: &str = "meta-data/spot/instance-action";
const REBALANCE: &str = "meta-data/events/recommendations/rebalance";
const EVERY: Duration = Duration::from_secs(1);

/// What is known of the machine's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Notice {
    /// Nothing.
    #[default]
    None,
    /// It is likelier than usual to be taken away. By itself this changes nothing.
    Rebalance,
    /// It is taken away at this time.
    Interruption(Instant),
}

impl Notice {
    /// On the wire.
    #[must_use]
    pub fn wire(self, now: Instant) -> Option<v1::Notice> {
        let (kind, remaining) = match self {
            Self::None => return None,
            Self::Rebalance => (v1::NoticeKind::Rebalance, Duration::ZERO),
            Self::Interruption(at) => (v1::NoticeKind::Interruption, at.saturating_duration_since(now)),
        };
        Some(v1::Notice {
            kind: kind.into(),
            remaining_ms: u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// The loop's parts.
pub struct Lookout {
    /// Who is asked.
    pub imds: Imds,
    /// What is known.
    pub notice: watch::Sender<Notice>,
    /// Where an interruption goes.
    pub events: mpsc::Sender<Event>,
    /// Questions without an answer that can be used.
    pub failures: Counter,
    /// Line on `/status`.
    pub pulse: Loop,
}

impl Lookout {
    /// Looks until an interruption is announced: nothing is to be learned after that.
    pub async fn run(self) {
        loop {
            if let Some(notice) = self.look().await {
                self.notice.send_if_modified(|known| {
                    let news = *known != notice;
                    *known = notice;
                    news
                });
            }
            let notice = *self.notice.borrow();
            self.pulse.status(describe(notice));
            if let Notice::Interruption(at) = notice {
                let left = at.saturating_duration_since(Instant::now());
                tracing::warn!("this machine is taken away in {} s", left.as_secs());
                // A node that does not listen any more is leaving.
                let _ = self.events.send(Event::Interrupted).await;
                return;
            }
            sleep(about(EVERY, jitter())).await;
        }
    }

    /// What is new, if anything is.
    async fn look(&self) -> Option<Notice> {
        let asked = Instant::now();
        match self.interruption().await {
            Ok(Some(left)) => return Some(Notice::Interruption(asked + left)),
            Ok(None) => {}
            Err(error) => self.failed(&error),
        }
        if *self.notice.borrow() != Notice::None {
            return None;
        }
        match self.rebalance().await {
            Ok(true) => {
                tracing::warn!("this machine is likelier than others to be taken away");
                Some(Notice::Rebalance)
            }
            Ok(false) => None,
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }

    fn failed(&self, error: &ImdsError) {
        self.failures.inc();
        let error: &dyn std::error::Error = error;
        tracing::debug!(error, "whether the machine stays is not known");
    }

    async fn interruption(&self) -> Result<Option<Duration>, ImdsError> {
        let answer = self.imds.get(ACTION).await?;
        answer.map(|answer| left(&answer)).transpose()
    }

    async fn rebalance(&self) -> Result<bool, ImdsError> {
        let answer = self.imds.get(REBALANCE).await?;
        answer
            .map(|answer| recommended(&answer))
            .transpose()
            .map(Option::unwrap_or_default)
    }
}

/// How long the machine has, from when the answer was given. What is done to it then is all the same to a node: it is
/// stopped, hibernated or terminated.
fn left(answer: &Answer) -> Result<Duration, ImdsError> {
    #[derive(Deserialize)]
    struct Document {
        #[expect(dead_code, reason = "a notice has one; which one is all the same")]
        action: String,
        time: Timestamp,
    }
    let document: Document = serde_json::from_str(&answer.text).map_err(|error| {
        ImdsError::malformed(ACTION, "a JSON object of action and time", error.to_string())
    })?;
    let now = answer.date.unwrap_or_else(Timestamp::now);
    Ok(Duration::try_from(document.time.duration_since(now)).unwrap_or_default())
}

fn recommended(answer: &Answer) -> Result<bool, ImdsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        #[expect(dead_code, reason = "a recommendation has one; it is seen within a second")]
        notice_time: Timestamp,
    }
    let document: Result<Document, _> = serde_json::from_str(&answer.text);
    let wanted = "a JSON object of noticeTime";
    document
        .map(|_| true)
        .map_err(|error| ImdsError::malformed(REBALANCE, wanted, error.to_string()))
}

fn describe(notice: Notice) -> &'static str {
    match notice {
        Notice::None => "the machine stays",
        Notice::Rebalance => "the machine may be taken away",
        Notice::Interruption(_) => "the machine is being taken away",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        Answer {
            text: text.into(),
            date: "2030-01-01T00:00:00Z".parse().ok(),
        }
    }

    #[test]
    fn what_is_left_is_counted_by_the_clock_of_whoever_says_so() {
        for (time, secs) in [
            ("2030-01-01T00:02:00Z", 120),
            ("2030-01-01T01:02:00+01:00", 120),
            ("2029-01-01T00:00:00Z", 0),
        ] {
            for action in ["terminate", "stop", "hibernate", "something-new"] {
                let text = format!(r#"{{"action":"{action}","time":"{time}"}}"#);
                assert_eq!(left(&answer(&text)).unwrap(), Duration::from_secs(secs), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_notice_is_not_taken_for_one() {
        for text in [
            "",
            "{}",
            r#"{"action":"terminate"}"#,
            r#"{"action":"stop","time":"soon"}"#,
            "<html>",
        ] {
            assert!(left(&answer(text)).is_err(), "{text}");
            assert!(recommended(&answer(text)).is_err(), "{text}");
        }
        assert!(recommended(&answer(r#"{"noticeTime":"2030-01-01T00:00:00Z"}"#)).unwrap());
    }

    #[test]
    fn a_notice_travels_with_what_is_left() {
        let now = Instant::now();
        assert_eq!(Notice::None.wire(now), None);
        let wire = Notice::Interruption(now + Duration::from_secs(90)).wire(now + Duration::from_secs(60));
        assert_eq!(wire.unwrap().remaining_ms, 30_000);
        assert_eq!(
            Notice::Rebalance.wire(now).unwrap().kind(),
            v1::NoticeKind::Rebalance
        );
    }
}
