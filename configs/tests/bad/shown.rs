//! What is said of it.

use mayfly_configs::{AdHoc, MAX_ERRORS, ad_hoc, parse_job};

use crate::rig::{FULL, code, env, errors, job};

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
        job("engine: dusk"),
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
