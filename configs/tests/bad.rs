//! What is refused: every kind of bad input has its case, with the line and the words of its error.

use std::fmt::Write as _;

use mayfly_configs::{AdHoc, Errors, MAX_ERRORS, ad_hoc, load, parse, parse_job};
use proptest::prelude::*;

const FULL: &str = include_str!("data/full.yml");

fn env(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("hunter2".to_owned()),
        "LOOP" => Some("${LOOP}".to_owned()),
        _ => None,
    }
}

fn errors(text: &str) -> Errors {
    parse("jobs.yml", text, &env)
        .err()
        .unwrap_or_else(|| panic!("accepted: {text:?}"))
}

/// A right job with more keys, each on a line of its own from line 3 on.
fn job(more: &str) -> String {
    let mut text = "a:\n  code: {entry: a.py}\n".to_owned();
    for line in more.lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn code(key: &str, value: &str) -> String {
    format!("a:\n  code:\n    entry: a.py\n    {key}: {value}\n")
}

/// Checks that the first error is at this line and says these words.
fn refused(name: &str, text: &str, line: usize, words: &[&str]) {
    let errors = errors(text);
    let first = errors
        .list()
        .first()
        .unwrap_or_else(|| panic!("{name}: no error listed"));
    let shown = errors.to_string();
    assert_eq!(first.line, (line > 0).then_some(line), "{name}: {shown}");
    for word in words {
        assert!(shown.contains(word), "{name}: no {word:?} in:\n{shown}");
    }
    assert!(shown.len() < 12_000, "{name}: {} bytes of errors", shown.len());
    assert!(
        !shown.chars().any(|c| c.is_control() && c != '\n'),
        "{name}: control characters in {shown:?}"
    );
}

#[test]
fn yaml_itself() {
    let cases: &[(&str, &str, usize, &[&str])] = &[
        (
            "1 empty file",
            "",
            0,
            &["the file is empty", "write a block per job"],
        ),
        ("2 only comments", "# a\n# b\n", 0, &["the file is empty"]),
        ("2 only a document start", "---\n", 0, &["the file is empty"]),
        (
            "5 tab for indent",
            "a:\n\tcode: {entry: a.py}\n",
            2,
            &["tab", "indent with spaces"],
        ),
        (
            "6 duplicate key",
            "a:\n  env: {}\n  env: {}\n  code: {entry: a.py}\n",
            3,
            &["`env` is there twice"],
        ),
        (
            "6 duplicate job",
            "a: {code: {entry: a.py}}\na: {code: {entry: a.py}}\n",
            2,
            &["`a` is there twice"],
        ),
        (
            "11 anchor",
            "a: &x {code: {entry: a.py}}\n",
            1,
            &["anchors and aliases", "`defaults`"],
        ),
        (
            "12 recursive alias",
            "a: &x\n  b: *x\n",
            1,
            &["anchors and aliases"],
        ),
        ("12 unknown alias", "a:\n  env: *x\n", 2, &["anchors and aliases"]),
        ("11 merge key", "a:\n  <<: {engine: spark}\n", 2, &["merge keys"]),
        (
            "15 second document",
            "a: {code: {entry: a.py}}\n---\nb: {}\n",
            2,
            &["second YAML document"],
        ),
        (
            "16 custom tag",
            "a:\n  engine: !!python/object x\n",
            2,
            &["the tag `!!python/object` is not allowed"],
        ),
        ("16 core tag", "a:\n  engine: !!str spark\n", 2, &["tag"]),
        ("16 directive", "%YAML 1.2\n---\na: {}\n", 1, &["directives"]),
        ("not closed", "a: {code: [x\n", 1, &["not valid YAML"]),
        ("key is a list", "[a, b]: 1\n", 1, &["a key must be a plain word"]),
        (
            "a list of jobs",
            "- a\n- b\n",
            1,
            &["the file holds a list, not jobs"],
        ),
        ("one word", "hello\n", 1, &["the file holds a single value"]),
        ("only defaults", "defaults: {engine: spark}\n", 1, &["0 jobs"]),
        ("32 NUL", "a:\n  engine: sp\0ark\n", 2, &["(U+0000)"]),
        (
            "32 right-to-left override",
            "a:\n  engine: \u{202e}krapS\n",
            2,
            &["(U+202E)"],
        ),
        ("32 zero width space", "a\u{200b}b: {}\n", 1, &["(U+200B)"]),
        ("32 escape sequence", "a: \u{1b}[31m\n", 1, &["(U+001B)"]),
    ];
    for (name, text, line, words) in cases {
        refused(name, text, *line, words);
    }
}

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
            "engine to come",
            job("engine: single"),
            3,
            &["reserved for a later version", "only `spark`"],
        ),
        (
            "engine mistyped",
            job("engine: sparc"),
            3,
            &["not an engine", "did you mean `spark`?"],
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
    let shared = format!("defaults:\n  workers: {{min: 3}}\n{}", job("workers: {count: 2}"));
    refused("30 min of the defaults", &shared, 2, &["`workers.min` is 3"]);
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

#[test]
fn places_and_names() {
    let long = format!("[{}]", "m7g.large, ".repeat(21));
    for value in [
        "m7g",
        "M7G.large",
        "\"m7g.large\\n\"",
        "x.",
        ".x",
        "7g.large",
        "\"\"",
        "[]",
        &long,
        "[m7g.large, x y]",
    ] {
        refused(
            "21 instance",
            &job(&format!("workers: {{instance: {value}}}")),
            3,
            &["`workers.instance`"],
        );
    }
    refused(
        "21 10 KB",
        &job(&format!("workers:\n  instance: {}", "x".repeat(10_240))),
        4,
        &["xxx…"],
    );
    let bucket = format!("s3://{}", "a".repeat(64));
    for value in [
        "s3:/b",
        "s3://",
        "S3://B",
        "s3://Bucket",
        "s3://my.bucket",
        "s3://my_bucket",
        "s3://10.0.0.1/x",
        &bucket,
        "s3://xn--bucket",
        "s3://ab",
        "s3://abc/../x",
        "\"s3://abc/a\\nb\"",
        "/tmp/x",
    ] {
        refused(
            "24 results",
            &job(&format!("results: {value}")),
            3,
            &["`results`"],
        );
    }
    for value in [
        "-x",
        "--upload-pack=touch",
        "HEAD~1",
        "refs/heads/../../x",
        "\"a b\"",
        "\"a\\nb\"",
        "a:b",
        "\"\"",
        "HEAD^",
        "\"a\\u202eb\"",
        "main@{1}",
    ] {
        refused("89 ref", &code("ref", value), 4, &["`code.ref`"]);
    }
    for value in [
        "\"ext::sh -c touch% /tmp/x\"",
        "file:///etc",
        "ssh://-oProxyCommand=x/y",
        "git@host:-x",
        "https://user:pw@host/x",
        "https://token@host/x",
        "\"https://host/a\\nb\"",
        "\"https://host/a b\"",
        "https://host/a%0ab",
        "https://g\u{456}thub.com/a",
        "https://host:99999/a",
        "https://host:0/a",
        "https://host",
        "http://host/x",
        "https://169.254.169.254/x",
        "https://[fd00:ec2::254]/x",
        "https://host/../x",
        "https://0x7f.1/x",
        "git://host/x",
        "https://host/-x",
        "somefolder",
        "~/x",
        "\"\"",
        "git@-x:y",
        "ssh://a:b@host/x",
        "https://host/%2e%2e/x",
        "-x",
        "https://host/x?y",
        "ssh://git@host:22:22/x",
    ] {
        refused("90 repo", &code("repo", value), 4, &["`code.repo`"]);
    }
    for value in [
        "../x.py",
        "/etc/x.py",
        "-x.py",
        "\"a\\0.py\"",
        "a.sh",
        "a/../../b.py",
        "\"\"",
    ] {
        refused(
            "91 entry",
            &format!("a:\n  code:\n    entry: {value}\n"),
            3,
            &["`code.entry`"],
        );
    }
    for key in ["path", "requirements"] {
        refused("91 path", &code(key, "../x"), 4, &["leaves its folder"]);
    }
    refused(
        "class",
        "a:\n  code:\n    entry: a.jar\n    class: \"a.B; rm\"\n",
        4,
        &["not the name of a class"],
    );
}

#[test]
fn maps() {
    let many: String = (0..41).map(|n| format!("k{n}: v, ")).collect();
    refused(
        "31 tags",
        &job(&format!("tags: {{{many}}}")),
        3,
        &["41 entries", "at most 40"],
    );
    refused(
        "31 aws: key",
        &job("tags:\n  aws:x: y"),
        4,
        &["`aws:` is reserved"],
    );
    refused(
        "31 Mayfly: key",
        &job("tags:\n  \"Mayfly:x\": y"),
        4,
        &["`mayfly:` is reserved"],
    );
    refused(
        "31 long value",
        &job(&format!("tags:\n  k: {}", "v".repeat(257))),
        4,
        &["257 characters long"],
    );
    refused(
        "31 strange value",
        &job("tags:\n  k: \"a\\nb\""),
        4,
        &["(U+000A)"],
    );
    for key in [
        "spark.authenticate",
        "spark.authenticate.secret",
        "spark.master",
        "spark.master.rest.enabled",
        "spark.submit.deployMode",
        "spark.ui.killEnabled",
        "spark.network.crypto.enabled",
        "spark.driver.host",
        "spark.driver.bindAddress",
        "spark.eventLog.enabled",
        "spark.local.ip",
        "spark.io.encryption.enabled",
    ] {
        let text = job(&format!("spark:\n  conf:\n    {key}: x"));
        refused(
            "26 safety key",
            &text,
            5,
            &[&format!("must not set `{key}`"), "Mayfly"],
        );
    }
    for option in [
        "-javaagent:/x.jar",
        "-agentlib:jdwp=transport=dt_socket",
        "-agentpath:/x.so",
    ] {
        let text = job(&format!(
            "spark:\n  conf:\n    spark.driver.extraJavaOptions: {option}"
        ));
        refused("26 agent", &text, 5, &["must not put"]);
    }
    refused(
        "26 not of Spark",
        &job("spark: {conf: {hadoop.x: 1}}"),
        3,
        &["not one of Spark"],
    );
    refused(
        "spark version",
        &job("spark: {version: 3.5.1}"),
        3,
        &["not a release of Spark 4"],
    );
    refused(
        "28 unset",
        &job("env: {A: \"${NOT_SET}\"}"),
        3,
        &["`env.A` refers to `NOT_SET`, which is not set"],
    );
    refused(
        "28 recursive",
        &job("env: {A: \"${LOOP}\"}"),
        3,
        &["refers to a variable again"],
    );
    refused(
        "28 not closed",
        &job("env: {A: \"${TOKEN\"}"),
        3,
        &["without its `}`"],
    );
    for name in [
        "MAYFLY_RUN",
        "AWS_SECRET_ACCESS_KEY",
        "SPARK_HOME",
        "spark_home",
        "LD_PRELOAD",
        "A-B",
        "1A",
        "\"\"",
    ] {
        refused("env name", &job(&format!("env:\n  {name}: x")), 4, &["`env`"]);
    }
    refused(
        "env without a value",
        &job("env:\n  A:"),
        4,
        &["`env.A` has no value"],
    );
    refused(
        "env with a list",
        &job("env:\n  A: [x]"),
        4,
        &["`env.A` is a list"],
    );
}

#[test]
fn no_secret_is_repeated() {
    let text = code("repo", "https://me:hunter2@host/x");
    assert!(!errors(&text).to_string().contains("hunter2"));
    assert!(!errors(&text).to_json().to_string().contains("hunter2"));
    let text = job("env: {A: \"${TOKEN}\"}\nworker: 3");
    assert!(!errors(&text).to_string().contains("hunter2"));
}

#[test]
fn all_errors_come_at_once_in_order_and_bounded() {
    let text = "defaults:\n  limits: {deadline: 9}\na:\n  code: {entry: x}\n  worker: 1\nb:\n  code: {entry: a.py}\n  engine: x\n";
    let lines: Vec<Option<usize>> = errors(text).list().iter().map(|one| one.line).collect();
    assert_eq!(lines, [Some(2), Some(4), Some(5), Some(8)]);
    let many: String = (0..50).map(|n| format!("x{n}: 1\n")).collect();
    let errors = errors(&job(&many));
    assert_eq!((errors.list().len(), errors.more()), (MAX_ERRORS, 30));
    assert!(errors.to_string().ends_with("and 30 more errors\n"));
}

#[test]
fn json_has_the_place_and_the_words() {
    let json = errors(&job("workers: {cout: 3}")).to_json();
    assert_eq!(
        json,
        serde_json::json!([{
            "file": "jobs.yml", "line": 3, "column": 13, "key": "a.workers.cout",
            "message": "unknown key `cout`", "help": "did you mean `count`?",
        }])
    );
}

#[test]
fn as_it_is_shown() {
    let texts = [
        job("worker: 3"),
        job("workers: {count: 0}"),
        job("limits: {deadline: 10, form: 5}"),
        job("engine: dask"),
        job("workers:"),
        job("spark:\n  conf:\n    spark.authenticate: false"),
        job("env: {A: \"${NOT_SET}\"}"),
        "a:\n\tcode: {}\n".to_owned(),
        "fl\u{456}ghts: {code: {entry: a.py}}\n".to_owned(),
        format!("defaults:\n  env: {{MAYFLY_X: 1}}\n{}", job("")),
        code("repo", "https://me:hunter2@host/x"),
        job(&format!(
            "workers: {{instance: {}, count: 0}}",
            "y".repeat(10_000)
        )),
        job("results: s3://My.Bucket/x"),
        "a: &x {b: *x}\n".to_owned(),
        String::new(),
    ];
    let shown: Vec<String> = texts.iter().map(|text| errors(text).to_string()).collect();
    insta::assert_snapshot!(shown.join("\n--------\n\n"));
}

#[test]
fn sets_and_flags_as_they_are_shown() {
    let pairs = [
        ("workers.cout", "4"),
        ("workers.min", "9"),
        ("worker", "4"),
        ("a..b", "1"),
        ("env.A", "${NOT_SET}"),
        ("code.args", "[a"),
        ("spark.conf.spark.master", "x"),
        ("engine", "!!x y"),
    ];
    let sets: Vec<(String, String)> = pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec();
    let set = parse_job("full.yml", FULL, &env, Some("flights"), &sets)
        .unwrap_err()
        .to_string();
    let job = parse_job("full.yml", FULL, &env, Some("flight"), &[])
        .unwrap_err()
        .to_string();
    let none = parse_job("full.yml", FULL, &env, None, &[])
        .unwrap_err()
        .to_string();
    let flags = AdHoc {
        entry: "x.sh".to_owned(),
        repo: Some("ext::sh".to_owned()),
        ..AdHoc::default()
    };
    let flags = ad_hoc(&flags, &env).unwrap_err().to_string();
    insta::assert_snapshot!([set, job, none, flags].join("\n--------\n\n"));
}

#[test]
fn files_that_cannot_be_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yml");
    let shown = |path: &std::path::Path| load(path).unwrap_err();
    assert!(shown(&path).to_string().contains("cannot be read"));
    assert!(shown(folder.path()).to_string().contains("this is not a file"));
    assert!(
        shown(std::path::Path::new("/dev/zero"))
            .to_string()
            .contains("this is not a file")
    );
    std::fs::write(&path, b"a:\n  engine: \xff\xfe\n").unwrap();
    let errors = shown(&path);
    assert_eq!(
        (errors.list()[0].line, errors.list()[0].column),
        (Some(2), Some(11)),
        "4 invalid UTF-8: {errors}"
    );
    std::fs::write(&path, b"a\0b").unwrap();
    assert!(shown(&path).to_string().contains("(U+0000)"));
    // 14: 200 MB, as a hole so that the disk does not notice.
    std::fs::File::create(&path).unwrap().set_len(200 << 20).unwrap();
    assert!(shown(&path).to_string().contains("larger than 1 MiB"));
}

/// Text that would take for ever, or all memory, or the whole stack.
fn bombs() -> Vec<(&'static str, String)> {
    let laughs: String = (1..30)
        .map(|n| format!("a{n}: &a{n} [{}]\n", format!("*a{},", n - 1).repeat(10)))
        .collect();
    let half = 500_000;
    vec![
        ("13 flow lists", "[".repeat(10_000)),
        ("13 flow maps", "{a: ".repeat(10_000)),
        (
            "13 block maps",
            (0..1_300).map(|n| format!("{}a:\n", " ".repeat(n))).collect(),
        ),
        ("13 block lists", "- ".repeat(10_000)),
        ("13 explicit keys", "? ".repeat(10_000)),
        ("11 billion laughs", format!("a0: &a0 [x]\n{laughs}")),
        ("many values", format!("a: [{}]", "x,".repeat(half))),
        ("many keys", (0..80_000).map(|n| format!("k{n}: 1\n")).collect()),
        (
            "many unknown keys",
            job(&(0..15_000).map(|n| format!("k{n}: 1\n")).collect::<String>()),
        ),
        (
            "a long value",
            job(&format!("env: {{A: {}}}", "x".repeat(1_000_000))),
        ),
        ("long key", format!("\"{}\": 1", "x".repeat(1_000_000))),
        ("long plain key", format!("{}: 1", "x".repeat(1_000_000))),
        ("colons", ":".repeat(1_000_000)),
        ("hashes", "#".repeat(1_000_000) + "\n["),
        ("many quotes", "\"".repeat(1_000_001)),
        ("many anchors", (0..100_000).map(|n| format!("&a{n}\n")).collect()),
        ("many documents", "---\n".repeat(200_000)),
        ("blank lines", "\n".repeat(1_000_000) + "["),
        (
            "one big line of flow",
            format!("a: {{{}", "x: [1, 2], ".repeat(80_000)),
        ),
    ]
}

#[test]
fn bombs_are_refused_in_few_words() {
    for (name, text) in bombs() {
        let shown = errors(&text).to_string();
        assert!(shown.len() < 12_000, "{name}: {} bytes", shown.len());
    }
    let deep = errors(&"[".repeat(10_000)).to_string();
    assert!(deep.contains("levels of nesting"), "{deep}");
    assert!(errors("a: &a [x]\nb: [*a, *a]\n").to_string().contains("anchors"));
}

#[test]
fn a_small_stack_is_enough() {
    let small = std::thread::Builder::new().stack_size(256 << 10);
    let run = || {
        bombs()
            .iter()
            .map(|(_, text)| errors(text).list().len())
            .sum::<usize>()
    };
    assert!(small.spawn(run).unwrap().join().unwrap() > 0);
}

/// As many jobs as a file may have, each with as many errors or values as fit.
#[test]
fn a_full_file_is_taken() {
    let shared: String = (0..90)
        .map(|n| format!("    E{n}: {}\n", "x".repeat(300)))
        .collect();
    let jobs: String = (0..100)
        .map(|n| format!("j{n}: {{code: {{entry: a.py}}, workers: {{count: 3}}}}\n"))
        .collect();
    let file = parse("jobs.yml", &format!("defaults:\n  env:\n{shared}{jobs}"), &env).unwrap();
    assert_eq!(file.jobs.len(), 100);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        answered(&text)?;
    }

    #[test]
    fn yaml_like_text_is_answered(text in "[ a-c:{}\\[\\],\"'#&*!|>%@?~\n\t\r0-\u{e9}-]{0,120}") {
        answered(&text)?;
    }

    #[test]
    fn a_changed_file_is_answered(at in 0_usize..1_400, gone in 0_usize..20, new in "\\PC{0,8}|[\n\t :{}\\[\\]'\"&*!-]{0,8}") {
        let chars: Vec<char> = FULL.chars().collect();
        let at = at.min(chars.len());
        let rest = chars.iter().skip(at + gone);
        let text: String = chars.iter().take(at).copied().chain(new.chars()).chain(rest.copied()).collect();
        answered(&text)?;
    }

    #[test]
    fn any_set_is_answered(key in "[a-z.\"]{0,20}|(workers|code|spark.conf|env)\\.\\PC{0,20}", value in "\\PC{0,40}") {
        let result = parse_job("full.yml", FULL, &env, Some("flights"), &[(key, value)]);
        if let Err(errors) = result {
            prop_assert!(!errors.list().is_empty());
        }
    }
}

/// Right, or with at least one error that has a place and no control character.
fn answered(text: &str) -> Result<(), TestCaseError> {
    if let Err(errors) = parse("jobs.yml", text, &env) {
        prop_assert!(!errors.list().is_empty());
        prop_assert!(!errors.to_string().chars().any(|c| c.is_control() && c != '\n'));
    }
    Ok(())
}
