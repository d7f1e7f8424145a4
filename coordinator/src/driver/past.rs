//! Between a run's state and its record: what the next coordinator needs to go on.

use std::time::Duration;

use jiff::Timestamp;

use crate::record::{NodeMark, PhaseMark, RunRecord};
use crate::run::{Commit, Mark, Node, Past, Report, Run};

/// The record of a run as it stands.
pub(super) fn record_of(run: &Run, before: &RunRecord) -> RunRecord {
    let at = |from_start| at(before, from_start);
    RunRecord {
        attempt: run.attempt,
        deadline: at(run.spec.deadline),
        ended: run.ended.clone(),
        job_ended: run.job_end().cloned(),
        held_until: run.held_until().map(at),
        phases: run
            .marks
            .iter()
            .map(|mark| PhaseMark {
                phase: mark.phase,
                attempt: mark.attempt,
                began: at(mark.at),
            })
            .collect(),
        nodes: run
            .nodes
            .values()
            .map(|node| NodeMark {
                node: node.id.clone(),
                role: node.role,
                address: node.address.clone(),
                cores: node.cores,
                memory_bytes: node.memory_bytes,
                private_results: node.private_results,
                since: at(node.since),
                gone: node.gone_at.map(at),
                lost: node.lost,
                attempt: node.attempt,
                took_part: node.took_part,
            })
            .collect(),
        ..before.clone()
    }
}

/// What a record tells the coordinator that takes the run over.
pub(crate) fn past_of(record: &RunRecord, commit: Option<Commit>) -> Past {
    let since = |moment| since(record, moment);
    Past {
        attempt: record.attempt,
        marks: record
            .phases
            .iter()
            .map(|mark| Mark {
                phase: mark.phase,
                attempt: mark.attempt,
                at: since(mark.began),
            })
            .collect(),
        ended: record.ended.clone(),
        job: record.job_ended.clone(),
        held_until: record.held_until.map(since),
        commit,
        nodes: record
            .nodes
            .iter()
            .map(|mark| Node {
                id: mark.node.clone(),
                role: mark.role,
                address: mark.address.clone(),
                cores: mark.cores,
                memory_bytes: mark.memory_bytes,
                private_results: mark.private_results,
                since: since(mark.since),
                heard: since(mark.since),
                gone_at: mark.gone.map(since),
                lost: mark.lost,
                attempt: mark.attempt,
                report: Report::default(),
                results_files: 0,
                took_part: mark.took_part,
            })
            .collect(),
    }
}

/// How long a run has lasted by the wall clock, which may have been set back meanwhile: never less than what its record
/// knows.
pub(crate) fn elapsed(record: &RunRecord, now: Timestamp) -> Duration {
    let last = record.phases.last().map_or(record.created, |mark| mark.began);
    since(record, now.max(last))
}

/// The wall clock's time of a moment of the run: for people; nothing is decided by it while one coordinator lives.
pub(super) fn at(record: &RunRecord, from_start: Duration) -> Timestamp {
    record.created.checked_add(from_start).unwrap_or(Timestamp::MAX)
}

pub(crate) fn since(record: &RunRecord, moment: Timestamp) -> Duration {
    Duration::try_from(moment.duration_since(record.created)).unwrap_or_default()
}
