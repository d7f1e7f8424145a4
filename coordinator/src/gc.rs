//! Finds what should not exist any more on this machine and ends it: on positive evidence only.
//!
//! A run is left over when its record is open and the lock of its coordinator is free, which the system lets go of
//! only when that process is dead. A process is left over when its environment names a run that no coordinator holds.

#[cfg(feature = "aws")]
pub mod fleet;
mod nodes;
#[cfg(feature = "aws")]
mod verdict;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use mayfly_kit::crash::{self, Point};
use mayfly_kit::layout;
use mayfly_kit::store::{Replaced, Store};
use mayfly_proto::RunId;

use crate::cloud::local::processes;
use crate::driver::{decided, phase_times, step_times};
use crate::embedded::OpenStore;
use crate::home::{BUCKET, Home, RunLock};
use crate::record::{Ended, Outcome, PhaseMark, PhaseName, Receipt, ReleaseProof, RunRecord, SCHEMA};
use crate::serving::Addresses;

/// Records that are looked at.
const RUNS_MAX: usize = 100_000;
/// Of these at the same time.
const READS: usize = 16;

/// Something that should not exist.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Leftover {
    /// The run it belongs to.
    pub run: RunId,
    /// What it is.
    pub what: String,
    /// Folder that holds what the job wrote, if there is one.
    pub folder: Option<PathBuf>,
    /// Why it may be ended.
    pub evidence: String,
    /// Processes of the run that still live.
    pub processes: usize,
    /// Whether its record is open.
    pub open: bool,
}

/// Looks for what is left over; changes nothing.
///
/// In a store that others use too, a run belongs to this home only if its record says so: that no lock of another
/// machine's coordinator is seen here is no evidence.
///
/// # Errors
/// The folder or the store cannot be read.
pub async fn scan(home: &Path, open: &OpenStore) -> anyhow::Result<Vec<Leftover>> {
    scan_beside(home, open, &[]).await
}

/// The same for whoever has read records already: those that are closed stay so, and are not read again.
///
/// # Errors
/// As [`scan`].
pub async fn scan_beside(
    home: &Path,
    open: &OpenStore,
    known: &[RunRecord],
) -> anyhow::Result<Vec<Leftover>> {
    // Looking makes no folder, and without one there is nothing of this home.
    if !home.is_dir() {
        return Ok(Vec::new());
    }
    let home = Home::open(home)?;
    let processes = tokio::task::spawn_blocking(processes::all).await?;
    let mut found = Vec::new();
    let (store, shared) = (&open.store, open.folder.is_none());
    let served = Addresses::of(&home).url;
    let closed = known.iter().filter(|record| record.is_closed());
    let closed: HashMap<&RunId, &RunRecord> = closed.map(|record| (&record.run, record)).collect();
    let closed = &closed;
    let read = |run: RunId| async move {
        let found = match closed.get(&run) {
            Some(known) => Some((*known).clone()),
            None => record(store, &run).await?.map(|(record, _)| record),
        };
        anyhow::Ok((run, found))
    };
    let candidates = candidates(&home, store, &processes).await?;
    let mut read = futures::stream::iter(candidates).map(read).buffered(READS);
    while let Some((run, record)) = read.try_next().await? {
        let here = |record: &RunRecord| record.folder.as_deref() == Some(home.run(&run).as_path());
        if shared && !record.as_ref().is_some_and(here) {
            continue;
        }
        // That the command which launched it is gone says nothing of a run whose coordinator lives elsewhere.
        let elsewhere = |record: &RunRecord| record.on_master || record.control.is_some();
        if record.as_ref().is_some_and(elsewhere) {
            continue;
        }
        let open = record.as_ref().is_some_and(|record| !record.is_closed());
        let alive = processes.iter().filter(|process| process.run == run).count();
        // A coordinator that serves is started again: for as long as they live, its nodes wait for it.
        let awaited = |record: &RunRecord| record.coordinator == served && Timestamp::now() < record.deadline;
        if open && alive > 0 && record.as_ref().is_some_and(awaited) {
            continue;
        }
        // Only a run that looks left over is locked: looking must not make folders for the others.
        if (open || alive > 0) && home.lock(&run)?.is_some() {
            found.push(leftover(&home, run, open, alive, record));
        }
    }
    Ok(found)
}

/// Ends what [`scan`] found: kills the processes, closes the record with a true outcome and a receipt. Folders that
/// hold what a job wrote stay.
///
/// # Errors
/// The store does not answer. What was done stays done; the rest is found again.
pub async fn sweep(home: &Path, store: &Store, found: &[Leftover]) -> anyhow::Result<Vec<RunId>> {
    let home = Home::open(home)?;
    let mut closed = Vec::new();
    for left in found {
        // A coordinator may have come back in the meantime: then it is its run.
        let Some(lock) = home.lock(&left.run)? else {
            continue;
        };
        let run = left.run.clone();
        let killed = tokio::task::spawn_blocking(move || processes::kill_all_of(&run));
        crash::around(Point::SweepKill, killed).await?;
        close(&home, store, left, &lock).await?;
        closed.push(left.run.clone());
    }
    Ok(closed)
}

async fn candidates(
    home: &Home,
    store: &Store,
    processes: &[processes::Process],
) -> anyhow::Result<Vec<RunId>> {
    let folders = std::fs::read_dir(home.nodes())?;
    let of_folders = folders
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut runs: Vec<RunId> = of_folders.collect();
    for folder in store.list_folders(layout::RUNS, RUNS_MAX).await? {
        let name = folder
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or_default();
        runs.extend(name.parse().ok());
    }
    // A process of a run that lives in another `.mayfly` is for the commands there.
    runs.extend(
        processes
            .iter()
            .map(|process| process.run.clone())
            .filter(|run| home.run(run).is_dir()),
    );
    runs.sort();
    runs.dedup();
    Ok(runs)
}

/// One that cannot be read says as little as none, and keeps nobody from looking at the others.
async fn record(store: &Store, run: &RunId) -> anyhow::Result<Option<(RunRecord, String)>> {
    let Some(object) = store.get(&layout::record(run)).await? else {
        return Ok(None);
    };
    match serde_json::from_slice(&object.bytes) {
        Ok(record) => Ok(Some((record, object.etag))),
        Err(error) => {
            tracing::error!(%run, %error, "the record of this run cannot be read");
            Ok(None)
        }
    }
}

/// Folder of the run, if a node left something in its results folder there.
#[must_use]
pub fn unsaved_folder(home: &Home, run: &RunId) -> Option<PathBuf> {
    let folder = home.run(run);
    let nodes = std::fs::read_dir(&folder).ok()?;
    let holds = |path: PathBuf| std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    nodes
        .flatten()
        .any(|node| holds(node.path().join("shared").join("results")))
        .then_some(folder)
}

fn leftover(home: &Home, run: RunId, open: bool, alive: usize, record: Option<RunRecord>) -> Leftover {
    let phase = record
        .as_ref()
        .and_then(|record| record.phases.last())
        .map(|mark| mark.phase);
    let what = match (open, phase) {
        (true, Some(phase)) => format!("a run that stopped in phase {phase:?}").to_lowercase(),
        (true, None) => "a run that never began".into(),
        (false, _) => format!("{alive} processes of a closed run"),
    };
    Leftover {
        folder: unsaved_folder(home, &run),
        run,
        what,
        evidence: "its coordinator is dead: the lock it held is free".into(),
        processes: alive,
        open,
    }
}

async fn close(home: &Home, store: &Store, left: &Leftover, _held: &RunLock) -> anyhow::Result<()> {
    let Some((mut record, etag)) = record(store, &left.run).await? else {
        return Ok(());
    };
    if record.is_closed() {
        return Ok(());
    }
    store.abort_all(&layout::run(&left.run)).await?;
    let commit = decided(store, &left.run, record.attempt).await?;
    let nodes = nodes::of(home, store, &record).await?;
    let machines = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    let now = Timestamp::now();
    let committed = commit
        .as_ref()
        .map(|commit| Ended::committed(commit.exit_code, &commit.cause));
    let ended = Ended::settled(record.ended.clone(), committed).unwrap_or_else(|| died(left));
    record.ended = Some(ended.clone());
    record.phases.push(PhaseMark {
        phase: PhaseName::Closed,
        attempt: record.attempt,
        began: now,
    });
    let attempt = commit.as_ref().map_or(record.attempt, |commit| commit.attempt);
    let results = layout::results(&left.run, attempt);
    let receipt = Receipt {
        schema: SCHEMA,
        run: left.run.clone(),
        job: record.job.name.to_string(),
        commit: record.commit.clone(),
        ended,
        attempts: record.attempt.number(),
        phases: phase_times(&record, now),
        steps: commit.as_ref().map(step_times).unwrap_or_default(),
        total_secs: now.duration_since(record.created).as_secs_f64(),
        nodes,
        cost_micros: 0,
        results_files: commit.as_ref().map_or(0, |commit| commit.total_files),
        results_bytes: commit.as_ref().map_or(0, |commit| commit.total_bytes),
        logs: store.s3_url(&layout::logs(&left.run, attempt)),
        results_folder: Some(home.store().join(BUCKET).join(&results)).filter(|folder| folder.is_dir()),
        results: store.s3_url(&results),
        // No process of the run is left: every machine that is known of is gone.
        release: ReleaseProof {
            machines_started: machines,
            machines_gone: machines,
            observed: now,
        },
        account: None,
        why: None,
    };
    let key = layout::receipt(&left.run);
    let put = store.put(&key, serde_json::to_vec_pretty(&receipt)?);
    crash::around(Point::SweepReceipt, put).await?;
    let key = layout::record(&left.run);
    let put = store.replace(&key, serde_json::to_vec_pretty(&record)?, &etag);
    match crash::around(Point::SweepRecord, put).await? {
        Replaced::Yes(_) => Ok(()),
        Replaced::Conflict => anyhow::bail!("the record of {} changed while it was being closed", left.run),
    }
}

fn died(left: &Leftover) -> Ended {
    let kept = left
        .folder
        .as_ref()
        .map(|folder| format!("; what the job had written is in {}", folder.display()));
    Ended {
        outcome: Outcome::InfraFailed,
        reason: format!("the command that ran it died{}", kept.unwrap_or_default()),
        exit_code: None,
        last_lines: Vec::new(),
    }
}
