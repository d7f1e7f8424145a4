//! What a job leaves in its results folder, on one node and on several.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use mayfly_kit::records::Manifest;
use mayfly_tests::programs::{must, python};
use mayfly_tests::wait::secs;
use mayfly_tests::{Bucket, GitServer, Home, Job, Repo, Run, Serve, slots};
use serde_json::json;

/// Rows of a table of Parquet files, counted without Spark.
pub(crate) fn rows(table: &Path) -> u64 {
    let code = "import sys; from pyarrow import parquet; t = parquet.read_table(sys.argv[1]); \
                assert sorted(t['id'].to_pylist()) == list(range(len(t))); print(len(t))";
    must(Command::new(python()).args(["-c", code]).arg(table))
        .trim()
        .parse()
        .unwrap()
}

fn manifest(run: &Run<'_>, node: &str) -> Manifest {
    let path = run.folder().join(format!("attempt-1/manifests/{node}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Whether nodes of this machine can have results folders of their own; without that two tests have nothing to show.
fn have_own_folders() -> bool {
    let works = |flags: &[&str]| {
        let done = Command::new("unshare").args(flags).arg("true").output();
        done.is_ok_and(|done| done.status.success())
    };
    let own = works(&["--mount"]) || works(&["--user", "--mount"]);
    if !own {
        eprintln!(
            "not shown: this system lets nobody make a mount namespace, so nodes share one results folder"
        );
    }
    own
}

#[test]
fn odd_names_and_what_is_no_file() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("odd", &home, &repo, "odd.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.wait(secs(180)).exited(0);
    run.assert_closed("succeeded");
    let long = "x".repeat(255);
    let deep = format!("{}file.txt", "deep/".repeat(30));
    let expected: BTreeSet<&str> = [
        "a b c.txt",
        "grüße-日本語-😀.txt",
        "..hidden",
        "...",
        "a..b",
        "-rf",
        "%2F",
        "a+b&c=d?e#f",
        "back\\slash",
        long.as_str(),
        deep.as_str(),
        "empty.txt",
        "inside.txt",
        "table/part-0.csv",
    ]
    .into();
    let stored = run.stored(1);
    assert_eq!(
        stored.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        expected
    );
    // What is no result is named, with its reason, and nothing is left out in silence.
    let skipped = manifest(&run, "master-1").skipped;
    let left_out = [
        "link-to-file",
        "link-to-folder",
        "link-inside",
        "link-broken",
        "link-up",
        "pipe",
        "socket",
    ];
    for name in left_out
        .into_iter()
        .chain(["table/_temporary", "table/.part-0.csv.crc"])
    {
        assert!(
            skipped.iter().any(|line| line.starts_with(name)),
            "{name} is not told of: {skipped:#?}"
        );
    }
    let passwords = std::fs::read_to_string("/etc/passwd").unwrap();
    for file in run.stored(1).keys() {
        assert_ne!(
            std::fs::read(run.results(1).join(file)).unwrap(),
            passwords.as_bytes(),
            "{file}"
        );
    }
    // They come back under their names.
    let to = home.scratch("downloaded");
    home.verb(&["results", "last", "--to", to.to_str().unwrap()])
        .exited(0);
    must(Command::new("diff").arg("-r").arg(&to).arg(run.results(1)));
}

#[test]
fn of_a_job_from_a_server() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let server = GitServer::start(repo.path().parent().unwrap());
    let url = server.url(repo.path().file_name().unwrap().to_str().unwrap());
    let gate = serde_json::json!({ "GATE": home.gate() });
    let job = Job::new("served", &url, "ends.py")
        .args(&["fine"])
        .set("env", gate)
        .set("code.ref", "main");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.wait(secs(120)).exited(0);
    assert_eq!(run.assert_closed("succeeded")["commit"], repo.head());
    assert_eq!(run.stored(1).keys().collect::<Vec<_>>(), ["before.txt"]);
}

#[test]
fn a_name_that_cannot_be_a_key() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("unnameable", &home, &repo, "unnameable.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch
        .wait(secs(180))
        .exited(1)
        .said("control character")
        .said("rename it");
    let receipt = run.assert_closed("job-failed");
    assert_eq!(receipt["attempts"], 1, "the job's own doing is not repeated");
    assert_eq!(run.commit(), None, "what cannot be stored whole is not committed");
}

#[test]
fn two_nodes_hold_different_files_of_one_name() {
    if !have_own_folders() {
        return;
    }
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("conflict", &home, &repo, "conflict.py").workers(2);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch
        .wait(secs(180))
        .exited(1)
        .said("stats/summary.txt")
        .said("worker-1")
        .said("worker-2");
    let receipt = run.assert_closed("job-failed");
    assert_eq!(receipt["attempts"], 1, "the job's own doing is not repeated");
    assert_eq!(run.commit(), None);
}

#[test]
fn a_table_of_nodes_that_share_no_disk() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("table", &home, &repo, "parquet.py").workers(2);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the table", secs(120), || home.heard("written-1"));
    let before = ["master-1", "worker-1", "worker-2"].map(|node| results_of(&run, node));
    home.tell("go");
    launch.wait(secs(60)).exited(0);
    run.assert_closed("succeeded");
    assert_eq!(rows(&run.results(1).join("table")), 100_000);
    if !have_own_folders() {
        return;
    }
    // Before the upload each node's folder held what this node had written, and nothing else.
    let [master, one, two] = &before;
    let parts = |names: &BTreeSet<String>| names.iter().filter(|name| name.contains("/part-")).count();
    assert_eq!((parts(master), parts(one) + parts(two)), (0, 8), "{before:#?}");
    assert!(
        parts(one) > 0 && parts(two) > 0,
        "one worker wrote everything: {before:#?}"
    );
    assert!(master.contains("table/_SUCCESS"), "{master:?}");
    for (names, own, other) in [(one, "worker-1", "worker-2"), (two, "worker-2", "worker-1")] {
        assert!(
            names.contains(&format!("from-{own}.txt")) && !names.contains(&format!("from-{other}.txt")),
            "{names:?}"
        );
    }
    let all: BTreeSet<String> = run.stored(1).into_keys().collect();
    let union: BTreeSet<String> = before
        .iter()
        .flatten()
        .filter(|name| !name.ends_with(".crc"))
        .cloned()
        .collect();
    assert_eq!(all, union);
}

/// Files in the results folder of one node, without Spark's leftovers of unfinished tasks.
fn results_of(run: &Run<'_>, node: &str) -> BTreeSet<String> {
    let root = run.node(node).join("shared/results");
    let listed = must(Command::new("find").arg(&root).args([
        "-type",
        "f",
        "-not",
        "-path",
        "*/_temporary/*",
        "-printf",
        "%P\\n",
    ]));
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn what_the_job_names_and_keeps() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let folders = json!({ "model": "output/model", "linked": "output/linked", "none": "output/none" });
    let job = Job::new("kept", &repo.url(), "keeps.sh")
        .set("engine", "single")
        .set(
            "results",
            json!({ "folders": folders, "keep": ["*.csv", "model/"], "exclude": "tmp/" }),
        )
        .without("workers");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.wait(secs(180)).exited(0);
    run.assert_closed("succeeded");
    assert_eq!(
        run.stored(1).keys().collect::<Vec<_>>(),
        ["model/weights.bin", "table.csv"]
    );
    let skipped = manifest(&run, "master-1").skipped.join("\n");
    for line in [
        "linked: the folder output/linked is no folder, or is behind a symbolic link",
        "none: the folder output/none is not there",
        "files that `results` does not keep: 1",
    ] {
        assert!(skipped.contains(line), "{line:?} is not in {skipped}");
    }
}

#[test]
fn a_job_that_says_where_it_is_kept() {
    let _slot = slots::take();
    let (server, home, repo) = (Home::new(), Home::light(), Repo::of_jobs());
    let bucket = Bucket::serve(&server);
    let kept = format!("s3://{}/mine", bucket.name);
    let job = Job::at_gate("elsewhere", &home, &repo, "ends.py")
        .set("results", kept.as_str())
        .args(&["fine"]);
    let mut command = home.command(&["launch"]);
    command.arg(job.write(&home)).envs(bucket.environment());
    let said = home.start(&mut command).wait(secs(180));
    said.exited(0).said(&format!("MAYFLY_STORE={kept}"));
    assert!(
        home.runs().is_empty(),
        "the embedded store was used: {:?}",
        home.runs()
    );
    let mut results = home.command(&["results", "last", "--to", "out"]);
    results.envs(bucket.environment()).env("MAYFLY_STORE", &kept);
    home.start(&mut results).wait(secs(30)).exited(0);
    let written = std::fs::read_to_string(home.scratch("out/before.txt")).unwrap();
    assert_eq!(written, "written before the end");

    // A coordinator elsewhere keeps its runs where it keeps them.
    let other = Home::new();
    let serve = Serve::start(&other);
    let said = serve.launch(&home, &job, &[]).wait(secs(60));
    said.exited(2).said("take that line out");
}
