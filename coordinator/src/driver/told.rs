//! What webhooks are told, from one state of a run to the next: pure.

use crate::notify::What;
use crate::run::{Run, Stage};

/// As much of a run's state as they are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It goes on.
    Open,
    /// Its job failed, and its machines stay for a look.
    Held,
    /// Its outcome is known, and its machines are being given back.
    Over,
    /// The same, for so long that something is wrong.
    Overdue,
}

impl State {
    pub(super) fn of(run: &Run) -> Self {
        match run.stage {
            Stage::Accepted
            | Stage::Arming
            | Stage::Forming { .. }
            | Stage::Working { .. }
            | Stage::Collecting { .. } => Self::Open,
            Stage::Held { .. } => Self::Held,
            Stage::Releasing { .. } | Stage::Closed if run.is_overdue() => Self::Overdue,
            Stage::Releasing { .. } | Stage::Closed => Self::Over,
        }
    }
}

/// What is told when a run goes from one state to another.
pub(super) fn between(before: State, now: State) -> Option<What> {
    match (before, now) {
        (State::Open, State::Held) => Some(What::Held),
        (State::Open | State::Held, State::Over | State::Overdue) => Some(What::Ended),
        (State::Over, State::Overdue) => Some(What::ReleaseTrouble),
        (
            State::Open | State::Held | State::Over | State::Overdue,
            State::Open | State::Held | State::Over | State::Overdue,
        ) => None,
    }
}

/// Why, where the run's record does not say it.
pub(super) fn reason(what: What, run: &Run) -> &str {
    match what {
        What::ReleaseTrouble => run.notices.last().map_or("", String::as_str),
        What::Started | What::Ended | What::Held | What::LeaseTrouble => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_once_and_a_hold_before_it() {
        use State::{Held, Open, Over, Overdue};
        let told = |states: &[State]| -> Vec<What> {
            states
                .windows(2)
                .filter_map(|pair| between(pair[0], pair[1]))
                .collect()
        };
        assert_eq!(told(&[Open, Open, Over, Over]), [What::Ended]);
        assert_eq!(told(&[Open, Held, Held, Over]), [What::Held, What::Ended]);
        // Taken over by another coordinator.
        assert_eq!(told(&[Over, Over]), []);
        assert_eq!(
            told(&[Open, Over, Overdue, Overdue]),
            [What::Ended, What::ReleaseTrouble]
        );
    }
}
