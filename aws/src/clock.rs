//! The time, as AWS has it. A scheduled action, and the end of a run that machines compare with the date of their own
//! metadata, count by AWS's clock; everything else here counts by this machine's.

use std::sync::{Arc, PoisonError, RwLock};

use aws_sdk_ec2::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use jiff::{SignedDuration, Timestamp};
use mayfly_kit::clock::Watch;

/// What is smaller is the second that a date is rounded to, and the way of an answer.
const NOTICED_SECS: i64 = 5;

/// Learns from the dates of AWS's answers how far AWS's clock is ahead. Clones know the same.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<RwLock<Learned>>);

/// What the last answer said, and whether this machine's clock was set since then.
#[derive(Debug, Clone, Copy, Default)]
struct Learned {
    ahead_secs: i64,
    since: Watch,
}

impl Clock {
    fn learned(&self) -> Learned {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn ahead(&self) -> SignedDuration {
        let Learned { ahead_secs, since } = self.learned();
        SignedDuration::from_secs(ahead_secs).saturating_sub(since.by())
    }

    /// A moment of this machine's clock by AWS's.
    #[must_use]
    pub fn theirs(&self, ours: Timestamp) -> Timestamp {
        ours.saturating_add(self.ahead()).unwrap_or(ours)
    }

    /// A moment of AWS's clock by this machine's.
    #[must_use]
    pub fn ours(&self, theirs: Timestamp) -> Timestamp {
        theirs.saturating_sub(self.ahead()).unwrap_or(theirs)
    }

    /// What is no date teaches nothing.
    fn learn(&self, date: &str, now: Timestamp) {
        let Ok(theirs) = jiff::fmt::rfc2822::parse(date) else {
            return;
        };
        let ahead = theirs.timestamp().duration_since(now).as_secs();
        let ahead = if ahead.abs() < NOTICED_SECS { 0 } else { ahead };
        let before = self.learned().ahead_secs;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Learned {
            ahead_secs: ahead,
            since: Watch::default(),
        };
        if (before - ahead).abs() >= NOTICED_SECS {
            tracing::warn!("AWS's clock is {ahead} s ahead of this machine's, not {before} s");
        }
    }
}

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.learn(date, Timestamp::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_the_clock_that_counts() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (clock, noon) = (Clock::default(), at("2030-01-01T12:00:00Z"));
        clock.learn("Tue, 01 Jan 2030 12:00:03 GMT", noon);
        assert_eq!(clock.theirs(noon), noon, "three seconds are the way of an answer");
        clock.learn("Tue, 01 Jan 2030 13:00:00 GMT", noon);
        clock.learn("yesterday", noon);
        assert_eq!(clock.theirs(noon), at("2030-01-01T13:00:00Z"));
        assert_eq!(clock.ours(clock.theirs(noon)), noon);
        clock.learn("Tue, 01 Jan 2030 11:00:00 GMT", noon);
        assert_eq!(clock.theirs(noon), at("2030-01-01T11:00:00Z"));
    }
}
