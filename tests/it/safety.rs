//! Who can do what to a Spark cluster while a job works on it, and how its executors are sized: real Spark, asked from
//! outside.

mod cluster;
mod secret;

use std::net::TcpStream;

use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Repo, Serve, slots};
use serde_json::json;

use crate::transport::ports;
use cluster::Cluster;

/// A job that holds both cores of its one worker.
fn job(name: &str, home: &Home, repo: &Repo) -> Job {
    let job = Job::at_gate(name, home, repo, "safety.py");
    job.set("workers.cores", 2).set("workers.memory", "2GiB")
}

#[test]
fn nobody_without_the_secret_can_use_stop_or_join_the_cluster_of_a_job_that_works() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let mut launch = home.launch(&job("safe", &home, &repo));
    let run = home.run_of(&job("safe", &home, &repo), &mut launch);
    for said in ["app", "task-0", "task-1"] {
        launch.until(said, secs(180), || home.heard(said));
    }
    let cluster = Cluster::of(&run, &home.heard("app").unwrap());

    let secret = secret::of(&run);
    secret::in_no_process_beyond_executors(&run, &secret);
    secret::in_no_file(&run.nodes(), &secret, &["daemon.properties", "driver.properties"]);

    ports::only_where_it_may(&run);
    assert!(
        TcpStream::connect((cluster.master, 6066)).is_err(),
        "the REST server listens"
    );

    // (2048 - 384) MiB: 90 % are offered, and 70 % taken where Python works beside the heap.
    let shown = cluster.shown();
    assert_eq!(shown["workers"][0]["memory"], 1497, "{shown:#}");
    assert_eq!(shown["activeapps"][0]["memoryperexecutor"], 1164, "{shown:#}");
    assert_eq!(cluster.cores_of_executors(), [2]);

    cluster.refuses_to_kill();
    cluster.refuses_strangers(&home);
    let after = cluster.shown();
    assert_eq!(after["workers"].as_array().unwrap().len(), 1, "{after:#}");
    assert_eq!(after["activeapps"].as_array().unwrap().len(), 1, "{after:#}");
    assert_eq!(after["activeapps"][0]["id"], cluster.app, "{after:#}");
    assert_eq!(after["completedapps"], json!([]), "{after:#}");
    assert_eq!(cluster.cores_of_executors(), [2], "executors were lost");

    home.tell("go");
    launch.wait(secs(90)).exited(0);
    run.assert_closed("succeeded");
    let output = run.output(&[]);
    assert!(
        output.contains("SUM 1") && output.contains("THE SECRET IS"),
        "{output}"
    );
    secret::in_no_event(&run, &secret);
    secret::in_no_file(&home.scratch(""), &secret, &[]);
}

#[test]
fn executors_are_as_the_job_says_where_it_says_so() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let conf = json!({ "spark.executor.memory": "600m", "spark.executor.cores": "1" });
    let job = job("sized", &home, &repo).set("spark", json!({ "conf": conf }));
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    for said in ["app", "task-0", "task-1"] {
        launch.until(said, secs(180), || home.heard(said));
    }
    let cluster = Cluster::of(&run, &home.heard("app").unwrap());
    let shown = cluster.shown();
    assert_eq!(shown["activeapps"][0]["memoryperexecutor"], 600, "{shown:#}");
    assert_eq!(cluster.cores_of_executors(), [1, 1]);
    home.tell("go");
    launch.wait(secs(90)).exited(0);
    run.assert_closed("succeeded");
    let output = run.output(&[]);
    assert!(output.contains("EXECUTORS OF 600m 1"), "{output}");
}

#[test]
fn executors_that_no_worker_can_hold_are_refused_before_anything_starts() {
    let (home, repo) = (Home::light(), Repo::of_jobs());
    for (key, value, why) in [
        (
            "spark.executor.memory",
            "8g",
            "a worker has 1497 MiB for them, of its 2048 MiB",
        ),
        ("spark.executor.cores", "3", "a worker has 2"),
    ] {
        let job = job("large", &home, &repo).set("spark", json!({ "conf": { key: value } }));
        let ended = home.launch(&job).wait(secs(60));
        ended.exited(2).said("`large.spark.conf`").said(value).said(why);
        home.assert_no_run();
    }
}

#[test]
fn two_runs_of_one_coordinator_have_secrets_of_their_own() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let serve = Serve::start(&home);
    let job = |own: &str| Job::at_gate(&format!("own-{own}"), &home, &repo, "light.py").args(&[own]);
    let mut launches = ["a", "b"].map(|own| (own, serve.launch(&home, &job(own), &[])));
    let secrets = launches.each_mut().map(|(own, launch)| {
        let run = home.run_of(&job(own), launch);
        launch.until("the job", secs(120), || home.heard(&format!("works{own}-1")));
        secret::of(&run)
    });
    assert_ne!(secrets[0], secrets[1]);
    for (own, launch) in &mut launches {
        home.tell(&format!("go{own}"));
        launch.wait(secs(60)).exited(0);
    }
}
