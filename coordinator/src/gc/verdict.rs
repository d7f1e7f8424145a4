//! Whether what is left of a run on AWS may be ended: no I/O.

use std::time::Duration;

use jiff::Timestamp;

/// What a run may take beyond its end: to save what there is, and for AWS to end its machines.
const GRACE: Duration = Duration::from_secs(900);

/// Whether the things of a run may be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its end has passed, and nobody keeps it.
    LeftOver,
    /// Its end is ahead.
    Alive,
    /// Its end has passed, but somebody moves its lease on.
    Kept,
    /// Its tags do not say when it ends.
    Unknown,
}

impl Verdict {
    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::LeftOver => "its end has passed and nobody keeps it",
            Self::Alive => "its end is ahead",
            Self::Kept => "its end has passed, but its lease is renewed",
            Self::Unknown => "its tags do not say when it ends",
        }
    }
}

/// What tags and lease say of a run. Nothing follows from what is not known.
pub(super) fn verdict(deadline: Option<Timestamp>, lease: Option<Timestamp>, now: Timestamp) -> Verdict {
    let Some(deadline) = deadline else {
        return Verdict::Unknown;
    };
    if now <= deadline + GRACE {
        return Verdict::Alive;
    }
    // A lease ahead is one that was put lately: none is longer than a few minutes.
    match lease {
        Some(lease) if lease > now => Verdict::Kept,
        Some(_) | None => Verdict::LeftOver,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_whose_end_has_passed_and_that_nobody_keeps_is_left_over() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let end = Some(at(1_000));
        assert_eq!(verdict(end, None, at(999)), Verdict::Alive);
        assert_eq!(verdict(end, None, at(1_900)), Verdict::Alive);
        assert_eq!(verdict(end, Some(at(2_000)), at(1_901)), Verdict::Kept);
        assert_eq!(verdict(end, Some(at(1_800)), at(1_901)), Verdict::LeftOver);
        assert_eq!(verdict(end, None, at(1_901)), Verdict::LeftOver);
        assert_eq!(verdict(None, None, at(9_999)), Verdict::Unknown);
    }
}
