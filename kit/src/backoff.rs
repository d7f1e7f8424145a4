//! Waits between tries: decorrelated jitter under a budget.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// How long to wait between tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Shortest wait.
    pub base: Duration,
    /// Longest wait.
    pub cap: Duration,
    /// Sum of all waits after which it is given up; `Duration::MAX` for never.
    pub budget: Duration,
}

/// The waits, in order; ends when the budget is used up. Pure, given its source of random numbers.
pub struct Backoff<R> {
    policy: Policy,
    random: R,
    last: Duration,
    left: Duration,
}

impl<R: FnMut() -> u64> Backoff<R> {
    /// Begins with a wait between `base` and three times that.
    pub fn new(policy: Policy, random: R) -> Self {
        Self {
            policy,
            random,
            last: policy.base,
            left: policy.budget,
        }
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        self.last = self.policy.base;
        self.left = self.policy.budget;
    }
}

impl<R: FnMut() -> u64> Iterator for Backoff<R> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let base = millis(self.policy.base);
        let span = millis(self.last).saturating_mul(3).saturating_sub(base).max(1);
        let wait = Duration::from_millis(base + (self.random)() % span).min(self.policy.cap);
        self.left = self.left.checked_sub(wait)?;
        self.last = wait;
        Some(wait)
    }
}

/// A number that differs between processes and calls; for jitter, not for secrets.
#[must_use]
pub fn jitter() -> u64 {
    RandomState::new().hash_one(0u8)
}

/// `period` made longer or shorter by up to a tenth, so that a thousand nodes do not speak at once.
#[must_use]
pub fn about(period: Duration, random: u64) -> Duration {
    let tenth = millis(period) / 10;
    let shift = random % (2 * tenth + 1);
    period.saturating_sub(Duration::from_millis(tenth)) + Duration::from_millis(shift)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        base: Duration::from_millis(100),
        cap: Duration::from_secs(5),
        budget: Duration::from_secs(60),
    };

    #[test]
    fn every_wait_is_within_bounds_and_all_of_them_within_the_budget() {
        for seed in 0..200u64 {
            let mut n = seed;
            let random = move || {
                n = n
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                n >> 16
            };
            let waits: Vec<Duration> = Backoff::new(POLICY, random).collect();
            assert!(
                waits.iter().all(|w| (POLICY.base..=POLICY.cap).contains(w)),
                "{waits:?}"
            );
            let sum: Duration = waits.iter().sum();
            assert!(
                sum <= POLICY.budget && sum + POLICY.cap > POLICY.budget,
                "{sum:?}"
            );
        }
    }

    #[test]
    fn it_grows_to_the_cap_and_begins_anew_after_a_reset() {
        let mut backoff = Backoff::new(POLICY, || u64::MAX / 2 + 3);
        let first = backoff.next().unwrap();
        let longest = backoff.by_ref().take(10).max().unwrap();
        assert!(longest > first * 3, "{longest:?}");
        backoff.reset();
        assert_eq!(backoff.next().unwrap(), first);
    }

    #[test]
    fn about_stays_within_a_tenth() {
        for random in 0..500 {
            let wait = about(Duration::from_secs(1), random);
            assert!((900..=1100).contains(&wait.as_millis()), "{wait:?}");
        }
        assert_eq!(about(Duration::ZERO, 7), Duration::ZERO);
    }
}
