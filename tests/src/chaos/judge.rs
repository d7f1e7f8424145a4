//! What is promised of every run, asked of the files of the store and of the process table.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use mayfly_proto::RunId;
use sha2::{Digest as _, Sha256};

use super::Seen;
use super::rig::{RETRIES, SMALL};
use crate::{Home, Run, procs};

/// Processes that are being buried.
const BURIAL: Duration = Duration::from_secs(5);

/// How runs of a case may end.
pub(super) const SUCCEEDS: &[&str] = &["succeeded"];
/// The job itself was hit.
pub(super) const OR_FAILS: &[&str] = &["succeeded", "job-failed"];
/// Its coordinator is gone for ever, and its nodes with it.
pub(super) const OR_DIES: &[&str] = &["succeeded", "infra-failed"];
/// It was cancelled.
pub(super) const CANCELLED: &[&str] = &["cancelled"];
/// The job had no room.
pub(super) const FAILS: &[&str] = &["job-failed"];

/// The one run of a home whose coordinators are gone by now: what is open is closed by `gc`.
///
/// # Panics
/// A promise is broken.
pub(super) fn judge(home: &Home, gate: &Path, megabytes: u64, expected: &[&str]) -> Seen {
    let runs = home.runs();
    assert!(runs.len() <= 1, "the same request made several runs: {runs:?}");
    close(home);
    runs.iter().for_each(gone);
    let Some(id) = runs.into_iter().find(|id| home.run(id).record().is_some()) else {
        return Seen::default();
    };
    let run = home.run(&id);
    let outcome = outcome(&run);
    assert!(
        expected.contains(&outcome.as_str()),
        "{id} ended as {outcome}, not as {expected:?}"
    );
    let receipt = if run.receipt()["release"]["machines_started"] == 0 {
        run.receipt()
    } else {
        run.assert_closed(&outcome)
    };
    let attempts = receipt["attempts"].as_u64().unwrap_or_default();
    assert!(attempts <= 1 + RETRIES, "{attempts} attempts");
    truth(&run, &outcome, megabytes);
    once(gate);
    let begun = run.unfinished_uploads();
    assert!(begun.is_empty(), "uploads that nobody will finish: {begun:?}");
    Seen {
        outcome,
        attempts,
        ..Seen::default()
    }
}

/// Nothing of a run is left.
///
/// # Panics
/// Something is.
pub(super) fn gone(run: &RunId) {
    procs::wait_gone(run, BURIAL);
}

/// Whoever looks next closes what is open, and finds nothing after that.
fn close(home: &Home) {
    const TRIES: usize = 3;
    for _ in 0..TRIES {
        // It may be the one that dies.
        if home.verb(&["gc", "--yes"]).code == Some(0) {
            break;
        }
    }
    let looked = home.verb(&["gc", "--json"]);
    let left = looked.exited(0).json()["leftovers"].clone();
    assert_eq!(left, serde_json::json!([]), "gc leaves something");
}

fn outcome(run: &Run<'_>) -> String {
    let record = run.record().unwrap_or_default();
    record["ended"]["outcome"]
        .as_str()
        .unwrap_or("no outcome")
        .to_owned()
}

/// Success is a commit of a job that ended well, and a commit has all that the job wrote.
fn truth(run: &Run<'_>, outcome: &str, megabytes: u64) {
    let commit = run.commit();
    let well = commit.as_ref().is_some_and(|commit| commit.exit_code == Some(0));
    assert_eq!(
        outcome == "succeeded",
        well,
        "{outcome}, and the commit: {commit:#?}"
    );
    let Some(commit) = commit.filter(|_| well) else {
        return;
    };
    // That it lies in the store as the commit has it is part of `assert_closed`.
    let there = commit
        .files
        .iter()
        .map(|file| (file.path.clone(), (file.size, file.sha256.clone())))
        .collect();
    assert_eq!(
        written(megabytes),
        there,
        "what is committed is not what the job wrote"
    );
}

/// Size and SHA-256 of each file that `chaos.py` writes, by path.
fn written(megabytes: u64) -> BTreeMap<String, (u64, String)> {
    let mut files = BTreeMap::new();
    for number in 0..SMALL {
        let text = format!("{number}\n").repeat(100);
        files.insert(format!("small-{number}.txt"), told([text.as_bytes()]));
    }
    if megabytes > 0 {
        let parts: Vec<Vec<u8>> = (0..megabytes)
            .map(|number| u32::try_from(number).unwrap().to_be_bytes().repeat(1 << 18))
            .collect();
        files.insert("large.bin".to_owned(), told(parts.iter().map(Vec::as_slice)));
    }
    files
}

fn told<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> (u64, String) {
    let (mut size, mut digest) = (0, Sha256::new());
    for part in parts {
        size += part.len() as u64;
        digest.update(part);
    }
    (size, format!("{:x}", digest.finalize()))
}

/// No attempt ran its job twice.
fn once(gate: &Path) {
    let mut begun = BTreeMap::<String, usize>::new();
    for entry in fs::read_dir(gate).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some((attempt, _)) = name.strip_prefix("began-").and_then(|rest| rest.split_once('-')) {
            *begun.entry(attempt.to_owned()).or_default() += 1;
        }
    }
    let twice = begun.iter().find(|(_, times)| **times > 1);
    assert!(
        twice.is_none(),
        "the job of an attempt began more than once: {begun:?}"
    );
}
