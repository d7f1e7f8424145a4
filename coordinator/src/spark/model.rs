//! How long the same tasks would have taken on more or fewer cores.
//!
//! Tasks keep their durations and their order; they are dealt again to the cores, each to the one that is free first. Stages
//! that ran at the same time are dealt together, those that followed each other one after the other. Between two tasks of a
//! core passes what usually passed there. The first task of a core holds the start of what runs it (Python, classes that are
//! loaded): that is not dealt again but passes once on every core. What the real run took longer than all that (executors
//! that came late, stages that waited for others) is taken to stay as it was. What is not known to it: tasks that share a
//! resource which does not grow with the cores.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use crate::record::{Point, Scaling};

/// Tasks that are kept; a log with more has no answer here.
const SPANS_MAX: usize = 200_000;
/// Numbers of cores that are answered for.
const POINTS_MAX: u32 = 24;

/// One task that succeeded, in milliseconds of Unix time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) stage: u32,
    /// `None` without a cluster.
    pub(super) executor: Option<u32>,
    pub(super) began_ms: i64,
    pub(super) ended_ms: i64,
}

impl Span {
    fn took_ms(&self) -> u64 {
        u64::try_from(self.ended_ms - self.began_ms).unwrap_or(0).max(1)
    }
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
        let starts = starts(&self.spans);
        let clusters: Vec<Cluster> = clusters(&self.spans, &starts)
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

/// A task, and what of it the start of its core may have taken, in milliseconds; `None` where that was over.
type Task = (Span, Option<u64>);

/// What the start of its core may have taken of each task: of those that an executor began before it had ended any, what
/// they took longer than the usual task of their stage.
fn starts(spans: &[Span]) -> Vec<Option<u64>> {
    let mut first_end: HashMap<Option<u32>, i64> = HashMap::new();
    for span in spans {
        let end = first_end.entry(span.executor).or_insert(span.ended_ms);
        *end = span.ended_ms.min(*end);
    }
    let is_first = |span: &Span| {
        first_end
            .get(&span.executor)
            .is_some_and(|end| span.began_ms < *end)
    };
    let mut later: HashMap<u32, Vec<u64>> = HashMap::new();
    for span in spans.iter().filter(|span| !is_first(span)) {
        later.entry(span.stage).or_default().push(span.took_ms());
    }
    let usual: HashMap<u32, u64> = later
        .into_iter()
        .map(|(stage, took)| (stage, median(took)))
        .collect();
    let start = |span: &Span| {
        let took = span.took_ms();
        took.saturating_sub(usual.get(&span.stage).copied().unwrap_or(took))
    };
    spans
        .iter()
        .map(|span| is_first(span).then(|| start(span)))
        .collect()
}

/// Stages that ran at the same time.
struct Cluster {
    /// Without the starts of cores.
    durations_ms: Vec<u64>,
    /// Start of a core.
    start_ms: u64,
    /// How many cores started here, and of how many.
    started: (usize, u32),
    /// Between the end of a task and the begin of the next one on the same core.
    gap_ms: u64,
    /// What else passed.
    beside_ms: u64,
    secs: f64,
}

impl Cluster {
    fn of(tasks: Vec<Task>, cores: u32) -> Self {
        let began = tasks.iter().map(|(span, _)| span.began_ms).min().unwrap_or(0);
        let ended = tasks.iter().map(|(span, _)| span.ended_ms).max().unwrap_or(0);
        let starts: Vec<u64> = tasks.iter().filter_map(|(_, start)| *start).collect();
        let started = (starts.len(), cores);
        let start_ms = start(starts);
        let durations_ms: Vec<u64> = tasks
            .iter()
            .map(|(span, start)| span.took_ms() - start.unwrap_or(0).min(start_ms))
            .collect();
        let took_ms = u64::try_from(ended - began).unwrap_or(0).max(1);
        let spans: Vec<Span> = tasks.into_iter().map(|(span, _)| span).collect();
        let mut cluster = Self {
            gap_ms: gap(&spans, cores),
            beside_ms: 0,
            durations_ms,
            start_ms,
            started,
            secs: seconds(took_ms),
        };
        cluster.beside_ms = took_ms.saturating_sub(cluster.deal(cores));
        cluster
    }

    fn secs_on(&self, cores: u32) -> f64 {
        seconds(self.deal(cores) + self.beside_ms)
    }

    /// When the last task ends, in milliseconds, if each is begun, in order, by the core that is free first, and that is so
    /// after the gap.
    fn deal(&self, cores: u32) -> u64 {
        let many = usize::try_from(cores).unwrap_or(usize::MAX);
        let (started, of) = self.started;
        let starting = started
            .saturating_mul(many)
            .div_ceil(usize::try_from(of).unwrap_or(usize::MAX));
        let core = |n: usize| Reverse(if n < starting { self.start_ms } else { 0 });
        let mut free: BinaryHeap<Reverse<u64>> = (0..many.clamp(1, self.durations_ms.len().max(1)))
            .map(core)
            .collect();
        let mut last = 0;
        for duration in &self.durations_ms {
            let Some(Reverse(at)) = free.pop() else { break };
            last = last.max(at + duration);
            free.push(Reverse(at + duration + self.gap_ms));
        }
        last
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
    median(gaps)
}

/// What at least half of the cores lost at their start. One alone may as well have had a long task.
fn start(mut starts: Vec<u64>) -> u64 {
    starts.sort_unstable();
    let half = starts.len().saturating_sub(1) / 2;
    starts
        .get(half)
        .copied()
        .filter(|_| starts.len() > 1)
        .unwrap_or(0)
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// Tasks, by begin, of stages whose times overlap.
fn clusters(spans: &[Span], starts: &[Option<u64>]) -> Vec<Vec<Task>> {
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
    for (span, start) in spans.iter().zip(starts) {
        let cluster = of.get(&span.stage).and_then(|n| clusters.get_mut(*n));
        cluster
            .into_iter()
            .for_each(|cluster: &mut Vec<Task>| cluster.push((*span, *start)));
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
                executor: None,
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
    fn the_start_of_a_core_passes_once_on_each_and_is_not_dealt_again() {
        let mut all = Spans::default();
        for executor in 0..4 {
            // Three seconds of start, then four tasks of one.
            let ends = [4000, 5000, 6000, 7000];
            let begins = [0, 4000, 5000, 6000];
            for (began_ms, ended_ms) in begins.into_iter().zip(ends) {
                all.add(Span {
                    stage: 0,
                    executor: Some(executor),
                    began_ms,
                    ended_ms,
                });
            }
        }
        let scaling = all.scaling(4).unwrap();
        let at = |cores| scaling.at(cores).unwrap();
        assert_eq!((at(1), at(2), at(4), at(8), at(16)), (19.0, 11.0, 7.0, 5.0, 4.0));
    }

    #[test]
    fn one_long_task_at_the_beginning_is_no_start() {
        for cores in [1, 2] {
            let mut all = Spans::default();
            let mut add = |executor: u32, began_ms: i64, ended_ms: i64| {
                all.add(Span {
                    stage: 0,
                    executor: Some(executor),
                    began_ms,
                    ended_ms,
                });
            };
            add(0, 0, 9000);
            // The others follow it, or run beside it.
            let from = if cores == 1 { 9000 } else { 0 };
            for n in 0..9 {
                add(cores - 1, from + n * 1000, from + (n + 1) * 1000);
            }
            let scaling = all.scaling(cores).unwrap();
            assert_eq!((scaling.at(1), scaling.at(2)), (Some(18.0), Some(9.0)), "{cores}");
        }
    }

    #[test]
    fn without_tasks_or_cores_there_is_no_answer() {
        assert_eq!(Spans::default().scaling(4), None);
        assert_eq!(spans(&[(0, 0, 1)]).scaling(0), None);
    }
}
