//! Numbers and units, and what keys say of each other.

use mayfly_configs::parse;

use crate::rig::{code, env, job, refused};

#[test]
fn numbers_and_units() {
    for value in [
        "0",
        "-1",
        "1e9",
        "1.5",
        "0x10",
        "012",
        "1_000",
        "10001",
        "\"3\"",
        "three",
        "99999999999999999999",
    ] {
        refused(
            "9 count",
            &job(&format!("workers: {{count: {value}}}")),
            3,
            &["`workers.count` is"],
        );
    }
    refused(
        "9 help",
        &job("workers: {count: 0}"),
        3,
        &["it must be 1 to 10000"],
    );
    for value in [
        "10",
        "-5m",
        "1e400s",
        "5 parsecs",
        "999999999h",
        "0s",
        "8d",
        "2024-01-01",
        "never",
        "1h30",
    ] {
        refused(
            "19 deadline",
            &job(&format!("limits: {{deadline: {value}}}")),
            3,
            &["`limits.deadline` is"],
        );
    }
    refused(
        "19 help",
        &job("limits: {deadline: 10}"),
        3,
        &["no unit", "1h30m"],
    );
    for value in ["10", "4s", "8d", "never", "off"] {
        refused(
            "19 stall",
            &job(&format!("limits: {{stall: {value}}}")),
            3,
            &["`limits.stall` is", ", or `none`"],
        );
    }
    for value in ["0", "1", "1GiBB", "1.5GiB", "-1GiB", "100MiB", "25TiB", "lots"] {
        refused(
            "memory",
            &job(&format!("master: {{memory: {value}}}")),
            3,
            &["`master.memory` is"],
        );
    }
    for value in ["0", "1025", "1.5"] {
        refused(
            "cores",
            &job(&format!("master: {{cores: {value}}}")),
            3,
            &["`master.cores` is"],
        );
    }
    for value in ["5", "$0", "$-1", "free", "$1e9", "$99999999", "€5"] {
        refused(
            "cost",
            &job(&format!("limits: {{cost: {value}}}")),
            3,
            &["`limits.cost` is"],
        );
    }
    for value in ["6", "-1", "no"] {
        refused(
            "retries",
            &job(&format!("limits: {{retries: {value}}}")),
            3,
            &["`limits.retries` is"],
        );
    }
    for value in [
        "hold",
        "hold 25h",
        "hold 5",
        "hold forever",
        "keep",
        "release 5m",
        "hold 0s",
    ] {
        refused(
            "on_failure",
            &job(&format!("on_failure: {value}")),
            3,
            &["`on_failure` is"],
        );
    }
}

#[test]
fn rules_between_keys() {
    refused(
        "29 form over deadline",
        &job("limits: {form: 5m, deadline: 5m}"),
        3,
        &["`limits.form` is 5m"],
    );
    refused(
        "29 over the cap",
        &job("limits: {deadline: 7d1s}"),
        3,
        &["it must be 1m to 7d"],
    );
    refused(
        "30 min over count",
        &job("workers: {min: 5, count: 4}"),
        3,
        &["`workers.min` is 5, more than"],
    );
    refused(
        "30 min 0",
        &job("workers: {min: 0}"),
        3,
        &["`workers.min` is `0`"],
    );
    refused(
        "class for .py",
        &code("class", "a.B"),
        4,
        &["`code.class` is given"],
    );
    refused(
        "jar without class",
        "a:\n  code:\n    entry: a.jar\n",
        3,
        &["`code.class` is missing"],
    );
    let jar = "a:\n  code:\n    entry: a.jar\n    class: A\n    requirements: r.txt\n";
    refused("requirements for a jar", jar, 5, &["not a Python program"]);
    let jar = jar.replace("requirements: r.txt", "python: 3.12");
    refused(
        "python for a jar",
        &jar,
        5,
        &["`code.python` is given", "not a Python program"],
    );
    let shared = format!("defaults:\n  workers: {{min: 3}}\n{}", job("workers: {count: 2}"));
    refused("30 min of the defaults", &shared, 2, &["`workers.min` is 3"]);
}

#[test]
fn the_python_of_a_job() {
    for value in [
        "3",
        "2.7",
        "3.12.1",
        "3.012",
        "python",
        "bin/python3",
        "~/bin/python3",
        "[3.12]",
        "py 3.12",
    ] {
        refused("python", &code("python", value), 4, &["`code.python` is"]);
    }
    let one_of = "Spark 4.0.5 runs with Python 3.10 to 3.13";
    refused(
        "python too old",
        &code("python", "3.9"),
        4,
        &["`code.python` is 3.9", one_of],
    );
    refused("python too new", &code("python", "python3.14"), 4, &[one_of]);
    let older = |python: &str| format!("{}  spark: {{version: 3.5.9}}\n", code("python", python));
    let one_of = "Spark 3.5.9 runs with Python 3.9 to 3.11";
    refused("python of another Spark", &older("3.12"), 4, &[one_of]);
    for (text, python) in [
        (code("python", "3.10"), "3.10"),
        (code("python", "\"3.13\""), "3.13"),
        (
            code("python", "/opt/python3.14/bin/python3"),
            "/opt/python3.14/bin/python3",
        ),
        (older("python3.9"), "python3.9"),
    ] {
        let file = parse("jobs.yml", &text, &env).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(file.jobs[0].code.python.as_ref().unwrap().as_str(), python);
    }
}

#[test]
fn the_masters_role() {
    refused(
        "no role",
        &job("master: {role: aut}"),
        3,
        &["`master.role` is `aut`", "did you mean `auto`?"],
    );
    for (key, value) in [("cores", "2"), ("memory", "2GiB"), ("instance", "m7g.xlarge")] {
        let text = job(&format!("master: {{role: auto, {key}: {value}}}"));
        let names = format!("`master.{key}` is not what `workers.{key}` is");
        refused("a master of another size", &text, 3, &[&names, "remove it"]);
    }
    let shared = format!(
        "defaults:\n  master: {{cores: 3}}\n{}",
        job("master: {role: auto}")
    );
    refused("the size of the defaults", &shared, 2, &["`master.cores`"]);
}

/// YAML's own kinds of values are none here: a date is the text that it was written as.
#[test]
fn dates_are_text_and_no_values_of_their_own() {
    for value in [
        "2024-01-01",
        "2024-01-01T00:00:00Z",
        "2024-01-01 00:00:00.1 +01:00",
    ] {
        for (key, names) in [
            ("limits: {deadline: DATE}", "`limits.deadline` is"),
            ("limits: {form: DATE}", "`limits.form` is"),
            ("workers: {count: DATE}", "`workers.count` is"),
            ("master: {memory: DATE}", "`master.memory` is"),
            ("engine: DATE", "not an engine"),
            ("results: DATE", "`results`"),
        ] {
            let text = job(&key.replace("DATE", &format!("\"{value}\"")));
            refused("18 in quotes", &text, 3, &[names]);
            let text = job(&key.replace("DATE", value));
            refused("18", &text, 3, &[names]);
        }
        let text = job(&format!("env:\n  DAY: {value}"));
        let file = parse("jobs.yml", &text, &env).unwrap();
        assert_eq!(file.jobs[0].env.values["DAY"], value);
    }
}
