//! Files that could take all memory, or for ever: refused within what the system gives a process, by every verb that reads
//! such a file.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::refusals::stderr;

/// All memory that the process may write to, in KiB: 64 MiB.
const MEMORY_KIB: u32 = 64 << 10;
/// Seconds of a processor. A refusal takes less than one; the programs of tests are not optimized.
const PROCESSOR_SECS: u32 = 5;
const LARGE_BYTES: u64 = 200 << 20;

/// Runs the program in a folder with no more than that.
fn run(dir: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    let limited = format!("ulimit -d {MEMORY_KIB}; ulimit -t {PROCESSOR_SECS}; exec \"$0\" \"$@\"");
    Command::new("sh")
        .args(["-c", &limited, env!("CARGO_BIN_EXE_coordinator")])
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Name, text, and what is said of it.
fn bombs() -> Vec<(&'static str, String, &'static str)> {
    let laughs = (1..30).map(|n| format!("a{n}: &a{n} [{}]\n", format!("*a{},", n - 1).repeat(10)));
    let steps = (0..1_300).map(|n| format!("{}a:\n", " ".repeat(n)));
    let keys = (0..80_000).map(|n| format!("k{n}: 1\n"));
    vec![
        (
            "laughs.yml",
            format!("a0: &a0 [x]\n{}", laughs.collect::<String>()),
            "anchors and aliases",
        ),
        ("itself.yml", "a: &a {b: *a}\n".to_owned(), "anchors and aliases"),
        ("lists.yml", "[".repeat(10_000), "levels of nesting"),
        (
            "closed.yml",
            format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000)),
            "levels of nesting",
        ),
        ("maps.yml", "{a: ".repeat(10_000), "levels of nesting"),
        ("blocks.yml", steps.collect(), "levels of nesting"),
        ("dashes.yml", "- ".repeat(10_000), "levels of nesting"),
        (
            "values.yml",
            format!("a: [{}]", "x,".repeat(500_000)),
            "20000 values",
        ),
        ("keys.yml", keys.collect(), "20000 values"),
        ("documents.yml", "---\n".repeat(200_000), "second YAML document"),
        (
            "long.yml",
            format!("\"{}\": 1", "x".repeat(1_000_000)),
            "not valid YAML",
        ),
    ]
}

#[test]
fn what_grows_when_it_is_read_is_refused_in_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text, says) in bombs() {
        fs::write(dir.path().join(name), text).unwrap();
        for verb in [&["validate"][..], &["launch"], &["config", "diff"]] {
            let output = run(dir.path(), &[verb, &[name]].concat(), &[]);
            let said = stderr(&output);
            let what = format!("{verb:?} {name}");
            assert_eq!(output.status.code(), Some(2), "{what}: {said:.300}");
            assert!(said.contains(name) && said.contains(says), "{what}: {said:.300}");
            assert!(said.len() < 12_000, "{what}: {} bytes of errors", said.len());
        }
    }
    assert!(!dir.path().join(".mayfly").exists(), "something was made");
}

/// Whatever it is read for.
#[test]
fn a_file_of_200_mb_is_not_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("engines")).unwrap();
    fs::create_dir(dir.path().join("jobs")).unwrap();
    for name in ["large.yml", "jobs/large.yml", "engines/mine.yml"] {
        // A hole, so that the disk does not notice.
        let file = fs::File::create(dir.path().join(name)).unwrap();
        file.set_len(LARGE_BYTES).unwrap();
    }
    fs::write(dir.path().join("small.yml"), "a: {code: {entry: a.py}}\n").unwrap();
    let own = [("MAYFLY_CLIENT_CONFIG", "large.yml")];
    for (args, environment, names) in [
        (&["validate", "jobs/large.yml"][..], &[][..], "jobs/large.yml"),
        (&["launch", "jobs/large.yml"], &[], "jobs/large.yml"),
        (&["validate", "small.yml"], &[], "engines/mine.yml"),
        (&["serve", "--config", "large.yml"], &[], "large.yml"),
        (&["cancel", "last"], &own, "large.yml"),
    ] {
        let output = run(dir.path(), args, environment);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said:.300}");
        let told = said.contains("larger than 1 MiB") && said.contains(names);
        assert!(told, "{args:?}: {said:.300}");
    }
    assert!(!dir.path().join(".mayfly").exists(), "something was made");
}
