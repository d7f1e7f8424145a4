//! What a run took, out of its state, its machines and its commit.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_configs::Job;
use mayfly_kit::{layout, records};
use mayfly_proto::{Attempt, v1};

use super::Context;
use crate::account::{self, Lived};
use crate::cloud::Machine;
use crate::home::BUCKET;
use crate::record::{
    Account, Ended, NodeUse, Outcome, PhaseName, PhaseTime, Receipt, ReleaseProof, RunRecord, SCHEMA,
    StepTime, Why,
};
use crate::run::{Node, Run};
use crate::why::{self, Held};

/// Longest that the logs of a run are read for its receipt, which is written without what takes longer.
const READ_LIMIT: Duration = Duration::from_secs(60);

/// What the store says of a run beside its commit.
#[derive(Default)]
pub(super) struct Told {
    account: Option<Account>,
    why: Option<Why>,
}

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

    /// The last attempt.
    pub(super) fn attempt(&self) -> Attempt {
        self.record.attempt
    }

    /// `earlier` is what an earlier coordinator wrote of the same run: it heard the nodes, and saw machines that the cloud
    /// does not list any more.
    pub(super) fn finish(
        &self,
        context: &Context,
        commit: Option<&records::Commit>,
        earlier: Option<&Receipt>,
        told: Told,
    ) -> Receipt {
        let nodes = self.nodes(
            earlier
                .map(|receipt| receipt.nodes.as_slice())
                .unwrap_or_default(),
        );
        let unseen = nodes.len().saturating_sub(self.machines.len());
        let committed = commit.map(|commit| Ended::committed(commit.exit_code, &commit.cause));
        let attempt = commit.map_or(self.record.attempt, |commit| commit.attempt);
        let results = layout::results(&self.record.run, attempt);
        let folder = context.home.store().join(BUCKET).join(&results);
        Receipt {
            schema: SCHEMA,
            run: self.record.run.clone(),
            job: self.record.job.name.to_string(),
            commit: self.record.commit.clone(),
            ended: Ended::settled(self.record.ended.clone(), committed).unwrap_or_else(unknown_end),
            attempts: self.record.attempt.number(),
            phases: phase_times(&self.record, self.observed),
            steps: commit.map(step_times).unwrap_or_default(),
            total_secs: secs(self.record.created, self.observed),
            cost_micros: nodes.iter().map(|node| node.cost_micros).sum(),
            results_files: commit.map_or(0, |commit| commit.total_files),
            results_bytes: commit.map_or(0, |commit| commit.total_bytes),
            results: context.store.s3_url(&results),
            logs: context.store.s3_url(&layout::logs(&self.record.run, attempt)),
            results_folder: existing(folder),
            release: ReleaseProof {
                machines_started: count(nodes.len()),
                // What is not listed any more has ended long ago.
                machines_gone: count(unseen + self.ended()),
                observed: self.observed,
            },
            nodes,
            // Whoever heard the nodes knows more than whoever saw the last of them go.
            account: earlier
                .and_then(|receipt| receipt.account.clone())
                .or(told.account),
            why: told.why,
        }
    }

    /// Reads what the run left: Spark's event log, and the output of a run that failed.
    pub(super) async fn told(&self, context: &Context) -> Told {
        let told = tokio::time::timeout(READ_LIMIT, self.read(context)).await;
        told.unwrap_or_else(|_| {
            tracing::warn!(run = %self.record.run, "the receipt is written without what takes too long to read");
            Told::default()
        })
    }

    async fn read(&self, context: &Context) -> Told {
        let (store, record) = (&context.store, &self.record);
        let spark = why::gather::spark(store, record, record.attempt).await;
        let ended = record.ended.clone().unwrap_or_else(unknown_end);
        let held = self.machines.iter().filter_map(|machine| {
            let node = self.run.nodes.get(&machine.node)?;
            let usage = Some(node.report.usage).filter(has_been_sampled);
            Some(Held {
                node: machine.node.to_string(),
                memory_bytes: node.memory_bytes,
                peak_bytes: usage.map(|usage| usage.peak_memory_bytes),
            })
        });
        let why = why::gather::why(store, record, &ended, held.collect(), spark.clone()).await;
        let why = why.unwrap_or_else(|error| {
            tracing::warn!(%error, run = %record.run, "the output cannot be read");
            None
        });
        Told {
            account: Some(account::of(self.parts(ended.outcome, spark))),
            why,
        }
    }

    fn parts(&self, outcome: Outcome, spark: Option<crate::record::Summary>) -> account::Parts {
        let record = &self.record;
        let attempt_began = record
            .phases
            .iter()
            .find(|mark| mark.attempt == record.attempt)
            .map_or(record.created, |mark| mark.began);
        let mut marks = record.phases.iter().filter(|mark| mark.attempt == record.attempt);
        let working = marks
            .find(|mark| mark.phase == PhaseName::Working)
            .map(|mark| mark.began);
        let over = marks.next().map_or(self.observed, |mark| mark.began);
        account::Parts {
            machines: self.machines.iter().map(|machine| self.lived(machine)).collect(),
            attempt_began: if record.attempt == Attempt::FIRST {
                // A machine's clock may be a little behind: nothing of the first attempt was before it.
                Timestamp::UNIX_EPOCH
            } else {
                attempt_began
            },
            working: working.map(|began| (began, over)),
            total_secs: secs(record.created, self.observed),
            workers: record.job.workers.count,
            tells: outcome == Outcome::Succeeded && record.job.code.session.is_none(),
            spark,
        }
    }

    fn lived(&self, machine: &Machine) -> Lived {
        let node = self.run.nodes.get(&machine.node);
        let (cores, memory_bytes) = node.map_or(machine.role.size(&self.record.job), |node| {
            (node.cores, node.memory_bytes)
        });
        Lived {
            role: machine.role,
            started: machine.started,
            ended: machine.ended.unwrap_or(self.observed),
            cores,
            memory_bytes,
            usage: node.map(|node| node.report.usage).unwrap_or_default(),
            cost_micros: machine.cost_micros(self.observed),
            lost: node.is_none_or(|node| node.lost),
        }
    }

    fn ended(&self) -> usize {
        let ended = self.machines.iter().filter(|machine| machine.ended.is_some());
        ended.count()
    }

    fn nodes(&self, earlier: &[NodeUse]) -> Vec<NodeUse> {
        let seen = |node: &NodeUse| self.machines.iter().any(|machine| machine.node == node.node);
        let unseen = earlier.iter().filter(|node| !seen(node)).cloned();
        let now = self.machines.iter().map(|machine| {
            let node = self.run.nodes.get(&machine.node);
            let used = node_use(&self.record.job, machine, node, self.observed);
            match earlier.iter().find(|known| known.node == used.node) {
                Some(known) => NodeUse {
                    cpu_core_secs: used.cpu_core_secs.or(known.cpu_core_secs),
                    peak_memory_bytes: used.peak_memory_bytes.or(known.peak_memory_bytes),
                    ..used
                },
                None => used,
            }
        });
        unseen.chain(now).collect()
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

/// The steps of a commit.
pub(crate) fn step_times(commit: &records::Commit) -> Vec<StepTime> {
    let time = |step: &records::StepEntry| StepTime {
        step: step.name.clone(),
        exit_code: step.exit_code,
        secs: Duration::from_millis(step.millis).as_secs_f64(),
    };
    commit.steps.iter().map(time).collect()
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
