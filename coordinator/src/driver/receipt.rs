//! What a run took, out of its state, its machines and its commit.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_configs::Job;
use mayfly_kit::{layout, records};
use mayfly_proto::{Attempt, v1};

use super::{Context, budget};
use crate::cloud::Machine;
use crate::home::BUCKET;
use crate::record::{
    Ended, NodeUse, Outcome, PhaseName, PhaseTime, Receipt, ReleaseProof, RunRecord, SCHEMA,
};
use crate::run::{Node, Run};

/// A receipt but for what the store says.
pub(super) struct Draft {
    run: Run,
    record: RunRecord,
    machines: Vec<Machine>,
    observed: Timestamp,
}

impl Draft {
    pub(super) fn of(run: &Run, record: RunRecord, machines: Vec<Machine>) -> Self {
        Self {
            run: run.clone(),
            record,
            machines,
            observed: Timestamp::now(),
        }
    }

    pub(super) fn finish(&self, context: &Context, commit: Option<&records::Commit>) -> Receipt {
        let attempt = commit.map_or(self.record.attempt, |commit| commit.attempt);
        let results = layout::results(&self.record.run, attempt);
        let folder = context.home.store().join(BUCKET).join(&results);
        Receipt {
            schema: SCHEMA,
            run: self.record.run.clone(),
            job: self.record.job.name.to_string(),
            commit: self.record.commit.clone(),
            ended: self.record.ended.clone().unwrap_or_else(unknown_end),
            attempts: self.record.attempt.number(),
            phases: phase_times(&self.record, self.observed),
            total_secs: secs(self.record.created, self.observed),
            nodes: self
                .machines
                .iter()
                .map(|machine| {
                    let node = self.run.nodes.get(&machine.node);
                    node_use(&self.record.job, machine, node, self.observed)
                })
                .collect(),
            cost_micros: budget::spent(&self.machines, self.observed),
            results_files: commit.map_or(0, |commit| commit.total_files),
            results_bytes: commit.map_or(0, |commit| commit.total_bytes),
            results: context.store.s3_url(&results),
            logs: context.store.s3_url(&layout::logs(&self.record.run, attempt)),
            results_folder: existing(folder),
            release: ReleaseProof {
                machines_started: count(self.machines.len()),
                machines_gone: count(
                    self.machines
                        .iter()
                        .filter(|machine| machine.ended.is_some())
                        .count(),
                ),
                observed: self.observed,
            },
        }
    }
}

/// `node` is what enrolled from this machine; what never did is told as it was ordered.
fn node_use(job: &Job, machine: &Machine, node: Option<&Node>, observed: Timestamp) -> NodeUse {
    let ordered = machine.role.size(job);
    let (cores, memory_bytes) = node.map_or(ordered, |node| (node.cores, node.memory_bytes));
    let usage = node.map(|node| node.report.usage).filter(has_been_sampled);
    NodeUse {
        node: machine.node.clone(),
        cores,
        memory_bytes,
        kind: machine.offer.as_ref().map(|offer| offer.kind.clone()),
        cost_micros: machine.cost_micros(observed),
        secs: Some(secs(machine.started, machine.ended.unwrap_or(observed))),
        cpu_core_secs: usage.map(|usage| usage.cpu_core_secs),
        peak_memory_bytes: usage.map(|usage| usage.peak_memory_bytes),
        lost: node.is_none_or(|node| node.lost),
    }
}

/// A node reports before it has looked at itself for the first time.
fn has_been_sampled(usage: &v1::Usage) -> bool {
    usage.peak_memory_bytes > 0
}

fn existing(folder: PathBuf) -> Option<PathBuf> {
    folder.is_dir().then_some(folder)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn secs(from: Timestamp, to: Timestamp) -> f64 {
    Duration::try_from(to.duration_since(from))
        .unwrap_or_default()
        .as_secs_f64()
}

fn unknown_end() -> Ended {
    Ended {
        outcome: Outcome::InfraFailed,
        reason: "the run was released before its outcome was known".into(),
        exit_code: None,
        last_lines: Vec::new(),
    }
}

/// Time in each phase: until the next one began, the last one until `end`.
pub(crate) fn phase_times(record: &RunRecord, end: Timestamp) -> Vec<PhaseTime> {
    let ends = record.phases.iter().skip(1).map(|mark| mark.began).chain([end]);
    let mut times: Vec<PhaseTime> = Vec::new();
    for (mark, until) in record.phases.iter().zip(ends) {
        if mark.phase == PhaseName::Closed {
            continue;
        }
        let attempt: Attempt = mark.attempt;
        times.push(PhaseTime {
            phase: mark.phase,
            attempt,
            secs: secs(mark.began, until),
        });
    }
    times
}

#[cfg(test)]
mod tests {
    use mayfly_configs::{AdHoc, ad_hoc};
    use mayfly_proto::NodeId;

    use super::*;
    use crate::record::Role;

    #[test]
    fn a_machine_that_never_enrolled_is_told_as_ordered_and_its_use_is_not_made_up() {
        let flags = AdHoc {
            entry: "main.py".to_owned(),
            ..AdHoc::default()
        };
        let job = ad_hoc(&flags, &|_| None).unwrap();
        let machine = Machine {
            id: "worker-1".into(),
            node: NodeId::worker(1),
            role: Role::Worker,
            address: None,
            started: Timestamp::UNIX_EPOCH,
            ended: None,
            offer: None,
        };
        let now = Timestamp::from_second(5).unwrap();
        let told = node_use(&job, &machine, None, now);
        let ordered = &job.workers.machine;
        assert!(told.lost && told.cores > 0);
        assert_eq!(
            (told.cores, told.memory_bytes),
            (ordered.cores, ordered.memory_bytes)
        );
        assert_eq!(
            (told.secs, told.cpu_core_secs, told.peak_memory_bytes),
            (Some(5.0), None, None)
        );
    }
}
