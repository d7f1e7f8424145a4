//! Verbs that need no coordinator, and odd surroundings.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::Stdio;

use crate::refusals::{coordinator, run, stderr};

fn stdout(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(dir: &Path, args: &[&str]) -> serde_json::Value {
    let output = run(dir, args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn data_goes_in_and_comes_out_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(path("in/sub")).unwrap();
    std::fs::write(path("in/a.csv"), "1,2\n").unwrap();
    std::fs::write(path("in/sub/b.csv"), vec![7; 20 << 20]).unwrap();
    let put = json(dir.path(), &["data", "put", "in", "flights/", "--json"]);
    assert_eq!(
        (&put["files"], &put["url"]),
        (&2.into(), &"s3://mayfly/data/flights/".into())
    );
    let listed = json(dir.path(), &["data", "ls", "flights/", "--json"]);
    assert_eq!(listed["files"][0]["name"], "flights/a.csv");
    assert_eq!(listed["files"][1]["size"], 20 << 20);
    assert!(
        run(dir.path(), &["data", "get", "flights/", "out"])
            .status
            .success()
    );
    assert_eq!(std::fs::read(path("out/sub/b.csv")).unwrap(), vec![7; 20 << 20]);
    assert!(
        run(dir.path(), &["data", "get", "flights/a.csv", "one.csv"])
            .status
            .success()
    );
    assert_eq!(std::fs::read_to_string(path("one.csv")).unwrap(), "1,2\n");
    let again = run(dir.path(), &["data", "get", "flights/a.csv", "one.csv"]);
    assert_eq!(again.status.code(), Some(2), "a file was overwritten");
    assert_eq!(
        run(dir.path(), &["data", "get", "none", "x"]).status.code(),
        Some(2)
    );
}

#[test]
fn nothing_is_listed_and_nothing_is_made_where_nothing_is() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        json(dir.path(), &["list", "--json"]),
        serde_json::json!({ "schema": 1, "runs": [] })
    );
    assert_eq!(
        json(dir.path(), &["gc", "--json"])["leftovers"],
        serde_json::json!([])
    );
    assert!(stdout(&run(dir.path(), &["gc"])).contains("nothing is left"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn files_are_validated_without_running_them() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("good.yml"), "iris:\n  code: {entry: main.py}\n").unwrap();
    std::fs::write(
        dir.path().join("bad.yml"),
        "iris:\n  code: {entry: main.py}\n  worker: {count: 2}\n",
    )
    .unwrap();
    let good = run(dir.path(), &["validate", "good.yml"]);
    assert!(
        good.status.success() && stdout(&good).contains("iris is right"),
        "{}",
        stdout(&good)
    );
    let bad = run(dir.path(), &["validate", "good.yml", "bad.yml"]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(
        stderr(&bad).contains("bad.yml:3") && stderr(&bad).contains("workers"),
        "{}",
        stderr(&bad)
    );
    let report = run(dir.path(), &["validate", "bad.yml", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(report["files"][0]["errors"][0]["line"], 3);
}

#[test]
fn help_shows_examples_for_every_verb() {
    let dir = tempfile::tempdir().unwrap();
    let help = run(dir.path(), &["--help"]);
    assert!(help.status.success() && stdout(&help).contains("Exit codes"));
    let text = stdout(&help);
    let verbs = text.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs: Vec<&str> = verbs
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|verb| !verb.is_empty() && *verb != "help")
        .collect();
    assert!(verbs.len() > 20, "{verbs:?}");
    for verb in verbs {
        let help = stdout(&run(dir.path(), &[verb, "--help"]));
        let example = format!("\n  coordinator {verb}");
        assert!(
            help.contains("\nExample") && help.contains(&example),
            "{verb}: {help}"
        );
    }
}

#[test]
fn a_shell_completes_verbs_and_flags() {
    let dir = tempfile::tempdir().unwrap();
    let completions = run(dir.path(), &["completions", "bash"]);
    assert!(completions.status.success());
    std::fs::write(dir.path().join("completions"), &completions.stdout).unwrap();
    for (words, wanted) in [("rece", "receipt"), ("receipt --comp", "--compare")] {
        let last = words.split(' ').next_back().unwrap();
        let before = words.split(' ').rev().nth(1).unwrap_or("coordinator");
        let script = format!(
            "source ./completions; COMP_WORDS=(coordinator {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _coordinator coordinator '{last}' '{before}'; echo \"${{COMPREPLY[@]}}\""
        );
        let bash = std::process::Command::new("bash")
            .args(["--norc", "-c", &script])
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert_eq!(stdout(&bash).trim(), wanted, "{words}: {}", stderr(&bash));
    }
    for shell in ["zsh", "fish"] {
        let text = stdout(&run(dir.path(), &["completions", shell]));
        assert!(text.contains("receipt") && text.contains("compare"), "{shell}");
    }
    assert_eq!(run(dir.path(), &["completions", "tcsh"]).status.code(), Some(2));
}

#[test]
fn every_verb_has_a_manual_page_with_its_examples() {
    let dir = tempfile::tempdir().unwrap();
    assert!(run(dir.path(), &["man", "pages"]).status.success());
    for verb in ["", "-launch", "-receipt", "-gc", "-store-serve"] {
        let page = std::fs::read_to_string(dir.path().join(format!("pages/coordinator{verb}.1"))).unwrap();
        assert!(page.contains(".TH"), "{verb}: {page}");
        assert!(
            verb.contains("serve") || page.contains("Example"),
            "{verb}: {page}"
        );
    }
    std::fs::write(dir.path().join("file"), "").unwrap();
    let nowhere = run(dir.path(), &["man", "file"]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(
        stderr(&nowhere).contains("cannot write the pages to file"),
        "{}",
        stderr(&nowhere)
    );
}

#[test]
fn a_definition_of_an_engine_is_shown_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let shown = json(dir.path(), &["engine", "show", "dask", "--json"]);
    assert_eq!(
        (&shown["name"], &shown["file"]),
        (&"dask".into(), &serde_json::Value::Null)
    );
    let printed = run(dir.path(), &["engine", "show", "dask"]);
    let text = shown["text"].as_str().unwrap();
    assert_eq!(text.trim_end(), stdout(&printed).trim_end());
}

#[test]
fn odd_surroundings_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    for (key, value) in [
        ("TERM", "dumb"),
        ("LC_ALL", "C"),
        ("TZ", "Nowhere/Else"),
        ("HOME", "/nonexistent"),
        // Nobody may write there, not even root.
        ("HOME", "/proc"),
        ("https_proxy", "garbage"),
        ("COLUMNS", "-1"),
        ("NO_COLOR", "1"),
    ] {
        let output = coordinator(dir.path())
            .env(key, value)
            .arg("list")
            .output()
            .unwrap();
        assert!(output.status.success(), "{key}={value}: {}", stderr(&output));
    }
    let output = coordinator(dir.path())
        .env("MAYFLY_LOG", "=,=")
        .arg("list")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    // Standard input closed rather than empty.
    let closed = "exec 0<&-; exec \"$0\" list";
    let program = env!("CARGO_BIN_EXE_coordinator");
    let output = std::process::Command::new("sh")
        .args(["-c", closed, program])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_proxy_that_is_none_is_not_asked_about_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.csv"), "1,2\n").unwrap();
    for proxy in ["http://127.0.0.1:1", "garbage", "://", ""] {
        let mut command = coordinator(dir.path());
        for name in [
            "http_proxy",
            "https_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env(name, proxy);
        }
        let output = command.args(["data", "put", "a.csv", "a.csv"]).output().unwrap();
        assert!(output.status.success(), "{proxy:?}: {}", stderr(&output));
    }
}

#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..3_000)
        .map(|i| format!("job-{i}:\n  code: {{entry: main.py}}\n"))
        .take(90)
        .collect();
    std::fs::write(dir.path().join("many.yml"), text).unwrap();
    let files = vec!["many.yml"; 40];
    let mut command = coordinator(dir.path());
    command
        .arg("validate")
        .args(files)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    let status = child.wait().unwrap();
    assert!(
        first.contains("is right") && told.is_empty() && status.code() == Some(0),
        "{status}: {told}"
    );
}

#[test]
fn the_store_alone_says_how_to_reach_it_and_ends_on_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = coordinator(dir.path());
    let mut child = command
        .args(["store", "serve"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(5);
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(
        lines[0].starts_with("export AWS_ENDPOINT_URL=http://127.0.0.1:"),
        "{lines:?}"
    );
    assert!(lines[2].starts_with("export AWS_SECRET_ACCESS_KEY="), "{lines:?}");
    let pid = child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Verdicts of `doctor` by name, and its exit code.
fn doctor(dir: &Path, args: &[&str]) -> (std::collections::HashMap<String, String>, Option<i32>) {
    let output = run(dir, &[&["doctor", "--json"], args].concat());
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |check: &serde_json::Value, key: &str| check[key].as_str().unwrap().to_owned();
    let all = said["checks"].as_array().unwrap().iter();
    let verdicts = all.map(|check| (text(check, "name"), text(check, "verdict")));
    (verdicts.collect(), output.status.code())
}

#[test]
fn the_doctor_names_what_it_looked_at_and_what_stands_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let job = "gone:\n  code: {repo: ./nowhere, entry: main.py}\n  workers: {count: 10000, memory: 512GiB}\n";
    std::fs::write(dir.path().join("jobs.yml"), job).unwrap();
    let (verdicts, code) = doctor(dir.path(), &["jobs.yml"]);
    assert_eq!(code, Some(2), "{verdicts:?}");
    for (name, verdict) in [
        ("git", "ok"),
        ("code", "problem"),
        ("consul", "not-checked"),
        ("coordinator", "not-checked"),
        ("memory", "problem"),
        ("addresses", "ok"),
        ("store", "ok"),
    ] {
        assert_eq!(
            verdicts.get(name).map(String::as_str),
            Some(verdict),
            "{name}: {verdicts:?}"
        );
    }
    for nobody in [
        ["--consul", "http://127.0.0.1:1"],
        ["--coordinator", "http://127.0.0.1:1"],
    ] {
        let (verdicts, code) = doctor(dir.path(), &nobody);
        let name = nobody[0].trim_start_matches('-');
        assert_eq!(verdicts[name], "problem", "{verdicts:?}");
        assert_eq!(code, Some(2));
    }
}
