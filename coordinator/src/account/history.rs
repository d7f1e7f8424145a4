//! What earlier runs of a job took, out of the store.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use mayfly_kit::layout;
use mayfly_kit::store::{Store, StoreError};
use mayfly_proto::RunId;
use serde::Serialize;

use super::scaled;
use crate::record::{Outcome, PhaseName, Prediction, Receipt};

/// Runs of one job that are looked at for an estimate: their ids do not say which are the newest, so it is all of them.
pub const MANY: usize = 10_000;
/// The same where nobody waits, at the begin of each run.
pub const SOME: usize = 40;
/// Receipts read at the same time.
const READS: usize = 16;
/// Receipts that are kept of all that are read: the newest ones.
const KEPT: usize = 200;
/// Largest receipt, in bytes.
const RECEIPT_MAX: u64 = 4 << 20;
/// Runs that say what is usual: the newest ones that succeeded.
pub const USUAL: usize = 10;

/// Receipts of a job, the newest first, out of at most `max` of its runs. What cannot be read is left out.
///
/// # Errors
/// The store cannot be listed.
pub async fn of_job(store: &Store, job: &str, max: usize) -> Result<Vec<Receipt>, StoreError> {
    let begins = format!("{}{job}-", layout::RUNS);
    let names = store.list_folders(&begins, max).await?;
    // Another job's name may begin with this one's.
    let runs: Vec<RunId> = names
        .iter()
        .filter_map(|rest| format!("{job}-{rest}").parse().ok())
        .filter(|run: &RunId| run.job() == job)
        .collect();
    let read = |run: RunId| async move {
        let object = store
            .get_capped(&layout::receipt(&run), RECEIPT_MAX)
            .await
            .ok()
            .flatten()?;
        serde_json::from_slice::<Receipt>(&object.bytes).ok()
    };
    let read = futures::stream::iter(runs)
        .map(read)
        .buffer_unordered(READS)
        .filter_map(std::future::ready);
    let newest = read.fold(Vec::new(), async |mut newest, receipt| {
        newest.push(receipt);
        // Those of ten thousand runs are never in memory at one time.
        if newest.len() > 2 * KEPT {
            keep_newest(&mut newest);
        }
        newest
    });
    let mut newest = newest.await;
    keep_newest(&mut newest);
    Ok(newest)
}

fn keep_newest(receipts: &mut Vec<Receipt>) {
    receipts.sort_by(|a, b| {
        let observed = b.release.observed.cmp(&a.release.observed);
        observed.then_with(|| a.run.cmp(&b.run))
    });
    receipts.truncate(KEPT);
}

/// How long each phase usually takes, in seconds: the middle of the newest runs that succeeded at the first attempt.
#[must_use]
pub fn usual(receipts: &[Receipt]) -> BTreeMap<PhaseName, f64> {
    let good = receipts
        .iter()
        .filter(|receipt| receipt.ended.outcome == Outcome::Succeeded && receipt.attempts == 1)
        .take(USUAL);
    let mut times: BTreeMap<PhaseName, Vec<f64>> = BTreeMap::new();
    for phase in good.flat_map(|receipt| &receipt.phases) {
        times.entry(phase.phase).or_default().push(phase.secs);
    }
    times
        .into_iter()
        .filter_map(|(phase, mut secs)| Some((phase, middle(&mut secs)?)))
        .collect()
}

/// The one in the middle.
#[must_use]
pub fn middle(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// What the next run of a job will take, as far as earlier ones tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The job.
    pub job: String,
    /// Runs that it follows from: the newest that succeeded.
    pub runs: u32,
    /// Workers that it is for.
    pub workers: u32,
    /// Workers of the newest run.
    pub workers_then: u32,
    /// By phase: the middle, the shortest and the longest, in seconds. As the runs were, whatever their workers.
    pub phases: Vec<Usual>,
    /// The run from its record to its end, in seconds: the middle of the runs, moved by what the newest one predicts for
    /// so many workers.
    pub total_secs: f64,
    /// What it will cost, in millionths of a US dollar, in the same way; zero where nothing was paid.
    pub cost_micros: u64,
    /// What the newest run predicts for other numbers of workers.
    pub predictions: Vec<Prediction>,
}

/// How long a phase takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Usual {
    /// Which.
    pub phase: PhaseName,
    /// The middle of the runs, in seconds.
    pub middle_secs: f64,
    /// The shortest, in seconds.
    pub shortest_secs: f64,
    /// The longest, in seconds.
    pub longest_secs: f64,
}

/// The estimate for so many workers, or as many as the newest run had; `None` without a run. `good` are runs that
/// succeeded, the newest first.
#[must_use]
pub fn estimate(job: &str, good: &[Receipt], workers: Option<u32>) -> Option<Estimate> {
    let newest = good.first()?;
    let good = good.get(..good.len().min(USUAL)).unwrap_or_default();
    let then = count_workers(newest);
    let wanted = workers.unwrap_or(then);
    let predictions = newest
        .account
        .as_ref()
        .map(|a| a.predictions.clone())
        .unwrap_or_default();
    let of = |n: u32| predictions.iter().find(|p| p.workers == n);
    let (by_time, by_cost) = match (of(then), of(wanted)) {
        (Some(then), Some(wanted)) => (
            ratio(wanted.total_secs, then.total_secs),
            ratio_of(wanted.cost_micros, then.cost_micros),
        ),
        (None, _) | (_, None) => (1.0, 1.0),
    };
    let mut totals: Vec<f64> = good.iter().map(|receipt| receipt.total_secs).collect();
    let mut costs: Vec<u64> = good.iter().map(|receipt| receipt.cost_micros).collect();
    costs.sort_unstable();
    let cost = costs.get(costs.len() / 2).copied().unwrap_or(0);
    Some(Estimate {
        job: job.to_owned(),
        runs: u32::try_from(good.len()).unwrap_or(u32::MAX),
        workers: if of(wanted).is_some() { wanted } else { then },
        workers_then: then,
        phases: phases(good),
        total_secs: middle(&mut totals)? * by_time,
        cost_micros: scaled(cost, by_cost),
        predictions,
    })
}

fn count_workers(receipt: &Receipt) -> u32 {
    let workers = receipt
        .nodes
        .iter()
        .filter(|node| node.node.as_str().starts_with("worker") && !node.lost);
    u32::try_from(workers.count()).unwrap_or(u32::MAX)
}

fn phases(good: &[Receipt]) -> Vec<Usual> {
    let mut times: BTreeMap<PhaseName, Vec<f64>> = BTreeMap::new();
    for receipt in good {
        let mut sums: BTreeMap<PhaseName, f64> = BTreeMap::new();
        for time in &receipt.phases {
            *sums.entry(time.phase).or_default() += time.secs;
        }
        sums.into_iter()
            .for_each(|(phase, secs)| times.entry(phase).or_default().push(secs));
    }
    let usual = |(phase, mut secs): (PhaseName, Vec<f64>)| {
        Some(Usual {
            phase,
            middle_secs: middle(&mut secs)?,
            shortest_secs: *secs.first()?,
            longest_secs: *secs.last()?,
        })
    };
    times.into_iter().filter_map(usual).collect()
}

fn ratio(now: f64, then: f64) -> f64 {
    if then > 0.0 { now / then } else { 1.0 }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio")]
fn ratio_of(now: u64, then: u64) -> f64 {
    ratio(now as f64, then as f64)
}
