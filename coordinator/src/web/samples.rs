//! What nodes used over time, within a fixed memory: when a series is full, its halves are put together.

use std::collections::BTreeMap;

use mayfly_proto::v1;
use serde::{Deserialize, Serialize};

/// Points of one series at most.
const POINTS_MAX: usize = 240;
/// Nodes of a run that have a series.
const NODES_MAX: usize = 256;
/// Version of the shape in the store.
const SCHEMA: u32 = 1;

/// One look at a node.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    /// Since the run began, in seconds.
    pub(super) at: f32,
    /// Cores in use.
    pub(super) cpu: f32,
    /// Memory in use, in MiB.
    pub(super) memory: f32,
}

/// The looks at one node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Series(Vec<Point>);

/// Those of a run: `samples.json` in the store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Samples {
    schema: u32,
    nodes: BTreeMap<String, Series>,
    /// Points are this far apart at least, in seconds: grows as the run does.
    #[serde(default)]
    gap: f32,
}

impl Series {
    pub(super) fn points(&self) -> &[Point] {
        &self.0
    }

    /// Takes a point if it is far enough from the last one; true when the series is full.
    fn push(&mut self, point: Point, gap: f32) -> bool {
        if self.0.last().is_some_and(|last| point.at < last.at + gap) {
            return false;
        }
        self.0.push(point);
        self.0.len() >= POINTS_MAX
    }

    /// Half as many points, each of which is what two were.
    fn halve(&mut self) {
        let both = |pair: &[Point]| match pair {
            [a, b] => Some(Point {
                at: b.at,
                cpu: f32::midpoint(a.cpu, b.cpu),
                memory: a.memory.max(b.memory),
            }),
            [one] => Some(*one),
            _ => None,
        };
        self.0 = self.0.chunks(2).filter_map(both).collect();
    }
}

impl Samples {
    /// Looks at the nodes of a run; `at` is seconds since it began.
    pub(super) fn look(&mut self, at: f32, nodes: &[v1::NodeView]) {
        self.schema = SCHEMA;
        let mut full = false;
        for node in nodes.iter().filter(|node| !node.gone && !node.lost) {
            let Some(usage) = &node.usage else { continue };
            if !self.nodes.contains_key(&node.node_id) && self.nodes.len() >= NODES_MAX {
                continue;
            }
            let point = Point {
                at,
                cpu: round(usage.cpu_cores),
                memory: round(mib(usage.memory_bytes)),
            };
            full |= self
                .nodes
                .entry(node.node_id.clone())
                .or_default()
                .push(point, self.gap);
        }
        if full {
            self.nodes.values_mut().for_each(Series::halve);
            let longest = self.nodes.values().filter_map(|series| series.0.last());
            let end = longest.map(|point| point.at).fold(0.0, f32::max);
            self.gap = end * 2.0 / f32::from(u16::try_from(POINTS_MAX).unwrap_or(u16::MAX));
        }
    }

    /// Those of one node.
    pub(super) fn of(&self, node: &str) -> &[Point] {
        self.nodes.get(node).map_or(&[], Series::points)
    }

    /// Whether nothing has been seen.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a line on a chart")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[expect(clippy::cast_possible_truncation, reason = "a line on a chart")]
fn round(value: f64) -> f32 {
    ((value * 100.0).round() / 100.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, cores: f64) -> v1::NodeView {
        v1::NodeView {
            node_id: id.into(),
            usage: Some(v1::Usage {
                cpu_cores: cores,
                memory_bytes: 512 << 20,
                ..v1::Usage::default()
            }),
            ..v1::NodeView::default()
        }
    }

    #[test]
    fn memory_is_bounded_and_the_whole_time_is_covered() {
        let mut samples = Samples::default();
        let nodes: Vec<_> = (0..NODES_MAX + 5)
            .map(|n| node(&format!("worker-{n}"), 1.0))
            .collect();
        for second in 0..3_000u16 {
            samples.look(
                f32::from(second) * 2.0,
                if second % 100 == 0 { &nodes } else { &nodes[..1] },
            );
        }
        assert_eq!(samples.nodes.len(), NODES_MAX);
        let points = samples.of("worker-0");
        assert!(
            points.len() < POINTS_MAX && points.len() > POINTS_MAX / 3,
            "{}",
            points.len()
        );
        assert!(points.first().unwrap().at < 100.0 && points.last().unwrap().at > 5_900.0);
        assert!(points.windows(2).all(|pair| pair[0].at < pair[1].at));
        let (mean, memory) = (points[50].cpu, points[50].memory);
        assert!((mean - 1.0).abs() < 0.01 && (memory - 512.0).abs() < 0.01);
    }

    #[test]
    fn what_is_gone_is_not_looked_at() {
        let mut samples = Samples::default();
        let gone = v1::NodeView {
            gone: true,
            ..node("worker-1", 1.0)
        };
        samples.look(1.0, &[gone]);
        assert!(samples.is_empty());
        samples.look(1.0, &[node("worker-1", 0.5)]);
        let kept: Samples = serde_json::from_slice(&serde_json::to_vec(&samples).unwrap()).unwrap();
        assert_eq!(kept, samples);
    }
}
