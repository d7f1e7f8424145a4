//! Waiting for facts, with an end.

use std::time::{Duration, Instant};

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(20);

/// Limits are those of a quiet machine; one that also does other things is given this many times as long. A test that
/// passes waits no longer for it.
const PATIENCE: u32 = 5;

/// The limit for a machine that also does other things.
#[must_use]
pub fn patient(limit: Duration) -> Duration {
    PATIENCE * limit
}

/// Asks until there is an answer.
///
/// # Panics
/// There is none within `limit` on a quiet machine.
pub fn until<T>(what: &str, limit: Duration, ask: impl FnMut() -> Option<T>) -> T {
    let limit = patient(limit);
    within(limit, ask).unwrap_or_else(|| panic!("waited {limit:?} in vain for {what}"))
}

/// The same, where there may be none.
pub fn within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        let answer = ask();
        if answer.is_some() || began.elapsed() >= limit {
            return answer;
        }
        pause();
    }
}

/// Seconds, for limits.
#[must_use]
pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Until the next look.
#[expect(
    clippy::disallowed_methods,
    reason = "the rig has no runtime whose threads could be blocked"
)]
pub fn pause() {
    std::thread::sleep(PERIOD);
}
