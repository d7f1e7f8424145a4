//! One line in the log for each refusal, and not more than a few a second of each kind: whoever knocks does not fill
//! the disk.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mayfly_kit::telemetry::escape;

/// Lines of one kind in one window.
const LINES: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);
/// Longest detail that is logged, in characters.
const DETAIL_MAX: usize = 300;

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Too many connections.
    Crowd,
    /// No TLS handshake, or not one that is taken: plaintext, an old version, a certificate that is not good here.
    Handshake,
    /// Too slow to show what it is.
    Slow,
    /// A token that is not valid, or none.
    Token,
    /// An enrolment: a join token that is foreign, expired or used by another.
    Enrolment,
    /// A node that speaks as another, or as what it is not.
    Identity,
}

impl Refusal {
    fn text(self) -> &'static str {
        match self {
            Self::Crowd => "too many connections: one was refused",
            Self::Handshake => "a TLS handshake was refused",
            Self::Slow => "a connection was closed: it did not show what it is",
            Self::Token => "a call without a valid token was refused",
            Self::Enrolment => "a node was not taken in",
            Self::Identity => "a node spoke as what it is not: refused",
        }
    }
}

/// The log of refusals. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<Mutex<HashMap<Refusal, Window>>>);

#[derive(Debug)]
struct Window {
    since: Instant,
    count: u32,
}

/// What is done about one refusal.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// It is logged; so many before it were not.
    Logged {
        unsaid: u32,
    },
    Unsaid,
}

impl Refusals {
    /// Logs a refusal, or only counts it.
    pub fn note(&self, refusal: Refusal, peer: Option<SocketAddr>, detail: &dyn Display) {
        match self.count(refusal, Instant::now()) {
            Line::Unsaid => {}
            Line::Logged { unsaid } => {
                let detail: String = escape(&detail.to_string()).chars().take(DETAIL_MAX).collect();
                let peer = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
                if unsaid > 0 {
                    tracing::warn!("{} times more: {}", unsaid, refusal.text());
                }
                tracing::warn!(%peer, detail, "{}", refusal.text());
            }
        }
    }

    fn count(&self, refusal: Refusal, now: Instant) -> Line {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(refusal).or_insert(Window { since: now, count: 0 });
        let mut unsaid = 0;
        if now.duration_since(window.since) >= WINDOW {
            unsaid = window.count.saturating_sub(LINES);
            *window = Window { since: now, count: 0 };
        }
        window.count = window.count.saturating_add(1);
        if window.count > LINES {
            return Line::Unsaid;
        }
        Line::Logged { unsaid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_and_a_number() {
        let refusals = Refusals::default();
        let now = Instant::now();
        let logged = (0..1_000)
            .filter(|_| refusals.count(Refusal::Token, now) != Line::Unsaid)
            .count();
        assert_eq!(logged, LINES as usize);
        assert_eq!(
            refusals.count(Refusal::Handshake, now),
            Line::Logged { unsaid: 0 },
            "another kind has lines of its own"
        );
        assert_eq!(
            refusals.count(Refusal::Token, now + WINDOW),
            Line::Logged { unsaid: 980 }
        );
        assert_eq!(
            refusals.count(Refusal::Token, now + WINDOW),
            Line::Logged { unsaid: 0 }
        );
    }
}
