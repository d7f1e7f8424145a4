//! Files of the older system: what comes of them, and what is said about those that cannot run.

use mayfly_configs::{Chosen, Errors, JobFile, Repo, import, parse, parse_job};

const SPARK: &str = include_str!("data/origin/spark.yml");
const AWS: &str = include_str!("data/origin/aws.yml");
const R_SERVER: &str = include_str!("data/origin/r-server.yml");

fn jobs(text: &str) -> Result<JobFile, Errors> {
    parse("spark.yml", text, &|_| None)
}

/// One block with these lines more.
fn block(more: &str) -> String {
    format!("old:\n  git_repo: https://host/code.git\n  exec_path: a/b.py\n{more}")
}

fn only(text: &str) -> Chosen {
    parse_job("spark.yml", text, &|_| None, None, &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn every_block_is_a_job() {
    insta::assert_json_snapshot!(jobs(SPARK).unwrap_or_else(|errors| panic!("{errors}")).jobs);
}

#[test]
fn people_are_told_what_differs_in_their_job_alone() {
    let of = |job: &str| -> Vec<String> {
        let chosen = parse_job("spark.yml", SPARK, &|_| None, Some(job), &[]).unwrap();
        chosen.warnings.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        of("log-reg-iris"),
        [
            "spark.yml:22: `spark_url` names Spark 3.0.0-preview, and Mayfly runs releases of Spark 3.5 and 4; the job runs on 4.0.5"
        ]
    );
    let santander = of("log-reg-santander");
    assert!(
        santander[0].contains("`spark_job_args` has s3a:// paths") && santander.len() == 1,
        "{santander:?}"
    );
    assert_eq!(jobs(SPARK).unwrap().warnings.len(), 3);
    let mut own = parse_job("spark.yml", &block(""), &|_| None, None, &[])
        .unwrap()
        .warnings;
    own.extend(jobs(&block("")).unwrap().warnings);
    assert!(own.is_empty(), "{own:?}");
}

#[test]
fn an_import_is_a_job_file_of_the_same_jobs() {
    let imported = import("spark.yml", SPARK).unwrap();
    assert_eq!(imported.warnings, jobs(SPARK).unwrap().warnings);
    let again = parse("jobs.yml", &imported.text, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(again.jobs, jobs(SPARK).unwrap().jobs);
    assert!(again.warnings.is_empty());
    insta::assert_snapshot!(imported.text);
}

#[test]
fn values_lie_over_an_old_block_like_over_one_of_ours() {
    let sets = [
        ("workers.count".to_owned(), "3".to_owned()),
        ("spark.version".to_owned(), "4.0.1".to_owned()),
    ];
    let job = parse_job("spark.yml", SPARK, &|_| None, Some("log-reg-iris"), &sets)
        .unwrap()
        .job;
    assert_eq!((job.workers.count, job.spark.version.as_str()), (3, "4.0.1"));
    assert_eq!(job.workers.machine.instance[0].as_str(), "t2.micro");
}

#[test]
fn arguments_are_taken_apart_and_stay_as_they_are() {
    let args = |text: &str| only(&block(&format!("  spark_job_args: {text}\n"))).job.code.args;
    assert_eq!(
        args("\"s3a://b/in.csv;s3a://b/out\""),
        ["s3a://b/in.csv", "s3a://b/out"]
    );
    assert_eq!(args("\" a b ; c;;d; \""), ["a b", "c", "d"]);
    assert_eq!(args("\"\""), [""; 0]);
    assert_eq!(args(""), [""; 0]);
}

#[test]
fn a_release_of_spark_in_the_url_is_taken_where_it_runs_here() {
    let url = |file: &str| only(&block(&format!("  spark_url: https://host/{file}\n")));
    let spark = |chosen: &Chosen| chosen.job.spark.version.clone();
    for release in ["4.0.1", "3.5.1"] {
        let chosen = url(&format!("spark-{release}-bin-hadoop3.tgz"));
        assert_eq!((spark(&chosen).as_str(), chosen.warnings.len()), (release, 0));
    }
    for other in [
        "spark-3.4.1-bin-hadoop3.tgz",
        "our-own-spark.tgz",
        "spark-4.1-bin-x.tgz",
    ] {
        let chosen = url(other);
        assert_eq!(
            (spark(&chosen).as_str(), chosen.warnings.len()),
            ("4.0.5", 1),
            "{other}"
        );
    }
}

#[test]
fn keys_that_were_removed_over_time_still_work_where_they_can() {
    let chosen = only(
        "old:\n  github_repo: https://host/code.git\n  github_dest: /home/x\n  exec_path: a.py\n  ami: ami-1\n  \
         instance_type: t2.small\n  instance_type_worker: t2.large\n",
    );
    assert!(matches!(&chosen.job.code.repo, Repo::Url(url) if url.to_string() == "https://host/code.git"));
    assert_eq!(chosen.job.master.instance[0].as_str(), "t2.small");
    assert_eq!(chosen.job.workers.machine.instance[0].as_str(), "t2.large");
    let told: Vec<String> = chosen.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["spark.yml:5: `ami` is left out: machines start from Mayfly's own image"]
    );
}

#[test]
fn what_cannot_run_is_refused_with_its_line_and_in_its_own_words() {
    let cases: &[(&str, String, usize, &[&str])] = &[
        (
            "typo",
            block("  no_worker: 1\n"),
            4,
            &["unknown key `no_worker`", "did you mean `no_workers`?"],
        ),
        (
            "key of ours",
            block("  limits: {}\n"),
            4,
            &["unknown key `limits`", "coordinator import"],
        ),
        (
            "no number",
            block("  no_workers: three\n"),
            4,
            &["`no_workers` is `three`", "whole number"],
        ),
        (
            "quotes",
            block("  no_workers: \"1\"\n"),
            4,
            &["`no_workers` is `1` in quotes"],
        ),
        (
            "none",
            block("  no_workers: 0\n"),
            4,
            &["`no_workers` is `0`", "1 to 10000"],
        ),
        (
            "instance",
            block("  instance_type_master: big\n"),
            4,
            &["`instance_type_master` is `big`"],
        ),
        (
            "list",
            block("  instance_tag: [a]\n"),
            4,
            &["`instance_tag` is a list"],
        ),
        (
            "input",
            block("  input_file: s3a://b/x\n"),
            4,
            &["`input_file` was removed", "`spark_job_args`"],
        ),
        (
            "output",
            block("  output_folder: x\n"),
            4,
            &["`output_folder` was removed", "INPUT;OUTPUT"],
        ),
        (
            "both names",
            block("  github_repo: https://host/x\n"),
            4,
            &["`github_repo` is the older name", "keep one"],
        ),
        (
            "URL",
            block("  spark_url: ftp://me:hunter2@host/x\n"),
            4,
            &["`spark_url` is not the URL"],
        ),
        (
            "class of a script",
            block("  class_name: Main\n"),
            4,
            &["`class_name` is given", "remove"],
        ),
        (
            "no code",
            "old:\n  exec_path: a.py\n".to_owned(),
            1,
            &["no `git_repo`"],
        ),
        (
            "no program",
            "old:\n  git_repo: https://host/x\n".to_owned(),
            1,
            &["no `exec_path`"],
        ),
        (
            "jar without class",
            "old:\n  git_repo: https://host/x\n  exec_path: a.jar\n  class_name: \"\"\n".to_owned(),
            3,
            &["`class_name` is missing"],
        ),
        (
            "password",
            "old:\n  git_repo: https://me:hunter2@host/x\n  exec_path: a.py\n".to_owned(),
            2,
            &["`git_repo` is a URL with a name or a password"],
        ),
        (
            "path",
            "old:\n  git_repo: https://host/x\n  exec_path: /a.py\n".to_owned(),
            3,
            &["`exec_path` is `/a.py`", "absolute"],
        ),
        (
            "name",
            block("").replace("old:", "Old_One:"),
            1,
            &["the job name `Old_One`"],
        ),
        (
            "aws.yml",
            AWS.to_owned(),
            4,
            &["aws.yml", "holds no jobs", "spark.yml"],
        ),
        (
            "r-server.yml",
            R_SERVER.to_owned(),
            1,
            &["`basic` is a server for R", "names no program", "engine: single"],
        ),
        (
            "both kinds",
            "a: {code: {entry: a.py}}\nold: {exec_path: a.py}\n".to_owned(),
            2,
            &["unknown key `exec_path`", "it is `code.entry` here"],
        ),
    ];
    for (name, text, line, words) in cases {
        let errors = jobs(text).err().unwrap_or_else(|| panic!("{name}: accepted"));
        let shown = errors.to_string();
        assert_eq!(errors.list()[0].line, Some(*line), "{name}: {shown}");
        for word in *words {
            assert!(shown.contains(word), "{name}: {word:?} is not in\n{shown}");
        }
        assert!(!shown.contains("hunter2"), "{name}: {shown}");
        assert_eq!(import("spark.yml", text).unwrap_err(), errors, "{name}");
    }
}

#[test]
fn only_files_of_the_older_system_are_imported() {
    let errors = import("jobs.yml", "a: {code: {entry: a.py}}\n")
        .unwrap_err()
        .to_string();
    assert!(errors.contains("is a job file already"), "{errors}");
    assert!(import("jobs.yml", "").unwrap_err().to_string().contains("empty"));
}
