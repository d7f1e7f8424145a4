//! The time of day, where somebody may set this machine's clock under a program that runs.
//!
//! [`steady`] goes on as if nobody had, for what one process both makes and checks. A [`Watch`] tells by how much the clock
//! was set, for times that others read too.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

/// What is smaller is how a clock is kept right.
const NOTICED: SignedDuration = SignedDuration::from_secs(5);

/// How long this machine is up, and asleep: by a clock that nobody sets.
fn up() -> Duration {
    // Linux has had that clock since 2.6.39.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

/// When this machine booted, by its clock as it is set now.
fn booted() -> Timestamp {
    let now = Timestamp::now();
    now.saturating_sub(up()).unwrap_or(now)
}

/// The time of day by this machine's clock as it was set when this process first asked.
#[must_use]
pub fn steady() -> Timestamp {
    static BOOTED: OnceLock<Timestamp> = OnceLock::new();
    let booted = *BOOTED.get_or_init(booted);
    booted.saturating_add(up()).unwrap_or(booted)
}

/// Sees that this machine's clock is set.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    booted: Timestamp,
}

impl Default for Watch {
    fn default() -> Self {
        Self { booted: booted() }
    }
}

impl Watch {
    /// By how much the clock has been set since this was made, or since [`Watch::set_by`] told of it.
    #[must_use]
    pub fn by(&self) -> SignedDuration {
        self.between(booted())
    }

    /// By how much the clock has been set since this was asked last; `None` where it was not.
    pub fn set_by(&mut self) -> Option<SignedDuration> {
        self.take(booted())
    }

    fn between(&self, booted: Timestamp) -> SignedDuration {
        let by = booted.duration_since(self.booted);
        if by.abs() < NOTICED {
            SignedDuration::ZERO
        } else {
            by
        }
    }

    fn take(&mut self, booted: Timestamp) -> Option<SignedDuration> {
        let by = self.between(booted);
        if by.is_zero() {
            return None;
        }
        self.booted = booted;
        Some(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_told_of_once_and_one_that_is_kept_right_never() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut watch = Watch {
            booted: at("2030-01-01T12:00:00Z"),
        };
        assert_eq!(watch.take(at("2030-01-01T12:00:04Z")), None);
        let hour = SignedDuration::from_hours(1);
        assert_eq!(watch.between(at("2030-01-01T13:00:00Z")), hour);
        assert_eq!(watch.take(at("2030-01-01T13:00:00Z")), Some(hour));
        assert_eq!(watch.take(at("2030-01-01T13:00:01Z")), None);
        assert_eq!(watch.take(at("2030-01-01T12:00:00Z")), Some(-hour));
    }

    #[test]
    fn nobody_has_set_the_clock_of_this_machine() {
        let late = Timestamp::now().duration_since(steady());
        assert!(late.abs() < NOTICED, "{late:#}");
        assert_eq!(Watch::default().by(), SignedDuration::ZERO);
    }
}
