//! Results that are not, or no longer, what their run committed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::refusals::{run, stderr};

const RUN: &str = "flights-abcdefgh";

/// Something that is done to a file.
type Change = fn(&Path);

/// A home with a run that has committed two files.
struct Kept {
    dir: TempDir,
}

impl Kept {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let kept = Self { dir };
        // `data put` makes a store.
        fs::write(kept.dir.path().join("a"), "1").unwrap();
        assert!(run(kept.dir.path(), &["data", "put", "a", "a"]).status.success());
        fs::create_dir_all(kept.results()).unwrap();
        fs::write(kept.results().join("one.csv"), "one").unwrap();
        fs::write(kept.results().join("two.csv"), "two").unwrap();
        kept.write(&kept.commit().to_string());
        kept
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join(".mayfly/store/mayfly/runs").join(RUN)
    }

    fn results(&self) -> PathBuf {
        self.folder().join("attempt-1/results")
    }

    fn commit(&self) -> Value {
        let file = |path: &str, text: &str| {
            let sum = HEXLOWER.encode(&Sha256::digest(text));
            json!({ "path": path, "size": text.len(), "sha256": sum })
        };
        json!({
            "schema": 1, "run": RUN, "attempt": 1, "exit_code": 0, "cause": "", "committed_at": "2026-11-01T00:00:00Z",
            "nodes": ["master-1"], "total_files": 2, "total_bytes": 6,
            "files": [file("one.csv", "one"), file("two.csv", "two")],
        })
    }

    fn write(&self, commit: &str) {
        fs::write(self.folder().join("_COMMIT.json"), commit).unwrap();
    }

    fn fetch(&self) -> Output {
        run(self.dir.path(), &["results", RUN, "--to", "out"])
    }

    fn out(&self, name: &str) -> PathBuf {
        self.dir.path().join("out").join(name)
    }

    /// Refused with this code, and nothing that is wrong was written.
    fn refuses(&self, code: i32, says: &[&str]) {
        let output = self.fetch();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{says:?}: {text}");
        for word in says {
            assert!(text.contains(word), "{word:?} is not in: {text}");
        }
        assert!(!text.contains("panicked") && text.len() < 2_000, "{text}");
        assert!(!self.out("two.csv").exists(), "{says:?}: it was written");
        assert_eq!(
            left(self.dir.path()),
            Vec::<String>::new(),
            "{says:?}: half a file is left"
        );
    }
}

/// Files that a download has begun and not ended.
fn left(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("out")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('.')).collect()
}

#[test]
fn what_was_committed_is_fetched() {
    let kept = Kept::new();
    let output = kept.fetch();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(kept.out("two.csv")).unwrap(), "two");
}

#[test]
fn an_object_that_is_not_what_was_committed_is_refused_by_name() {
    let change: [(&str, Change, &str); 4] = [
        (
            "other bytes",
            |path| fs::write(path, "TWO").unwrap(),
            "size or SHA-256 differ",
        ),
        (
            "longer",
            |path| fs::write(path, "two more").unwrap(),
            "size or SHA-256 differ",
        ),
        (
            "empty",
            |path| fs::write(path, "").unwrap(),
            "size or SHA-256 differ",
        ),
        (
            "gone",
            |path| fs::remove_file(path).unwrap(),
            "is gone from the store",
        ),
    ];
    for (name, change, says) in change {
        let kept = Kept::new();
        change(&kept.results().join("two.csv"));
        let key = format!("runs/{RUN}/attempt-1/results/two.csv");
        kept.refuses(3, &[&key, says]);
        // Without `--to` only the record is read.
        assert!(run(kept.dir.path(), &["results", RUN]).status.success(), "{name}");
    }
}

#[test]
fn a_commit_that_is_none_of_this_run_is_refused_by_name() {
    let kept = Kept::new();
    let right = kept.commit();
    let with = |key: &str, value: Value| {
        let mut commit = right.clone();
        commit[key] = value;
        commit.to_string()
    };
    let text = right.to_string();
    let path = |path: &str| with("files", json!([{ "path": path, "size": 3, "sha256": "00" }]));
    for (commit, says) in [
        (
            with("run", "other-abcdefgh".into()),
            ["belongs to other-abcdefgh", "refused"],
        ),
        (
            with("schema", 99.into()),
            ["_COMMIT.json has schema 99", "use a newer one"],
        ),
        (String::new(), ["_COMMIT.json cannot be read", "EOF"]),
        (
            text[..text.len() / 2].to_owned(),
            ["_COMMIT.json cannot be read", "EOF"],
        ),
        (
            "<html>".to_owned(),
            ["_COMMIT.json cannot be read", "expected value"],
        ),
        ("[1]".to_owned(), ["_COMMIT.json cannot be read", "invalid"]),
        ("[".repeat(10_000), ["_COMMIT.json cannot be read", "invalid"]),
        (path("../../../two.csv"), ["../../../two.csv", "leave the folder"]),
        (path("/tmp/two.csv"), ["/tmp/two.csv", "leave the folder"]),
        (path(""), ["\"\"", "leave the folder"]),
    ] {
        kept.write(&commit);
        kept.refuses(3, &says);
        assert!(!kept.out("one.csv").exists(), "{says:?}: something was fetched");
    }
    fs::remove_file(kept.folder().join("_COMMIT.json")).unwrap();
    kept.refuses(2, &["has committed nothing"]);
}

#[test]
fn what_nodes_saved_without_a_commit_is_named_and_fetched_when_asked_for() {
    let kept = Kept::new();
    let home = kept.dir.path();
    let salvaged = ["results", RUN, "--salvaged", "--to", "out"];
    let refused = run(home, &salvaged);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("has committed:"),
        "{}",
        stderr(&refused)
    );

    fs::remove_file(kept.folder().join("_COMMIT.json")).unwrap();
    let manifests = kept.folder().join("attempt-1/manifests");
    fs::create_dir(&manifests).unwrap();
    let files = kept.commit()["files"].clone();
    for (node, files) in [("master-1", json!([files[0]])), ("worker-1", files.clone())] {
        let manifest = json!({ "schema": 1, "node": node, "attempt": 1, "files": files, "skipped": [] });
        fs::write(manifests.join(format!("{node}.json")), manifest.to_string()).unwrap();
    }
    // An attempt of which nothing was saved.
    fs::create_dir(kept.folder().join("attempt-2")).unwrap();
    fs::write(kept.folder().join("attempt-2/_DECISION.json"), "{}").unwrap();
    kept.refuses(
        2,
        &["has committed nothing, but its nodes saved 2 files", "--salvaged"],
    );
    assert!(!kept.out("one.csv").exists());

    let fetched = run(home, &salvaged);
    assert!(fetched.status.success(), "{}", stderr(&fetched));
    assert_eq!(fs::read_to_string(kept.out("two.csv")).unwrap(), "two");

    let other = json!({ "schema": 1, "node": "worker-2", "attempt": 1, "skipped": [],
        "files": [{ "path": "one.csv", "size": 3, "sha256": "0".repeat(64) }] });
    fs::write(manifests.join("worker-2.json"), other.to_string()).unwrap();
    let refused = run(home, &salvaged);
    assert_eq!(refused.status.code(), Some(3));
    assert!(
        stderr(&refused).contains("saved different files named one.csv"),
        "{}",
        stderr(&refused)
    );
}
