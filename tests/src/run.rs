//! What the store and the process table know of a run: read from the plain files, not by the programs under test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mayfly_kit::records::Commit;
use mayfly_proto::RunId;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{Home, procs, wait};

/// After the end of a run there may be processes that the system still buries.
const BURIAL: Duration = Duration::from_secs(2);

/// One run.
#[derive(Debug, Clone)]
pub struct Run<'h> {
    home: &'h Home,
    /// Its id.
    pub id: RunId,
}

impl<'h> Run<'h> {
    pub(crate) fn new(home: &'h Home, id: RunId) -> Self {
        Self { home, id }
    }

    /// Its folder in the store.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.home.path().join("store/mayfly/runs").join(self.id.as_str())
    }

    /// The folder of a node.
    #[must_use]
    pub fn node(&self, node: &str) -> PathBuf {
        self.nodes().join(node)
    }

    /// The folder of all its nodes.
    #[must_use]
    pub fn nodes(&self) -> PathBuf {
        self.home.path().join("nodes").join(self.id.as_str())
    }

    fn json(&self, name: &str) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.folder().join(name)).ok()?).ok()
    }

    /// `run.json`.
    #[must_use]
    pub fn record(&self) -> Option<Value> {
        self.json("run.json")
    }

    /// The phase that the record shows.
    #[must_use]
    pub fn phase(&self) -> String {
        let record = self.record().unwrap_or_default();
        let last = record["phases"]
            .as_array()
            .and_then(|phases| phases.last().cloned())
            .unwrap_or_default();
        last["phase"].as_str().unwrap_or_default().to_owned()
    }

    /// `receipt.json`.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn receipt(&self) -> Value {
        self.json("receipt.json")
            .unwrap_or_else(|| panic!("{} has no receipt", self.id))
    }

    /// `_COMMIT.json`, if there is one.
    ///
    /// # Panics
    /// There is something else in its place.
    #[must_use]
    pub fn commit(&self) -> Option<Commit> {
        let bytes = fs::read(self.folder().join("_COMMIT.json")).ok()?;
        Some(serde_json::from_slice(&bytes).expect("_COMMIT.json is a commit"))
    }

    /// The folder of the results of one attempt.
    #[must_use]
    pub fn results(&self, attempt: u32) -> PathBuf {
        self.folder().join(format!("attempt-{attempt}/results"))
    }

    /// The results of one attempt as they lie in the store: size and SHA-256 by path.
    #[must_use]
    pub fn stored(&self, attempt: u32) -> BTreeMap<String, (u64, String)> {
        files(&self.results(attempt))
    }

    /// Uploads in parts that were begun for this run and neither completed nor aborted, as the store keeps them.
    #[must_use]
    pub fn unfinished_uploads(&self) -> Vec<String> {
        let all = files(&self.home.path().join("store"));
        let begun = all.into_keys().filter(|path| path.ends_with("/upload.json"));
        let texts =
            begun.filter_map(|path| fs::read_to_string(self.home.path().join("store").join(path)).ok());
        texts.filter(|text| text.contains(self.id.as_str())).collect()
    }

    /// The job's output, as `coordinator logs` shows it.
    ///
    /// # Panics
    /// The verb fails.
    #[must_use]
    pub fn output(&self, flags: &[&str]) -> String {
        let mut args = vec!["logs", self.id.as_str()];
        args.extend(flags);
        let ended = self.home.verb(&args);
        ended.exited(0);
        ended.stdout
    }

    /// Asserts that the run is closed with this outcome, that its record, its receipt and its commit agree, and that
    /// nothing of it is left. Returns the receipt.
    ///
    /// # Panics
    /// One of these is not so.
    #[track_caller]
    pub fn assert_closed(&self, outcome: &str) -> Value {
        let receipt = self.assert_receipt(outcome);
        let release = &receipt["release"];
        assert!(
            release["machines_started"].as_u64() > Some(0),
            "no machine was started: {receipt:#}"
        );
        assert_eq!(
            release["machines_started"], release["machines_gone"],
            "machines left: {receipt:#}"
        );
        procs::wait_gone(&self.id, BURIAL);
        receipt
    }

    #[track_caller]
    fn assert_receipt(&self, outcome: &str) -> Value {
        let record = self.record().expect("a record");
        let receipt = self.receipt();
        assert_eq!(self.phase(), "closed", "{record:#}");
        assert_eq!(receipt["ended"]["outcome"], outcome, "{receipt:#}");
        assert_eq!(
            record["ended"], receipt["ended"],
            "the record and the receipt tell of different ends"
        );
        assert_eq!(record["commit"], receipt["commit"]);
        match self.commit() {
            Some(commit) => {
                assert_eq!(commit.run, self.id);
                assert_eq!(receipt["results_files"], commit.total_files);
                assert_eq!(receipt["results_bytes"], commit.total_bytes);
                self.assert_manifest(&commit);
            }
            None => assert_eq!(receipt["results_files"], 0, "files without a commit: {receipt:#}"),
        }
        receipt
    }

    /// What is committed is what lies there, no more and no less.
    #[track_caller]
    fn assert_manifest(&self, commit: &Commit) {
        let told: BTreeMap<String, (u64, String)> = commit
            .files
            .iter()
            .map(|file| (file.path.clone(), (file.size, file.sha256.clone())))
            .collect();
        assert_eq!(told.len(), commit.files.len(), "a path is committed twice");
        assert_eq!(
            told,
            self.stored(commit.attempt.number()),
            "the commit and the stored results differ"
        );
        assert_eq!(
            commit.total_bytes,
            commit.files.iter().map(|file| file.size).sum::<u64>()
        );
        assert_eq!(commit.total_files, commit.files.len() as u64);
    }

    /// Waits for a phase, or a later one, while the command runs.
    ///
    /// # Panics
    /// It does not come.
    pub fn wait_phase(&self, launch: &mut crate::Launch, phase: &str) {
        launch.until(&format!("phase {phase} of {}", self.id), wait::secs(120), || {
            (self.phase() == phase).then_some(())
        });
    }
}

/// Size and SHA-256 of every file below a folder, by path.
fn files(root: &Path) -> BTreeMap<String, (u64, String)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .expect("keys are UTF-8")
                .to_owned();
            found.insert(
                name,
                (bytes.len() as u64, format!("{:x}", Sha256::digest(&bytes))),
            );
        }
    }
    found
}
