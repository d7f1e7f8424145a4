//! What the run would have come to with other numbers of workers.
//!
//! The tasks are dealt again to the cores that there would be ([`crate::spark`]); all else (boot, the driver's own work, the
//! upload) is taken to last as long as it did. Machines are taken to live as long as the run.

use super::{Lived, Parts, scaled, secs};
use crate::record::{Prediction, Role};

/// Most workers asked for, as a multiple of those that there were.
const TIMES: u32 = 4;
/// Answers that are kept.
const ANSWERS: usize = 24;

/// One answer for each number of workers from one to four times as many, thinned out where these are many.
pub(super) fn all(parts: &Parts) -> Vec<Prediction> {
    let most = parts.workers.saturating_mul(TIMES);
    let step = most.div_ceil(u32::try_from(ANSWERS).unwrap_or(1)).max(1);
    (1..=most)
        .filter(|n| n % step == 0 || *n == 1 || *n == parts.workers)
        .filter_map(|workers| one(parts, workers))
        .collect()
}

/// `None` where it cannot be told.
pub(super) fn one(parts: &Parts, workers: u32) -> Option<Prediction> {
    let scaling = parts.spark.as_ref()?.scaling.as_ref()?;
    let (began, ended) = parts.working?;
    let is_worker = |machine: &Lived| machine.role == Role::Worker;
    if parts.workers == 0 || !parts.machines.iter().any(is_worker) {
        return None;
    }
    // Executors of all workers: what a worker brings is what they had, divided.
    let each = f64::from(scaling.cores) / f64::from(parts.workers);
    let cores = whole(each * f64::from(workers))?;
    let working = secs(began, ended);
    let dealt = scaling.at(cores)?;
    let working_secs = (working - scaling.secs).max(0.0) + dealt;
    let total_secs = parts.total_secs - working + working_secs;
    let by = total_secs / parts.total_secs.max(0.001);
    let of = |role: Role| parts.machines.iter().filter(move |machine| machine.role == role);
    let more = f64::from(workers) / f64::from(parts.workers);
    let master_secs: f64 = of(Role::Master).map(Lived::secs).sum();
    let worker_secs: f64 = of(Role::Worker).map(Lived::secs).sum();
    let master_cost: u64 = of(Role::Master).map(|machine| machine.cost_micros).sum();
    let worker_cost: u64 = of(Role::Worker).map(|machine| machine.cost_micros).sum();
    Some(Prediction {
        workers,
        working_secs,
        total_secs,
        node_secs: (master_secs + worker_secs * more) * by,
        cost_micros: scaled(master_cost, by).saturating_add(scaled(worker_cost, more * by)),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked above"
)]
fn whole(cores: f64) -> Option<u32> {
    (0.5..1e6).contains(&cores).then(|| cores.round() as u32)
}
