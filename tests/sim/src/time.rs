//! Virtual time: milliseconds since the world began.

use std::time::Duration;

use jiff::Timestamp;

/// Milliseconds since the world began.
pub type Ms = u64;
/// A second.
pub const SEC: Ms = 1_000;
/// A minute.
pub const MIN: Ms = 60 * SEC;

/// What true clocks show when the world begins, in seconds since 1970: a morning in 2031.
const BEGAN: i64 = 1_930_000_000;

/// As a duration.
#[must_use]
pub fn long(ms: Ms) -> Duration {
    Duration::from_millis(ms)
}

/// Of a duration, in milliseconds.
#[must_use]
pub fn ms(duration: Duration) -> Ms {
    Ms::try_from(duration.as_millis()).unwrap_or(Ms::MAX)
}

/// What a true clock shows at this moment.
#[must_use]
pub fn wall(now: Ms) -> Timestamp {
    skewed(now, 0)
}

/// What a clock shows that is so many milliseconds ahead of the true one, or behind.
#[must_use]
pub fn skewed(now: Ms, skew: i64) -> Timestamp {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let shown = BEGAN
        .saturating_mul(1_000)
        .saturating_add(now)
        .saturating_add(skew);
    Timestamp::from_millisecond(shown).unwrap_or(Timestamp::MAX)
}

/// The moment at which a true clock shows this; the world's beginning for what was before.
#[must_use]
pub fn moment(shown: Timestamp) -> Ms {
    Ms::try_from(shown.as_millisecond() - BEGAN * 1_000).unwrap_or(0)
}
