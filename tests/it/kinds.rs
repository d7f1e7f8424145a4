//! Kinds of jobs, and what goes with a job: SQL, notebooks, steps, builds, inputs, secrets.

use std::fs;
use std::path::{Path, PathBuf};

use mayfly_tests::ec2::{Ec2, Image};
use mayfly_tests::wait::secs;
use mayfly_tests::{Consul, Home, Job, Repo, Run, slots};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A job of one machine.
fn single(name: &str, repo: &Repo, entry: &str) -> Job {
    Job::new(name, &repo.url(), entry)
        .set("engine", "single")
        .set("limits.form", "9m")
        .without("workers")
}

fn ran<'h>(home: &'h Home, job: &Job, code: i32, outcome: &str) -> Run<'h> {
    home.launch(job).wait(secs(600)).exited(code);
    let run = home.run(&home.runs()[0]);
    run.assert_closed(outcome);
    run
}

fn text(run: &Run<'_>, name: &str) -> String {
    let path = run.results(1).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn sql_on_one_machine() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = single("query", &repo, "query_duckdb.sql").args(&["least=2"]);
    let run = ran(&home, &job, 0, "succeeded");
    assert_eq!(
        text(&run, "large.csv"),
        "\"id\",\"name\"\n2,\"two\"\n3,\"three\"\n"
    );
    assert!(run.results(1).join("query_duckdb-2.parquet").is_file());
}

#[test]
fn sql_on_spark() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::new("query", &repo.url(), "query.sql").args(&["least=2"]);
    let run = ran(&home, &job, 0, "succeeded");
    let folder = run.results(1).join("large");
    let mut lines: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "csv"))
        .flat_map(|entry| {
            let text = fs::read_to_string(entry.path()).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    lines.sort();
    assert_eq!(lines, ["2,two", "3,three", "id,name"]);
    assert!(run.output(&[]).contains("-- query-2"), "{}", run.output(&[]));
}

/// The outputs of an executed notebook.
fn outputs(run: &Run<'_>, name: &str) -> String {
    let book: Value = serde_json::from_str(&text(run, name)).unwrap();
    let cells = book["cells"].as_array().unwrap();
    cells.iter().map(|cell| cell["outputs"].to_string()).collect()
}

#[test]
fn a_notebook_is_saved_with_what_it_gave() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = single("book", &repo, "book.ipynb").args(&["times=7"]);
    let run = ran(&home, &job, 0, "succeeded");
    assert!(outputs(&run, "book.ipynb").contains("the answer is 42"));
    assert!(run.output(&[]).contains("the answer is 42"));
}

#[test]
fn a_notebook_that_fails_is_saved_too() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = single("book", &repo, "book.ipynb").args(&["times=0"]);
    let run = ran(&home, &job, 1, "job-failed");
    let outputs = outputs(&run, "book.ipynb");
    assert!(
        outputs.contains("the answer is 0") && outputs.contains("nothing to multiply with"),
        "{outputs}"
    );
    let why = home.verb(&["why", run.id.as_str(), "--json"]).json();
    assert_eq!(why["cause"], "exception", "{why:#}");
    let sentence = why["sentence"].as_str().unwrap();
    assert!(
        sentence.contains("cell ") && sentence.contains("nothing to multiply with"),
        "{sentence}"
    );
}

#[test]
fn a_statement_that_fails_is_named_by_its_line() {
    let _slot = slots::take();
    let home = Home::new();
    let repo = Repo::of(&[(
        "two.sql",
        "SELECT 1 AS one;\n\n-- name: more\nSELECT * FROM nowhere;\n",
    )]);
    let run = ran(&home, &single("two", &repo, "two.sql"), 1, "job-failed");
    let why = home.verb(&["why", run.id.as_str(), "--json"]).json();
    assert_eq!(why["place"], "two.sql:4", "{why:#}");
    assert!(why["sentence"].as_str().unwrap().contains("nowhere"), "{why:#}");
}

#[test]
fn a_notebook_on_spark() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::new("book", &repo.url(), "spark_book.ipynb").set("limits.form", "9m");
    let run = ran(&home, &job, 0, "succeeded");
    assert!(outputs(&run, "spark_book.ipynb").contains("rows 143"));
}

#[test]
fn r_on_spark() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::new("squares", &repo.url(), "backend.R").args(&["hello from R"]);
    let run = ran(&home, &job, 0, "succeeded");
    let parts = run
        .stored(1)
        .into_keys()
        .filter(|name| name.ends_with(".parquet"));
    assert_eq!(parts.count(), 4, "{:?}", run.stored(1));
    assert!(run.output(&[]).contains("hello from R 4."), "{}", run.output(&[]));
}

#[test]
fn an_r_package_that_is_missing_is_named() {
    let _slot = slots::take();
    let home = Home::new();
    let repo = Repo::of(&[("lazy.R", "library(SparkR)\nsparkR.session()\n")]);
    home.launch(&Job::new("lazy", &repo.url(), "lazy.R"))
        .wait(secs(300))
        .exited(1)
        .said("the R package SparkR is not installed");
}

#[test]
fn steps_run_in_turn_and_each_has_its_line() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let step = |name: &str, code: &str| json!({ "name": name, "entry": "step.sh", "args": [name, code] });
    let mut tolerant = step("second", "7");
    tolerant["on_failure"] = "continue".into();
    let steps = json!([
        step("first", "0"),
        tolerant,
        step("third", "3"),
        step("fourth", "0")
    ]);
    let job = single("steps", &repo, "")
        .without("code.entry")
        .set("code.steps", steps);
    let run = ran(&home, &job, 1, "job-failed");
    assert_eq!(text(&run, "steps.txt"), "first\nsecond\nthird\n");
    let receipt = run.receipt();
    let told: Vec<(&str, i64)> = receipt["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            (
                step["step"].as_str().unwrap(),
                step["exit_code"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("first", 0), ("second", 7), ("third", 3)]);
    assert_eq!(receipt["ended"]["exit_code"], 7, "the first failure is the job's");
    let shown = home.verb(&["receipt", "last"]).stdout;
    assert!(shown.contains("exit code 7"), "{shown}");
}

#[test]
fn what_is_built_may_be_the_entry() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let build = [
        "sh",
        "-c",
        "printf 'echo built > $MAYFLY_RESULTS/said.txt\\n' > made.sh",
    ];
    let job = single("built", &repo, "made.sh").set("code.build", build.to_vec());
    let run = ran(&home, &job, 0, "succeeded");
    assert_eq!(text(&run, "said.txt"), "built\n");
}

/// Workers run, as their daemon, what the build made; it is executable, and every one of them has what was made once.
#[test]
fn what_is_built_on_the_master_is_on_every_worker() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let engine = r#"
about: Workers are what the build made.
worker: {run: ["{code}/out/serve", "{results}/{node.name}"], ready: {line: serving}}
jobs: {command: ["{command}"]}
"#;
    fs::create_dir_all(home.scratch("engines")).unwrap();
    fs::write(home.scratch("engines/made.yml"), engine).unwrap();
    let serve = r##"mkdir out && cat /proc/sys/kernel/random/uuid > out/made && echo "# built" >> step.sh
        printf '%s\n' '#!/bin/sh' 'cd "${0%/*}" && cat made ../step.sh > "$1"' 'echo serving' 'exec sleep 1h' > out/serve
        chmod +x out/serve"##;
    let job = Job::new("made", &repo.url(), "")
        .set("engine", "made")
        .without("code.entry")
        .set("code.build", vec!["sh", "-c", serve])
        .set(
            "code.command",
            vec!["sh", "-c", "cat out/made step.sh > $MAYFLY_RESULTS/master-1"],
        )
        .workers(2);
    let run = ran(&home, &job, 0, "succeeded");
    let of_master = text(&run, "master-1");
    assert!(of_master.ends_with("# built\n"), "{of_master}");
    for worker in ["worker-1", "worker-2"] {
        assert_eq!(text(&run, worker), of_master, "{worker}");
        assert!(!run.node(worker).join("built").exists(), "left on {worker}");
    }
}

#[test]
fn a_build_that_fails_is_the_jobs_failure() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = single("built", &repo, "made.sh").set("code.build", vec!["sh", "-c", "echo no luck; exit 3"]);
    home.launch(&job)
        .wait(secs(120))
        .exited(1)
        .said("ended with exit code 3: no luck");
}

#[test]
fn inputs_are_there_before_the_job() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let folder = home.scratch("given");
    fs::create_dir_all(folder.join("deep")).unwrap();
    fs::write(folder.join("a.txt"), "a\n").unwrap();
    fs::write(folder.join("deep/b.txt"), "b\n").unwrap();
    let one = home.scratch("one.txt");
    fs::write(&one, "c\n").unwrap();
    for name in ["things/one.txt", "things/one.txt.part"] {
        home.verb(&["data", "put", one.to_str().unwrap(), name]).exited(0);
    }
    let inputs = json!([
        { "from": "./given", "to": "given" },
        { "from": "data/things/one.txt", "to": "put" },
        { "from": "s3://mayfly/data/things", "to": "again/things" },
    ]);
    let job = single("staged", &repo, "inputs.sh").set("inputs", inputs);
    let run = ran(&home, &job, 0, "succeeded");
    assert_eq!(text(&run, "all.txt"), "a\nb\nc\n");
    assert_eq!(
        text(&run, "names.txt"),
        "./again/things/one.txt\n./again/things/one.txt.part\n./given/a.txt\n./given/deep/b.txt\n./put\n"
    );
}

#[test]
fn an_input_that_is_not_there_is_named() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = single("staged", &repo, "inputs.sh").set("inputs", json!([{ "from": "data/none", "to": "a" }]));
    home.launch(&job)
        .wait(secs(120))
        .exited(1)
        .said("data/none is not there");
}

/// Every file below a folder that holds the text.
fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() => {
                    let bytes = fs::read(&path).unwrap_or_default();
                    let mut plain = Vec::new();
                    let unpacked = std::io::Read::read_to_end(
                        &mut flate2::read::MultiGzDecoder::new(&bytes[..]),
                        &mut plain,
                    );
                    let hit = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text.as_bytes());
                    if hit(&bytes) || (unpacked.is_ok() && hit(&plain)) {
                        found.push(path);
                    }
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
    found
}

#[test]
fn a_secret_is_nowhere_but_in_the_job() {
    let _slot = slots::take();
    let (mut home, repo) = (Home::new(), Repo::of_jobs());
    let consul = Consul::dev();
    let aws = Ec2::start(Image::none(), &json!({}));
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("secret");
    // In halves, so that this file does not hold them either.
    let canary = |name: &str| ["canary-of-", name, "-7d1"].concat();
    home.set_environment(&[
        ("CANARY", &canary("OF_ENV")),
        ("CONSUL_HTTP_ADDR", &consul.url()),
        ("AWS_ENDPOINT_URL", &aws.url()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        (
            "AWS_SECRET_ACCESS_KEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
    ]);
    fs::write(&file, format!("{}\n", canary("OF_FILE"))).unwrap();
    consul.http("PUT", "/v1/kv/mayfly/secret", &canary("OF_CONSUL"));
    let parameter = json!({ "Name": "/team/key", "Type": "SecureString", "Value": canary("OF_SSM") });
    aws.json("ssm", "AmazonSSM.PutParameter", &parameter);
    let secret = json!({ "Name": "team/key", "SecretString": canary("OF_SECRETSMANAGER") });
    aws.json("secretsmanager", "secretsmanager.CreateSecret", &secret);
    let secrets = json!({
        "OF_ENV": { "env": "CANARY" },
        "OF_FILE": { "file": file },
        "OF_CONSUL": { "consul": "secret" },
        "OF_SSM": { "ssm": "/team/key" },
        "OF_SECRETSMANAGER": { "secretsmanager": "team/key" },
    });
    let names: Vec<&String> = secrets.as_object().unwrap().keys().collect();
    for engine in ["single", "spark"] {
        let job = Job::at_gate("hushed", &home, &repo, "tell_secrets.py")
            .set("engine", engine)
            .set("secrets", secrets.clone());
        let job = if engine == "single" {
            job.without("workers")
        } else {
            job
        };
        let mut launch = home.launch(&job);
        let run = home.run_of(&job, &mut launch);
        launch.until("the job", secs(120), || home.heard("told"));
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).into_owned();
            assert!(!words.contains("canary-of-"), "in a process list: {words}");
        }
        home.tell("go");
        let ended = launch.wait(secs(120));
        ended.exited(0);
        run.assert_closed("succeeded");
        for name in &names {
            let canary = &canary(name);
            assert_eq!(
                text(&run, name),
                format!("{:x}", Sha256::digest(canary)),
                "the job has another {name}"
            );
            assert_eq!(
                holding(&home.path(), canary),
                Vec::<PathBuf>::new(),
                "{name} with {engine}"
            );
            assert!(
                !ended.stdout.contains(canary) && !ended.stderr.contains(canary),
                "{name} was printed"
            );
            let output = run.output(&[]);
            assert!(!output.contains(canary));
            assert!(output.contains(&format!("{name} is [redacted]")), "{output}");
        }
        for word in ["told", "go"] {
            fs::remove_file(home.gate().join(word)).unwrap();
        }
    }
}

#[test]
fn a_secret_that_is_missing_or_short_launches_nothing() {
    let (mut home, repo) = (Home::new(), Repo::of_jobs());
    home.set_environment(&[("SHORT", "x")]);
    let aws = Ec2::start(Image::none(), &json!({}));
    home.set_environment(&[
        ("AWS_ENDPOINT_URL", &aws.url()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        (
            "AWS_SECRET_ACCESS_KEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
    ]);
    for (kind, from, says) in [
        ("env", "NOT_SET_ANYWHERE", "is not set"),
        ("env", "SHORT", "has 1 characters"),
        ("ssm", "/team/none", "AWS has no \"/team/none\" in us-east-1"),
        ("secretsmanager", "none", "AWS has no \"none\" in us-east-1"),
    ] {
        let job = single("hushed", &repo, "step.sh").set("secrets", json!({ "TOKEN": { kind: from } }));
        home.launch(&job).wait(secs(60)).exited(2).said(says);
    }
    home.assert_no_run();
}
