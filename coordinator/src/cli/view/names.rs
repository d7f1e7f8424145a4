//! Words for what travels as numbers.

use mayfly_proto::v1::{NodePhase, NodeView, Outcome, Phase};

/// The word for a phase of a run.
#[must_use]
pub(crate) fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Unspecified => "starting",
        Phase::Accepted => "accepted",
        Phase::Arming => "arming",
        Phase::Forming => "forming",
        Phase::Working => "working",
        Phase::Collecting => "collecting",
        Phase::Releasing => "releasing",
        Phase::Closed => "closed",
    }
}

/// The word for an outcome; empty while there is none.
pub(crate) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unspecified => "",
        Outcome::Succeeded => "succeeded",
        Outcome::JobFailed => "job-failed",
        Outcome::InfraFailed => "infra-failed",
        Outcome::TimedOut => "timed-out",
        Outcome::OverBudget => "over-budget",
        Outcome::Cancelled => "cancelled",
    }
}

/// The word for a node's state.
pub(crate) fn node_word(node: &NodeView) -> &'static str {
    if node.lost {
        return "lost";
    }
    if node.gone {
        return "gone";
    }
    match node.phase() {
        NodePhase::Unspecified => "starting",
        NodePhase::Preparing => "preparing",
        NodePhase::Ready => "ready",
        NodePhase::Working => "working",
        NodePhase::Ended => "ended",
        NodePhase::Collecting => "collecting",
        NodePhase::Collected => "collected",
        NodePhase::Committed => "committed",
        NodePhase::Failed => "failed",
        NodePhase::Leaving => "leaving",
    }
}

/// Whether a node has got as far as taking part.
pub(crate) fn is_up(node: &NodeView) -> bool {
    if node.lost || node.gone {
        return false;
    }
    match node.phase() {
        NodePhase::Unspecified | NodePhase::Preparing | NodePhase::Failed | NodePhase::Leaving => false,
        NodePhase::Ready
        | NodePhase::Working
        | NodePhase::Ended
        | NodePhase::Collecting
        | NodePhase::Collected
        | NodePhase::Committed => true,
    }
}
