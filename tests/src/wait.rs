//! Waiting for facts, with an end.

use std::time::{Duration, Instant};

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(20);

/// Asks until there is an answer.
///
/// # Panics
/// There is none within `limit`.
pub fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < limit, "waited {limit:?} in vain for {what}");
        pause();
    }
}

/// Seconds, for limits.
#[must_use]
pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rig has no runtime whose threads could be blocked"
)]
fn pause() {
    std::thread::sleep(PERIOD);
}
