//! Files of the older system on the command line.

use std::fs;
use std::path::Path;

use crate::refusals::{run, stderr};

fn data(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/tests/data/origin");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn folder(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        fs::write(dir.path().join(name), data(name)).unwrap();
    }
    dir
}

#[test]
fn an_import_is_printed_or_written_and_never_over_another_file() {
    let dir = folder(&["spark.yml"]);
    let printed = run(dir.path(), &["import", "spark.yml"]);
    assert_eq!(printed.status.code(), Some(0), "{}", stderr(&printed));
    assert!(
        stderr(&printed).contains("warning: spark.yml:22"),
        "{}",
        stderr(&printed)
    );
    let written = run(dir.path(), &["import", "spark.yml", "-o", "jobs.yml"]);
    assert_eq!(written.status.code(), Some(0), "{}", stderr(&written));
    let text = fs::read(dir.path().join("jobs.yml")).unwrap();
    assert_eq!(text, printed.stdout);
    assert!(run(dir.path(), &["validate", "jobs.yml"]).status.success());
    let told = run(dir.path(), &["import", "spark.yml", "-o", "told.yml", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["text"].as_str().unwrap().as_bytes(), text);
    assert_eq!(told["output"], "told.yml");
    assert!(
        told["warnings"][0].as_str().unwrap().contains("spark.yml:22"),
        "{told}"
    );
    assert_eq!(fs::read(dir.path().join("told.yml")).unwrap(), text);
    let again = run(dir.path(), &["import", "spark.yml", "-o", "spark.yml"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(
        stderr(&again).contains("spark.yml is there already"),
        "{}",
        stderr(&again)
    );
    assert_eq!(
        fs::read_to_string(dir.path().join("spark.yml")).unwrap(),
        data("spark.yml")
    );
}

#[test]
fn an_old_file_is_validated_and_its_jobs_are_found_by_name() {
    let dir = folder(&["spark.yml", "aws.yml"]);
    let output = run(dir.path(), &["validate", "spark.yml", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        report["files"][0]["jobs"],
        serde_json::json!(["log-reg-iris", "log-reg-santander", "sbt-test"])
    );
    assert_eq!(report["files"][0]["warnings"][0]["line"], 22);
    assert_eq!(report["files"][0]["errors"], serde_json::json!([]));
    let near = run(dir.path(), &["launch", "log-reg-irsi"]);
    assert!(
        stderr(&near).contains("did you mean \"log-reg-iris\"?"),
        "{}",
        stderr(&near)
    );
}

#[test]
fn the_other_files_are_told_apart() {
    let dir = folder(&["aws.yml", "r-server.yml"]);
    for (file, says) in [
        ("aws.yml", "the network of the older system"),
        ("r-server.yml", "names no program to run"),
    ] {
        for args in [&["launch", file][..], &["validate", file], &["import", file]] {
            let output = run(dir.path(), args);
            assert_eq!(output.status.code(), Some(2), "{args:?}");
            assert!(stderr(&output).contains(says), "{args:?}: {}", stderr(&output));
        }
    }
    assert!(!dir.path().join(".mayfly").exists());
}
