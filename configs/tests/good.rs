//! What is accepted, and what comes of it.

use std::path::{Path, PathBuf};

use mayfly_configs::{DEFAULTS, Job, JobFile, OnFailure, Repo, Secs, load, parse, parse_job, read_text};

const FULL: &str = include_str!("data/full.yml");

fn env(name: &str) -> Option<String> {
    (name == "TOKEN").then(|| "hunter2".to_owned())
}

fn full() -> JobFile {
    parse("full.yml", FULL, &env).unwrap_or_else(|errors| panic!("{errors}"))
}

fn sets(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn with_sets(pairs: &[(&str, &str)]) -> Result<Job, String> {
    parse_job("full.yml", FULL, &env, Some("flights"), &sets(pairs))
        .map(|chosen| chosen.job)
        .map_err(|errors| errors.to_string())
}

#[test]
fn every_key_is_read() {
    insta::assert_json_snapshot!(full().jobs);
}

#[test]
fn jobs_keep_the_order_of_the_file() {
    let names: Vec<String> = full().jobs.iter().map(|job| job.name.to_string()).collect();
    assert_eq!(names, ["flights", "words"]);
    assert!(full().get("words").is_some());
    assert!(full().select(None).is_err());
    assert_eq!(
        full().select(Some("word")).unwrap_err().help.as_deref(),
        Some("did you mean `words`?")
    );
}

#[test]
fn a_job_takes_what_it_lacks_from_the_defaults_of_file_and_program() {
    let file = full();
    let (flights, words) = (file.get("flights").unwrap(), file.get("words").unwrap());
    assert_eq!(flights.limits.deadline, Secs(7_200));
    assert_eq!(flights.env.values["STAGE"], "test");
    assert_eq!((words.workers.count, words.workers.min), (2, 2));
    assert_eq!(words.limits.form, Secs(300));
    assert_eq!(words.code.repo, Repo::Folder(PathBuf::from(".")));
    assert_eq!(words.code.git_ref.as_str(), "HEAD");
    assert_eq!(
        (words.engine.name(), words.on_failure),
        ("spark", OnFailure::Release)
    );
}

#[test]
fn a_job_survives_json() {
    for job in full().jobs {
        let json = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<Job>(&json).unwrap(), job);
    }
}

#[test]
fn what_the_launcher_gave_is_marked_and_hidden_from_debug() {
    let file = full();
    let job = file.get("flights").unwrap();
    assert_eq!(job.env.values["TOKEN"], "x-hunter2");
    assert!(job.env.interpolated.contains("TOKEN") && !job.env.interpolated.contains("DEBUG"));
    assert!(!format!("{job:?}").contains("hunter2"));
}

#[test]
fn the_defaults_are_a_job_file_that_changes_nothing() {
    let bare = "a: {code: {entry: a.py}}\n";
    let plain = parse("bare.yml", bare, &env).unwrap();
    let spelt_out = parse("defaults.yml", &format!("{DEFAULTS}\n{bare}"), &env).unwrap();
    assert_eq!(plain, spelt_out);
}

#[test]
fn the_commented_keys_of_the_defaults_are_right_too() {
    let all: String = DEFAULTS
        .lines()
        .filter(|line| !line.contains("#class") && !line.contains("#command") && !line.contains("#steps"))
        .map(|line| {
            if line.trim_start().starts_with("# ") {
                "\n".to_owned()
            } else {
                line.replacen('#', "", 1) + "\n"
            }
        })
        .collect();
    let file =
        parse("defaults.yml", &format!("{all}\na: {{}}\n"), &env).unwrap_or_else(|errors| panic!("{errors}"));
    let job = file.get("a").unwrap();
    assert_eq!(job.code.entry.as_str(), "main.py");
    assert!(job.results.is_some() && job.code.requirements.is_some());
}

#[test]
fn sets_lie_over_the_chosen_job() {
    let job = with_sets(&[
        ("workers.count", "7"),
        ("spark.conf.\"spark.x.y\"", "1"),
        ("spark.conf.spark.z", "a b"),
        ("env.A.B", "x"),
        ("code.args", "[p, q]"),
    ]);
    assert!(job.unwrap_err().contains("has the name `A.B`"));
    let job = with_sets(&[
        ("workers.count", "7"),
        ("spark.conf.\"spark.x.y\"", "1"),
        ("spark.conf.spark.z", "a b"),
        ("env.EMPTY", ""),
        ("tags.cost.centre", "12"),
        ("code.args", "[p, q]"),
        ("workers.count", "8"),
    ])
    .unwrap();
    assert_eq!(job.workers.count, 8);
    assert_eq!(
        (
            job.spark.conf["spark.x.y"].as_str(),
            job.spark.conf["spark.z"].as_str()
        ),
        ("1", "a b")
    );
    assert_eq!(job.env.values["EMPTY"], "");
    assert_eq!(job.tags["cost.centre"], "12");
    assert_eq!(job.code.args, ["p", "q"]);
}

#[test]
fn where_all_nodes_are_alike_the_master_is_as_the_workers_are() {
    let fixed = with_sets(&[]).unwrap();
    assert!(!fixed.alike);
    let text =
        "a:\n  code: {entry: a.py}\n  master: {role: auto}\n  workers: {count: 3, cores: 4, memory: 2GiB}\n";
    let file = parse("a.yml", text, &env).unwrap();
    let job = file.get("a").unwrap();
    assert!(job.alike);
    assert_eq!(job.master, job.workers.machine);
    assert_eq!((job.master.cores, job.workers.count), (4, 3));
    // The same size said twice is no contradiction.
    let twice = text.replace("role: auto", "role: auto, cores: 4");
    assert_eq!(parse("a.yml", &twice, &env).unwrap(), file);
    let set = parse_job(
        "a.yml",
        &text.replace("role: auto", ""),
        &env,
        None,
        &sets(&[("master.role", "auto")]),
    );
    assert_eq!(&set.unwrap().job, job);
    // A job of a record that was written before there were roles.
    let mut old = serde_json::to_value(&fixed).unwrap();
    old.as_object_mut().unwrap().remove("alike");
    assert_eq!(serde_json::from_value::<Job>(old).unwrap(), fixed);
}

#[test]
fn a_variable_of_another_job_may_be_unset() {
    assert!(parse_job("full.yml", FULL, &|_| None, Some("words"), &[]).is_ok());
    assert!(parse_job("full.yml", FULL, &|_| None, Some("flights"), &[]).is_err());
}

#[test]
fn line_ends_and_a_byte_order_mark_do_not_matter() {
    let text = format!("\u{feff}{}", FULL.replace('\n', "\r\n"));
    assert_eq!(
        parse("full.yml", &text, &env).map_err(|errors| errors.to_string()),
        Ok(full())
    );
}

#[test]
fn the_example_files_are_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs");
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yml") {
            let text = read_text(&path).unwrap_or_else(|errors| panic!("{errors}"));
            let given = |_: &str| Some("given".to_owned());
            parse(&path.to_string_lossy(), &text, &given).unwrap_or_else(|errors| panic!("{errors}"));
        }
    }
}

#[test]
fn a_file_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yml");
    std::fs::write(&path, "a: {code: {entry: a.py}}").unwrap();
    assert_eq!(load(&path).unwrap().jobs.len(), 1);
}
