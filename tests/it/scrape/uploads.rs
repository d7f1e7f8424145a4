//! What a run uploads, and how often it begins: its nodes are held when it has failed, so that Prometheus sees all of it.

use mayfly_tests::procs::{self, Kind};
use mayfly_tests::prometheus::{Debian, Prometheus};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Home, Job, Launch, Repo, Run, Serve, slots};
use serde_json::Value;

#[test]
fn uploads_and_attempts_are_those_of_the_receipt() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let serve = Serve::start(&home);
    let admin = serve.admin.parse().unwrap();
    let prometheus = Prometheus::start(Debian::Twelve, &super::shipped_for(admin));
    let job = Job::at_gate("twice", &home, &repo, "attempts.py")
        .args(&["3"])
        .set("on_failure", "hold 10m");
    let mut launch = serve.launch(&home, &job, &[]);
    let run = home.run_of(&job, &mut launch);
    launch.until("the first attempt", secs(180), || home.heard("attempt-1"));
    procs::find(&run.id, Kind::Agent, Some("master-1"), secs(10)).kill();
    launch.until("the second attempt", secs(180), || home.heard("attempt-2"));
    held(&run, &mut launch);
    let (files, bytes) = stored(&run);
    assert_eq!(files, 2.0, "one of the driver, one of the executor");
    let id = run.id.as_str();
    let sum = |family: &str| format!("sum(mayfly_{family}{{run=\"{id}\"}})");
    for (expression, expected) in [
        // Bytes first: a count of files may be right by chance while it is that of before the upload.
        (sum("upload_bytes_total"), bytes),
        (sum("upload_files_total"), files),
        (sum("upload_retries_total"), 0.0),
        (format!("mayfly_run_attempts{{run=\"{id}\"}}"), 2.0),
    ] {
        told(&prometheus, &expression, expected);
    }
    home.start(&mut serve.command(&home, &["cancel", id]))
        .wait(secs(60))
        .exited(0);
    launch.wait(secs(90)).exited(1);
    let receipt = run.assert_closed("job-failed");
    let of_receipt = |key: &str| receipt[key].as_f64().unwrap();
    assert_eq!(
        (of_receipt("results_files"), of_receipt("results_bytes")),
        (files, bytes)
    );
    assert_eq!(receipt["attempts"], 2);
    after_its_end(&prometheus, id, &receipt);
}

/// Waits until it is held: nothing is uploaded any more.
fn held(run: &Run<'_>, launch: &mut Launch) {
    launch.until("the hold", secs(120), || {
        let record = run.record()?;
        record
            .get("held_until")
            .filter(|until| !until.is_null())
            .map(drop)
    });
}

/// Files of the results and their bytes, as they lie in the store.
fn stored(run: &Run<'_>) -> (f64, f64) {
    let files = run.stored(2);
    let bytes: u64 = files.values().map(|(size, _)| size).sum();
    (files.len() as f64, bytes as f64)
}

fn told(prometheus: &Prometheus, expression: &str, expected: f64) {
    wait::until(&format!("{expression} to be {expected}"), secs(30), || {
        let told = prometheus.query(expression).pop();
        told.filter(|series| series.1 == expected)
    });
}

/// What the coordinator has of the run when its nodes are gone.
fn after_its_end(prometheus: &Prometheus, id: &str, receipt: &Value) {
    told(
        prometheus,
        &format!("mayfly_run_phase{{run=\"{id}\",phase=\"closed\"}}"),
        1.0,
    );
    for (family, key, unit) in [
        ("run_attempts", "attempts", 1.0),
        ("run_cost_dollars_total", "cost_micros", 1e6),
    ] {
        let expected = receipt[key].as_f64().unwrap() / unit;
        told(prometheus, &format!("mayfly_{family}{{run=\"{id}\"}}"), expected);
    }
}
