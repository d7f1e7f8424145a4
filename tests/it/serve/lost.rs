//! The folder of a coordinator is lost with its keys: what comes after it, at the same address, is another one (long:
//! `--ignored`).

use std::fs;

use mayfly_proto::RunId;
use mayfly_tests::procs;
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Bucket, Home, Job, Repo, slots};

use super::over_with;

/// All but the folders of this run's nodes, which would be on other machines.
fn lose(home: &Home, run: &RunId) {
    fs::remove_file(home.path().join("nodes").join(run.as_str()).join("request.json")).unwrap();
    for entry in fs::read_dir(home.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name == "nodes") {
            continue;
        }
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
#[ignore = "waits for a lease of two minutes to end"]
fn one_that_has_lost_its_folder_hears_none_of_the_nodes_and_begins_again() {
    let _slot = slots::take();
    let (shelf, server, ann) = (Home::new(), Home::light(), Home::new());
    let repo = Repo::of_jobs();
    let bucket = Bucket::serve(&shelf);
    let mut first = over_with(&bucket, "", &server, &["--tls"]);
    let job = Job::at_gate("orphaned", &ann, &repo, "holds.py");
    let detached = first.launch(&ann, &job, &["--detach"]).wait(secs(60));
    let id: RunId = detached.exited(0).stdout.trim().parse().unwrap();
    let run = shelf.run(&id);
    first.until("the job", secs(180), || ann.heard("holds"));
    first.kill();
    lose(&server, &id);
    fs::remove_file(ann.gate().join("holds")).unwrap();

    let listen = first.url.trim_start_matches("https://");
    let mut second = over_with(&bucket, "", &server, &["--tls", "--listen", listen]);
    assert_ne!(second.fingerprint, first.fingerprint);
    assert_ne!(second.token, first.token);
    second.until("the job again", secs(180), || ann.heard("holds"));
    ann.tell("go");
    wait::until("the end of the run", secs(120), || {
        (run.phase() == "closed").then_some(())
    });
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 2, "{receipt:#}");
    assert_eq!(run.commit().expect("a commit").attempt.number(), 2);
    procs::wait_gone(&id, secs(30));
    let complaints = second.stderr();
    assert!(complaints.contains("request.json is missing"), "{complaints}");
    second.stop().exited(0);
}
