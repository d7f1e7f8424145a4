//! Bad command lines: one specific sentence, the right exit code, no panic, nothing made.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::repo::{Repo, git};

/// The built program in a folder, with almost no environment.
const PROGRAM: &str = env!("CARGO_BIN_EXE_coordinator");

pub(crate) fn coordinator(dir: &Path) -> Command {
    at(dir, Command::new(PROGRAM))
}

/// The same for what would go on for ever if it were not refused.
pub(crate) fn coordinator_for_a_minute(dir: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["60", PROGRAM]);
    at(dir, command)
}

fn at(dir: &Path, mut command: Command) -> Command {
    command
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    command.stdin(Stdio::null());
    command
}

pub(crate) fn run(dir: &Path, args: &[&str]) -> Output {
    coordinator(dir).args(args).output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_bad_command_line_is_refused_with_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(10_240);
    for (args, says) in [
        (&[][..], "Usage"),
        (&["lanch"], "launch"),
        (&["launch", "x", "--frobnicate"], "--frobnicate"),
        (
            &["launch", "x", "--json", "--json"],
            "cannot be used multiple times",
        ),
        (&["launch", "x", "--on", "mars"], "local"),
        (&["launch", "a", "b", "c"], "unexpected"),
        (&["launch", "x"], "there is no job"),
        (&["launch"], "there is no job file"),
        (&["launch", "none.yml"], "none.yml"),
        (&["launch", "x", "--set", "novalue"], "KEY=VALUE"),
        (&["launch", "x", "--request-id", "../../x"], "letters, digits"),
        (&["launch", "x", "--request-id", ""], "--request-id"),
        (&["launch", "x", "--request-id", "-x"], "-x"),
        (&["launch", "x", "--request-id", "🦋"], "letters, digits"),
        (&["launch", "x", "--request-id", &long], "letters, digits"),
        (
            &["launch", "x", "--workers", "2"],
            "cannot be used with '--workers",
        ),
        (&["launch", "--workers", "2"], "--entry main.py"),
        (&["launch", "--entry", "main.py", "--workers", "-1"], "-1"),
        (&["launch", "--entry", "../main.py"], "--entry"),
        (
            &["launch", "--entry", "main.py", "--repo", "ext::sh -c id"],
            "--repo",
        ),
        (
            &[
                "launch",
                "--entry",
                "main.py",
                "--repo",
                "https://me:hunter2@host/x",
            ],
            "password",
        ),
        (
            &["launch", "--entry", "main.py", "--repo", "--upload-pack=id"],
            "--upload-pack",
        ),
        (
            &["launch", "--entry", "main.py", "--ref=--upload-pack=id"],
            "--ref",
        ),
        (&["launch", "--entry", "main.py", "--ref", "HEAD~1"], "--ref"),
        (&["launch", "--entry", "main.py"], "is not in a Git repository"),
        (&["launch", "x", "--detach"], "--coordinator"),
        (&["status", "last"], "no runs here"),
        (&["status"], "<RUN>"),
        (&["logs", "x", "--node", "../.."], "node id"),
        (&["logs", "x", "--stream", "kernel"], "job, engine, agent"),
        (&["logs", "x", "--attempt", "0"], "0"),
        (&["validate"], "<FILE>"),
        (&["validate", "none.yml"], "none.yml"),
        (&["data", "put", "none", "x"], "cannot read"),
        (&["data", "put", ".", "../x"], "is no name"),
        (&["store", "serve", "--listen", "nowhere"], "nowhere"),
        (&["list", "--home", ""], "--home"),
    ] {
        let output = run(dir.path(), args);
        let shown: Vec<String> = args.iter().map(|a| a.chars().take(40).collect()).collect();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{shown:?}: {text}");
        assert!(text.contains(says), "{shown:?} does not say {says:?}: {text}");
        assert!(
            !text.contains("panicked") && !text.contains("hunter2"),
            "{shown:?}: {text}"
        );
        assert!(output.stdout.is_empty(), "{shown:?} wrote to standard output");
    }
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "something was made"
    );
}

#[test]
fn a_run_is_named_by_what_a_run_id_is_made_of() {
    let dir = tempfile::tempdir().unwrap();
    // `data put` makes a store.
    std::fs::write(dir.path().join("a"), "1").unwrap();
    assert!(run(dir.path(), &["data", "put", "a", "a"]).status.success());
    let long = "x".repeat(10_240);
    for named in [
        "../../x",
        "",
        &long,
        "🦋",
        "iris-abcdefgh",
        "last",
        "a/b",
        "A",
        "a\nb",
    ] {
        for verb in ["status", "receipt", "results", "logs", "cancel"] {
            let output = run(dir.path(), &[verb, "--", named]);
            assert_eq!(
                output.status.code(),
                Some(2),
                "{verb} {named:.40?}: {}",
                stderr(&output)
            );
            assert!(
                stderr(&output).contains("no run") || stderr(&output).contains("is no run"),
                "{}",
                stderr(&output)
            );
        }
    }
}

#[test]
fn a_name_that_is_nearly_right_is_offered() {
    let repo = Repo::new();
    repo.write("configs/jobs/iris.yml", "iris:\n  code: {entry: main.py}\n");
    let output = run(repo.path(), &["launch", "irsi"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("did you mean \"iris\"?"),
        "{}",
        stderr(&output)
    );
    assert!(!repo.path().join(".mayfly").exists());
}

#[test]
fn a_missing_entry_costs_nothing() {
    let repo = Repo::new();
    repo.write("jobs.yml", "iris:\n  code: {entry: mian.py}\n");
    git(repo.path(), &["add", "-A"]);
    git(repo.path(), &["commit", "-q", "-m", "job"]);
    let output = run(repo.path(), &["launch", "iris"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("did you mean \"main.py\""),
        "{}",
        stderr(&output)
    );
    assert!(!repo.path().join(".mayfly").exists());
}
