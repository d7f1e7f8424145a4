//! How long the same tasks would have taken on more or fewer cores.
//!
//! Tasks keep their durations and their order; they are dealt again to the cores, each to the one that is free first. Stages
//! that ran at the same time are dealt together, those that followed each other one after the other. Between two tasks of a
//! core passes what usually passed there. What the real run took longer than that (executors that came late, stages that
//! waited for others) is taken to stay as it was. What is not known to it: tasks that share a resource which does not grow
//! with the cores.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::record::{Point, Scaling};

/// Tasks that are kept; a log with more has no answer here.
const SPANS_MAX: usize = 200_000;
/// Numbers of cores that are answered for.
const POINTS_MAX: u32 = 24;

/// One task that succeeded, in milliseconds of Unix time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) stage: u32,
    pub(super) began_ms: i64,
    pub(super) ended_ms: i64,
}

/// The tasks of a run.
#[derive(Debug, Default)]
pub(super) struct Spans {
    spans: Vec<Span>,
    too_many: bool,
}

impl Spans {
    pub(super) fn add(&mut self, span: Span) {
        if self.spans.len() < SPANS_MAX {
            self.spans.push(span);
        } else {
            self.too_many = true;
        }
    }

    pub(super) fn scaling(mut self, cores: u32) -> Option<Scaling> {
        if self.too_many || self.spans.is_empty() || cores == 0 {
            return None;
        }
        self.spans.sort_by_key(|span| span.began_ms);
        let clusters: Vec<Cluster> = clusters(&self.spans)
            .into_iter()
            .map(|c| Cluster::of(c, cores))
            .collect();
        let at = |cores: u32| clusters.iter().map(|cluster| cluster.secs_on(cores)).sum();
        Some(Scaling {
            cores,
            secs: clusters.iter().map(|cluster| cluster.secs).sum(),
            points: asked(cores)
                .map(|cores| Point {
                    cores,
                    secs: at(cores),
                })
                .collect(),
        })
    }
}

/// From one core to four times as many as there were, in even steps, and the number that there was.
fn asked(cores: u32) -> impl Iterator<Item = u32> {
    let most = cores.saturating_mul(4).max(4);
    let step = most.div_ceil(POINTS_MAX);
    let mut asked: Vec<u32> = (1..=most)
        .filter(|n| n % step == 0 || *n == 1 || *n == cores || *n == most)
        .collect();
    asked.dedup();
    asked.into_iter()
}

/// Stages that ran at the same time.
struct Cluster {
    durations_ms: Vec<u64>,
    /// Between the end of a task and the begin of the next one on the same core.
    gap_ms: u64,
    /// What else passed.
    beside_ms: u64,
    secs: f64,
}

impl Cluster {
    fn of(spans: Vec<Span>, cores: u32) -> Self {
        let began = spans.iter().map(|span| span.began_ms).min().unwrap_or(0);
        let ended = spans.iter().map(|span| span.ended_ms).max().unwrap_or(0);
        let durations_ms: Vec<u64> = spans
            .iter()
            .map(|span| u64::try_from(span.ended_ms - span.began_ms).unwrap_or(0).max(1))
            .collect();
        let took_ms = u64::try_from(ended - began).unwrap_or(0).max(1);
        let gap_ms = gap(&spans, cores);
        Self {
            beside_ms: took_ms.saturating_sub(deal(&durations_ms, gap_ms, cores)),
            durations_ms,
            gap_ms,
            secs: seconds(took_ms),
        }
    }

    fn secs_on(&self, cores: u32) -> f64 {
        seconds(deal(&self.durations_ms, self.gap_ms, cores) + self.beside_ms)
    }
}

/// What usually passes, in milliseconds, between the end of a task and the begin of the one that takes its place. Of tasks
/// by their begin; which core ran which is not needed: a begin takes the place of the end that has waited longest, which by
/// the driver's clock may be a little later.
fn gap(spans: &[Span], cores: u32) -> u64 {
    let cores = usize::try_from(cores).unwrap_or(usize::MAX);
    let mut ends: BinaryHeap<Reverse<i64>> = BinaryHeap::new();
    let mut gaps = Vec::new();
    for span in spans {
        let full = ends.len() >= cores;
        let free = |Reverse(end): &Reverse<i64>| full || *end <= span.began_ms;
        if let Some(Reverse(end)) = ends.peek().copied().filter(free) {
            ends.pop();
            gaps.push(u64::try_from(span.began_ms - end).unwrap_or(0));
        }
        ends.push(Reverse(span.ended_ms));
    }
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied().unwrap_or(0)
}

/// When the last task ends if each is begun, in order, by the core that is free first, and that is so after the gap.
fn deal(durations_ms: &[u64], gap_ms: u64, cores: u32) -> u64 {
    let cores = usize::try_from(cores)
        .unwrap_or(1)
        .clamp(1, durations_ms.len().max(1));
    let mut free: BinaryHeap<Reverse<u64>> = std::iter::repeat_n(Reverse(0), cores).collect();
    let mut last = 0;
    for duration in durations_ms {
        let Some(Reverse(at)) = free.pop() else { break };
        last = last.max(at + duration);
        free.push(Reverse(at + duration + gap_ms));
    }
    last
}

/// Tasks, by begin, of stages whose times overlap.
fn clusters(spans: &[Span]) -> Vec<Vec<Span>> {
    let mut stages: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
    for span in spans {
        let stage = stages.entry(span.stage).or_insert((span.began_ms, span.ended_ms));
        *stage = (stage.0.min(span.began_ms), stage.1.max(span.ended_ms));
    }
    let mut times: Vec<(i64, i64, u32)> = stages.iter().map(|(id, (from, to))| (*from, *to, *id)).collect();
    times.sort_unstable();
    let (mut of, mut count, mut end) = (BTreeMap::new(), 0_usize, i64::MIN);
    for (from, to, id) in times {
        if from >= end && end != i64::MIN {
            count += 1;
        }
        end = end.max(to);
        of.insert(id, count);
    }
    let mut clusters = vec![Vec::new(); count + 1];
    for span in spans {
        let cluster = of.get(&span.stage).and_then(|n| clusters.get_mut(*n));
        cluster
            .into_iter()
            .for_each(|cluster: &mut Vec<Span>| cluster.push(*span));
    }
    clusters.retain(|cluster| !cluster.is_empty());
    clusters
}

fn seconds(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(tasks: &[(u32, i64, i64)]) -> Spans {
        let mut spans = Spans::default();
        for (stage, began_ms, ended_ms) in tasks {
            spans.add(Span {
                stage: *stage,
                began_ms: *began_ms,
                ended_ms: *ended_ms,
            });
        }
        spans
    }

    #[test]
    fn even_tasks_take_half_as_long_on_twice_the_cores_until_each_has_one() {
        let tasks: Vec<_> = (0..8).map(|n| (0, n / 2 * 1000, n / 2 * 1000 + 1000)).collect();
        let scaling = spans(&tasks).scaling(2).unwrap();
        let at = |cores| scaling.at(cores).unwrap();
        assert_eq!((at(1), at(2), at(4), at(8)), (8.0, 4.0, 2.0, 1.0));
        assert_eq!((scaling.secs, scaling.at(9)), (4.0, None));
    }

    #[test]
    fn stages_that_follow_each_other_are_not_dealt_together() {
        let scaling = spans(&[(0, 0, 1000), (1, 1000, 2000), (1, 1000, 2000)])
            .scaling(2)
            .unwrap();
        assert_eq!((scaling.at(1), scaling.at(8)), (Some(3.0), Some(2.0)));
        // At the same time they are.
        let scaling = spans(&[(0, 0, 1000), (1, 500, 1500)]).scaling(2).unwrap();
        assert_eq!(scaling.at(1), Some(2.5));
    }

    #[test]
    fn what_passes_between_tasks_does_so_on_any_number_of_cores() {
        let tasks: Vec<_> = (0..4).map(|n| (0, n * 1200, n * 1200 + 1000)).collect();
        let scaling = spans(&tasks).scaling(1).unwrap();
        assert_eq!(
            (scaling.secs, scaling.at(1), scaling.at(2), scaling.at(4)),
            (4.6, Some(4.6), Some(2.2), Some(1.0))
        );
    }

    #[test]
    fn a_task_that_is_told_before_the_one_whose_place_it_takes_leaves_no_gap() {
        let tasks: Vec<_> = (0..4).map(|n| (0, n * 1000, n * 1000 + 1002)).collect();
        let scaling = spans(&tasks).scaling(1).unwrap();
        assert_eq!((scaling.at(1), scaling.at(2)), (Some(4.008), Some(2.004)));
    }

    #[test]
    fn what_else_the_run_lost_stays_as_it_was() {
        // The second core came three seconds late.
        let tasks = [
            (0, 0, 1000),
            (0, 1000, 2000),
            (0, 2000, 3000),
            (0, 3000, 4000),
            (0, 3000, 4000),
        ];
        let scaling = spans(&tasks).scaling(2).unwrap();
        assert_eq!(
            (scaling.secs, scaling.at(1), scaling.at(2), scaling.at(4)),
            (4.0, Some(6.0), Some(4.0), Some(3.0))
        );
    }

    #[test]
    fn without_tasks_or_cores_there_is_no_answer() {
        assert_eq!(Spans::default().scaling(4), None);
        assert_eq!(spans(&[(0, 0, 1)]).scaling(0), None);
    }
}
