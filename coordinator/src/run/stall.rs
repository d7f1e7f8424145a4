//! A job that hangs: for the whole of a time no node has shown a sign of life of it, and each has said so. Of a node that is
//! not heard nothing is known, nor of one that does not tell, nor of the time before this coordinator was there; a report
//! after a short silence tells what was in it.

use std::time::Duration;

use mayfly_configs::Secs;
use mayfly_proto::{Attempt, NodeId, v1};

use super::{Node, NodePhase, Report, Run};

/// How the reason of an end for want of life begins.
pub const NO_SIGN: &str = "the job showed no sign of life for";

/// Processor time is a sign of life from so much of a core on. Of engines that only wait, none of those that are shipped was
/// seen to take more than 0.03 of one on its master, and 0.05 on a worker.
const BUSY_CORES: f64 = 0.08;
/// What goes to and from disks and network is one from so many bytes in a second on; an engine that waits was seen at 12,000.
const MOVES: u128 = 32_768;
/// Both are looked at in parts of the whole time: who worked for a moment lives.
const PARTS: u32 = 16;
/// The shortest part. Agents look at their processes every two seconds.
const PART_MIN: Duration = Duration::from_secs(2);

/// What only a living job changes.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    attempt: Attempt,
    phase: NodePhase,
    output_lines: u64,
    results_files: u64,
    progress: Option<v1::Progress>,
}

/// What grows a little by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Used {
    core_secs: f64,
    bytes: u64,
}

/// A node without a sign of life.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quiet {
    since: Duration,
    /// Its last report.
    until: Duration,
    said: Said,
    /// The part of now: when it began, and what had been used by then.
    part: (Duration, Used),
}

impl Quiet {
    /// From this report on; `None` of an agent that does not tell.
    fn begin(now: Duration, attempt: Attempt, report: &Report) -> Option<Self> {
        let said = Said {
            attempt,
            phase: report.phase,
            output_lines: report.output_lines?,
            results_files: report.results_files,
            progress: report.progress.clone(),
        };
        let usage = &report.usage;
        let bytes = [
            usage.disk_read_bytes,
            usage.disk_written_bytes,
            usage.network_received_bytes,
            usage.network_sent_bytes,
        ];
        let used = Used {
            core_secs: usage.work_core_secs.filter(|secs| secs.is_finite())?,
            bytes: bytes.into_iter().fold(0, u64::saturating_add),
        };
        Some(Self {
            since: now,
            until: now,
            said,
            part: (now, used),
        })
    }

    /// The same after a later report, if that shows no sign of life since.
    fn goes_on(self, next: &Self, part: Duration) -> Option<Self> {
        let (began, before) = self.part;
        let (now, used) = next.part;
        // A process of the agent that follows a dead one counts anew.
        let anew = used.core_secs < before.core_secs || used.bytes < before.bytes;
        let busy = used.core_secs - before.core_secs > BUSY_CORES * part.as_secs_f64();
        let moved = u128::from(used.bytes.saturating_sub(before.bytes)) * 1_000;
        if self.said != next.said || anew || busy || moved > MOVES * part.as_millis() {
            return None;
        }
        let over = now.saturating_sub(began) >= part;
        Some(Self {
            until: now,
            part: if over { next.part } else { self.part },
            ..self
        })
    }
}

impl Run {
    /// Takes in what a node has just reported. After a silence for which it counts as lost its time begins anew.
    pub(super) fn look_for_life(&mut self, now: Duration, id: &NodeId) {
        let Some((stall, node)) = self.spec.stall.zip(self.nodes.get(id)) else {
            return;
        };
        let part = (stall / PARTS).max(PART_MIN);
        let lost = self.spec.timing.lost_after;
        let known = self
            .quiet
            .remove(id)
            .filter(|quiet| now.saturating_sub(quiet.until) <= lost);
        let Some(next) = Quiet::begin(now, node.attempt, &node.report) else {
            return;
        };
        let quiet = known.and_then(|quiet| quiet.goes_on(&next, part)).unwrap_or(next);
        self.quiet.insert(id.clone(), quiet);
    }

    /// For how long nothing has been seen of the job, if that is too long. A node that was given up may serve it still, until
    /// its machine is seen gone.
    pub(super) fn hangs(&self, now: Duration) -> Option<String> {
        let phase = self.master().and_then(|master| master.phase_in(self.attempt));
        let stall = self.spec.stall.filter(|_| phase == Some(NodePhase::Working))?;
        let is_quiet = |node: &Node| {
            self.quiet.get(&node.id).is_some_and(|quiet| {
                let heard = now.saturating_sub(quiet.until) <= self.spec.timing.silent_after;
                heard && quiet.until.saturating_sub(quiet.since) >= stall
            })
        };
        let mut there = self.nodes.values().filter(|node| node.gone_at.is_none());
        there.all(is_quiet).then(|| {
            let time = Secs(stall.as_secs());
            format!("{NO_SIGN} {time}: no output, no progress, and next to no use of processors, disks and network on any node")
        })
    }
}
