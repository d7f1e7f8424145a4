//! Jobs and their keys.

use crate::rig::{job, refused};

#[test]
fn jobs_and_keys() {
    let long_name = format!("{}: {{code: {{entry: a.py}}}}", "x".repeat(10_000));
    let cases: &[(&str, String, usize, &[&str])] = &[
        (
            "7 unknown key",
            job("worker: 3"),
            3,
            &["unknown key `worker`", "did you mean `workers`?"],
        ),
        (
            "7 misplaced key",
            job("count: 3"),
            3,
            &["`count` belongs under `workers`"],
        ),
        (
            "7 hopeless key",
            job("zzzzzz: 3"),
            3,
            &["unknown key `zzzzzz`", "known here"],
        ),
        (
            "7 in a block",
            job("limits: {dedline: 1h}"),
            3,
            &["did you mean `deadline`?"],
        ),
        (
            "7 in defaults",
            format!("defaults:\n  workrs: 1\n{}", job("")),
            2,
            &["did you mean `workers`?"],
        ),
        (
            "8 text for a block",
            job("workers: \"three\""),
            3,
            &["`workers` is `three`", "block of `key: value`"],
        ),
        (
            "8 number for a block",
            job("workers: 3"),
            3,
            &["`workers` is `3`"],
        ),
        (
            "8 list for a value",
            job("engine: [spark]"),
            3,
            &["`engine` is a list", "a single value"],
        ),
        (
            "8 block for a list",
            "a:\n  code: {entry: a.py, args: {x: 1}}".to_owned(),
            2,
            &["`code.args`", "a list"],
        ),
        ("8 nothing", job("workers:"), 3, &["`workers` has no value"]),
        ("8 null", job("engine: null"), 3, &["`engine` has no value"]),
        (
            "8 job is a word",
            "a: x\n".to_owned(),
            1,
            &["`a` holds a single value"],
        ),
        (
            "8 job without a name",
            "code: {entry: a.py}\n".to_owned(),
            1,
            &["is a key of a job, not a job"],
        ),
        (
            "no entry",
            "a:\n  engine: spark\n".to_owned(),
            1,
            &["no `code.entry`"],
        ),
        (
            "workers of an engine that is one machine",
            job("engine: single\nworkers: {count: 2}"),
            4,
            &["`workers.count` is 2", "one machine", "remove it"],
        ),
        (
            "engine mistyped",
            job("engine: sparc"),
            3,
            &["not an engine", "did you mean `spark`?", "engines/NAME.yml"],
        ),
        (
            "an entry that the engine cannot run",
            "a:\n  engine: mpi\n  code: {entry: a.sh}\n".to_owned(),
            3,
            &["`code.entry` is `a.sh`", "must end in .py"],
        ),
        (
            "a command for an engine that runs none",
            "a:\n  code: {command: [ls]}\n".to_owned(),
            2,
            &["`code.command` is given", "runs no command lines"],
        ),
        (
            "a command beside an entry",
            "a:\n  engine: single\n  code: {command: [ls], entry: a.py}\n".to_owned(),
            3,
            &["`code.entry` is given beside `code.command`"],
        ),
        (
            "steps of one name",
            "a:\n  code: {steps: [{entry: a.py}, {entry: b/a.py}]}\n".to_owned(),
            2,
            &["two steps `a`", "another `name`"],
        ),
        (
            "a step without a program",
            "a:\n  code: {steps: [{name: x}]}\n".to_owned(),
            2,
            &["a step without one of `entry` and `command`"],
        ),
        (
            "a secret in the file",
            job("secrets: {TOKEN: hunter22}"),
            3,
            &["without where it comes from", "{env: NAME}"],
        ),
        (
            "a secret from two places",
            job("secrets: {TOKEN: {env: A, file: b}}"),
            3,
            &["`TOKEN` with 2 places"],
        ),
        (
            "an input from nowhere",
            job("inputs: [{from: flights, to: x}]"),
            3,
            &["`from` is `flights`", "s3://bucket/prefix"],
        ),
        (
            "inputs inside each other",
            job("inputs: [{from: data/a, to: x}, {from: data/b, to: x/y}]"),
            3,
            &["twice, or one inside another"],
        ),
        (
            "32 capital in a name",
            "Flights: {code: {entry: a.py}}".to_owned(),
            1,
            &["holds `F`"],
        ),
        (
            "32 confusable in a name",
            "fl\u{456}ghts: {code: {entry: a.py}}".to_owned(),
            1,
            &["U+0456"],
        ),
        (
            "32 hyphen at the end",
            "a-: {code: {entry: a.py}}".to_owned(),
            1,
            &["ends with a hyphen"],
        ),
        (
            "32 digit first",
            "1a: {code: {entry: a.py}}".to_owned(),
            1,
            &["does not begin with a letter"],
        ),
        (
            "32 path as a name",
            "\"../../x\": {code: {entry: a.py}}".to_owned(),
            1,
            &["holds `.`"],
        ),
        (
            "32 escaped override",
            "\"a\\u202eb\": {code: {entry: a.py}}".to_owned(),
            1,
            &["(U+202E)"],
        ),
        ("37 name of 10 KB", long_name, 1, &["not valid YAML"]),
        (
            "37 name of 1 KB",
            format!("{}: {{code: {{entry: a.py}}}}", "x".repeat(1_000)),
            1,
            &["1000 characters long"],
        ),
    ];
    for (name, text, line, words) in cases {
        refused(name, text, *line, words);
    }
}
