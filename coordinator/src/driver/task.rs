//! What follows for the machines from a run's state, and for the run from a look at its machines: no I/O.

use std::time::Duration;

use jiff::Timestamp;
use mayfly_proto::NodeId;

use crate::cloud::Machine;
use crate::run::{Run, Stage, Wanted};

/// What is to be done about the machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task {
    /// Nothing yet: no killer is armed.
    Idle,
    /// Keep so many until then at the latest, and end those that hang.
    Keep(Wanted, Vec<NodeId>, Timestamp),
    /// To zero, and look until none is left.
    Release,
    /// The run is closed.
    Stop,
}

impl Task {
    /// `end` is when no machine may be there any more, whatever happens.
    pub(super) fn of(run: &Run, now: Duration, end: Timestamp) -> Self {
        match run.stage {
            Stage::Accepted => Self::Idle,
            Stage::Arming
            | Stage::Forming { .. }
            | Stage::Working { .. }
            | Stage::Collecting { .. }
            | Stage::Held { .. } => match run.wanted() {
                none if none == Wanted::default() => Self::Idle,
                wanted => Self::Keep(wanted, run.condemned(now), end),
            },
            Stage::Releasing { .. } | Stage::Closed => Self::Release,
        }
    }
}

/// How long machines are kept so that the record of their release comes first.
const RECORD_FIRST: Duration = Duration::from_secs(20);

/// Whether machines may be given back now. The record that says so comes first: where another coordinator has taken the run
/// over, the store refuses it, and this is not the run's end. A store that is away is not waited for.
pub(super) fn may_release(run: &Run, now: Duration, recorded: bool) -> bool {
    let since = run.marks.last().map_or(Duration::ZERO, |mark| mark.at);
    recorded || now.saturating_sub(since) >= RECORD_FIRST
}

/// Nodes whose machines are seen to have ended, and were not before.
pub(super) fn newly_ended(before: &[Machine], now: &[Machine]) -> Vec<NodeId> {
    let known = |ended: &Machine| before.iter().any(|one| one.id == ended.id && one.ended.is_some());
    let ended = now.iter().filter(|machine| machine.ended.is_some());
    ended
        .filter(|machine| !known(machine))
        .map(|machine| machine.node.clone())
        .collect()
}

/// Whether this look proves that no machine is left. Before every group was gone, that none is seen proves nothing.
pub(super) fn is_gone(run: &Run, released: bool, machines: &[Machine]) -> bool {
    let releasing = matches!(run.stage, Stage::Releasing { gone: false });
    releasing && released && machines.iter().all(|machine| machine.ended.is_some())
}

/// Whether of all machines only the one is left that the coordinator itself runs on.
pub(super) fn is_last(run: &Run, released: bool, machines: &[Machine], own: Option<&str>) -> bool {
    let releasing = matches!(run.stage, Stage::Releasing { gone: false });
    let mut left = machines.iter().filter(|machine| machine.ended.is_none());
    let only = left.next().filter(|_| left.next().is_none());
    released && releasing && only.is_some_and(|machine| own == Some(machine.id.as_str()))
}
