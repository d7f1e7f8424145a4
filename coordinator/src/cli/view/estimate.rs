//! An estimate for people.

use super::paint::Paint;
use super::table::{self, Side};
use super::units::{count, dollars, secs};
use super::wrap::entry;
use crate::account::history::Estimate;
use crate::record::Prediction;

/// Numbers of workers shown: those that double, and the one that is asked for.
const SHOWN: usize = 8;

/// The estimate's lines.
#[must_use]
pub(crate) fn lines(estimate: &Estimate, width: usize, paint: Paint) -> Vec<String> {
    let price = if estimate.cost_micros > 0 {
        format!(", {}", dollars(estimate.cost_micros))
    } else {
        String::new()
    };
    let mut lines = vec![
        format!(
            "{}  about {}{price} on {}",
            paint.bold(&estimate.job),
            secs(estimate.total_secs),
            count(u64::from(estimate.workers), "worker")
        ),
        paint.dim(&format!(
            "  after {} that succeeded",
            count(u64::from(estimate.runs), "run")
        )),
        String::new(),
    ];
    let rows: Vec<Vec<String>> = estimate
        .phases
        .iter()
        .map(|phase| {
            vec![
                phase.phase.word().to_owned(),
                secs(phase.middle_secs),
                secs(phase.shortest_secs),
                secs(phase.longest_secs),
            ]
        })
        .collect();
    let sides = || std::iter::once(Side::Left).chain(std::iter::repeat(Side::Right));
    lines.extend(table::render(
        &["phase", "usual", "shortest", "longest"],
        &rows,
        sides(),
        paint,
    ));
    let shown = shown(estimate);
    if !shown.is_empty() {
        lines.push(String::new());
        let paid = shown.iter().any(|p| p.cost_micros > 0);
        let mut head = vec!["workers", "job", "run", "node time"];
        if paid {
            head.push("cost");
        }
        let rows: Vec<Vec<String>> = shown.iter().map(|p| row(p, paid)).collect();
        lines.extend(table::render(&head, &rows, std::iter::repeat(Side::Right), paint));
        let text = format!(
            "predicted from the newest run, on {}: its tasks dealt to other numbers of cores, all else as it was",
            count(u64::from(estimate.workers_then), "worker")
        );
        lines.extend(entry("", 0, &text, width).iter().map(|line| paint.dim(line)));
    }
    lines
}

fn row(prediction: &Prediction, paid: bool) -> Vec<String> {
    let mut row = vec![
        prediction.workers.to_string(),
        secs(prediction.working_secs),
        secs(prediction.total_secs),
        secs(prediction.node_secs),
    ];
    if paid {
        row.push(dollars(prediction.cost_micros));
    }
    row
}

fn shown(estimate: &Estimate) -> Vec<&Prediction> {
    let wanted = |n: u32| n.is_power_of_two() || n == estimate.workers || n == estimate.workers_then;
    estimate
        .predictions
        .iter()
        .filter(|p| wanted(p.workers))
        .take(SHOWN)
        .collect()
}
