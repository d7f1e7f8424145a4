//! What was paid for and brought nothing.

use jiff::Timestamp;

use super::{Lived, Parts, secs};
use crate::record::{Part, Role, Waste};

/// Every second of a machine is in one part at most.
pub(super) fn of(parts: &Parts) -> Waste {
    let begins = parts.attempt_began;
    let (first, last) = work(parts);
    let mut waste = Waste::default();
    for machine in &parts.machines {
        let span = |from: Timestamp, to: Timestamp| secs(from.max(machine.started), to.min(machine.ended));
        add(&mut waste.failed_attempts, machine, span(machine.started, begins));
        if machine.lost {
            add(&mut waste.lost, machine, span(begins, machine.ended));
            continue;
        }
        add(
            &mut waste.before_work,
            machine,
            span(begins, first.unwrap_or(machine.ended)),
        );
        // The master saves what there is; workers that hold results do so too, and are not told apart from those that wait.
        if let Some(last) = last.filter(|_| machine.role == Role::Worker) {
            add(
                &mut waste.idle_tail,
                machine,
                span(last.max(begins), machine.ended),
            );
        }
    }
    waste
}

/// The first task's begin and the last one's end, or those of the job where the engine tells of no tasks.
fn work(parts: &Parts) -> (Option<Timestamp>, Option<Timestamp>) {
    let at = |ms: i64| Timestamp::from_millisecond(ms).ok().filter(|_| ms > 0);
    let spark = parts.spark.as_ref();
    let first = spark.and_then(|spark| at(spark.first_task_ms));
    let last = spark.and_then(|spark| at(spark.last_task_ms));
    (
        first.or(parts.working.map(|(began, _)| began)),
        last.or(parts.working.map(|(_, ended)| ended)),
    )
}

fn add(part: &mut Part, machine: &Lived, secs: f64) {
    if secs <= 0.0 {
        return;
    }
    part.node_secs += secs;
    part.cost_micros += share(machine.cost_micros, secs, machine.secs());
}

/// So much of a price.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a price that is far below 2^53 millionths"
)]
fn share(micros: u64, part: f64, whole: f64) -> u64 {
    if whole <= 0.0 {
        return 0;
    }
    (micros as f64 * (part / whole).clamp(0.0, 1.0)).round() as u64
}
