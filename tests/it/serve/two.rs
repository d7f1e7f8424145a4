//! Two coordinators at once do no harm, and the loser says so.

use mayfly_kit::layout;
use mayfly_kit::store::{Access, Replaced, Store, StoreConfig};
use mayfly_proto::RunId;
use mayfly_tests::procs::{self, Kind};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Bucket, Home, Job, Repo, Serve, slots};
use serde_json::Value;

use super::over;

/// Nobody answers there.
const ANOTHER: &str = "http://127.0.0.1:9";

#[test]
fn a_second_one_with_the_same_folder_is_refused() {
    let _slot = slots::take();
    let home = Home::light();
    let serve = Serve::start(&home);
    let second = home.verb(&["serve", "--json"]);
    assert_ne!(second.code, Some(0), "{second:#?}");
    assert!(second.stdout.is_empty(), "{second:#?}");
    second.said(
        "another `coordinator serve` runs with this folder; use it, or choose another folder with --home",
    );
    // The first one is where it was, and as it was.
    assert!(serve.runs().is_empty());
    serve.stop().exited(0);
}

#[test]
fn the_same_request_to_two_of_them_over_one_store_is_one_run() {
    let _slot = slots::take();
    let (shelf, ann, repo) = (Home::new(), Home::new(), Repo::of_jobs());
    let homes = [Home::light(), Home::light()];
    let bucket = Bucket::serve(&shelf);
    let serves = homes.each_ref().map(|home| over(&bucket, "", home));
    let job = Job::at_gate("same", &ann, &repo, "holds.py");
    let flags = ["--request-id", "only-once"];
    let mut both = serves.each_ref().map(|serve| serve.launch(&ann, &job, &flags));
    let loser = wait::until("one of them to be refused", secs(60), || {
        both.iter_mut().position(mayfly_tests::Launch::has_ended)
    });
    let winner = 1 - loser;
    both[winner].until("the job", secs(180), || ann.heard("holds"));
    let [id] = &shelf.runs()[..] else {
        panic!("one run, not {:?}", shelf.runs())
    };
    let run = shelf.run(id);
    let refused = both[loser].wait(secs(1));
    refused
        .exited(2)
        .said(&format!("run {id} is driven by another coordinator"));
    refused.said(&serves[winner].url);
    // It claims nothing of that run, and keeps nothing.
    assert!(serves[loser].runs().is_empty(), "{:#?}", serves[loser].runs());
    assert!(homes[loser].runs().is_empty(), "a folder is left");
    let agents = procs::of(id)
        .into_iter()
        .filter(|process| process.kind == Kind::Agent);
    assert_eq!(agents.count(), 2, "machines of one run");
    ann.tell("go");
    both[winner].wait(secs(120)).exited(0);
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 1, "{receipt:#}");
    assert_eq!(receipt["release"]["machines_started"], 2, "{receipt:#}");
}

/// Writes the record as another coordinator does that takes the run over.
async fn claim(bucket: &Bucket, run: &RunId) -> Value {
    let store = Store::open(&StoreConfig {
        endpoint: Some(bucket.endpoint.clone()),
        bucket: bucket.name.clone(),
        prefix: String::new(),
        region: "us-east-1".to_owned(),
        access: Access::keys(&bucket.access_key, &bucket.secret_key),
    });
    let key = layout::record(run);
    loop {
        let found = store.get(&key).await.unwrap().expect("a record");
        let mut record: Value = serde_json::from_slice(&found.bytes).unwrap();
        record["coordinator"] = ANOTHER.into();
        record["claim"] = "anothers".into();
        let put = store.replace(&key, record.to_string(), &found.etag);
        // The one that drives it may have written meanwhile.
        if let Replaced::Yes(_) = put.await.unwrap() {
            return record;
        }
    }
}

#[test]
fn one_whose_run_was_taken_over_lets_go_of_it_and_says_so() {
    let _slot = slots::take();
    let (shelf, server, ann) = (Home::new(), Home::light(), Home::new());
    let repo = Repo::of_jobs();
    let bucket = Bucket::serve(&shelf);
    let serve = over(&bucket, "", &server);
    let job = Job::at_gate("taken", &ann, &repo, "holds.py");
    let flags = ["--request-id", "taken"];
    let mut launch = serve.launch(&ann, &job, &flags);
    launch.until("the job", secs(180), || ann.heard("holds"));
    let id = shelf.runs().pop().expect("a run");
    let run = shelf.run(&id);
    let claimed = tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(claim(&bucket, &id));
    // The end of the job is what it writes next.
    ann.tell("go");
    let lost = launch.wait(secs(60));
    lost.exited(3).said(&format!("there is no run {id} here"));
    let complaints = serve.stderr();
    let said = "another coordinator has taken the run over; this one lets go of it";
    let lines: Vec<_> = complaints.lines().filter(|line| line.contains(said)).collect();
    assert!(
        lines.len() == 1 && lines[0].contains(id.as_str()),
        "{said:?} once, with the run: {complaints}"
    );
    assert!(serve.runs().is_empty(), "{:#?}", serve.runs());
    // Who asks for it is told whose it is.
    let again = serve.launch(&ann, &job, &flags).wait(secs(60));
    again
        .exited(2)
        .said(&format!("run {id} is driven by another coordinator: {ANOTHER}"));
    // Nothing of the other one's was touched: its record, its receipt, its nodes' folder.
    assert_eq!(run.record().as_ref(), Some(&claimed));
    assert!(!run.folder().join("receipt.json").exists());
    assert!(server.run(&id).node("master-1").exists());
    // It is as good as before for others.
    let other = Job::at_gate("other", &ann, &repo, "ends.py").args(&["fine"]);
    serve.launch(&ann, &other, &[]).wait(secs(120)).exited(0);
}
