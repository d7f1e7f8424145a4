//! A coordinator for several people: it may die at any moment, and every run goes on under the next one.

mod lost;
mod many;
mod two;

use std::time::Duration;

use mayfly_proto::v1;
use mayfly_proto::v1::run_service_client::RunServiceClient;
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Bucket, Home, Job, Repo, Serve, procs, serve, slots};

use crate::server::bearer;

/// Lives of the coordinator in one job.
const LIVES: u64 = 20;

#[test]
fn killed_twenty_times_during_one_job() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let mut serve = Serve::start(&home);
    let job = Job::at_gate("outlives", &home, &repo, "holds.py");
    let mut launch = serve.launch(&home, &job, &[]);
    let run = home.run_of(&job, &mut launch);
    let mut slowest = Duration::ZERO;
    // At any moment: some while it forms, some while it works, some while results are collected.
    for life in 0..LIVES {
        serve.live_for(Duration::from_millis(37 * (life * 13 % 29)));
        if life == LIVES / 2 {
            launch.until("the job", secs(180), || home.heard("holds"));
            // The nodes of a command that died would be gone after this time; a server's wait for its next life.
            serve.kill();
            serve::nobody_for(secs(14));
            // They are not left over either.
            home.verb(&["gc", "--yes"]).exited(0);
        }
        serve.again(&home);
        let driven = serve.runs();
        slowest = slowest.max(serve.age());
        if life < LIVES - 3 {
            let [view] = &driven[..] else {
                panic!("life {life} drives {driven:#?}")
            };
            assert_eq!(view.run_id, run.id.as_str());
        }
        if life == LIVES - 3 {
            home.tell("go");
        }
    }
    eprintln!("of {LIVES} restarts the slowest answered {slowest:?} after it was spawned");
    launch.wait(secs(180)).exited(0);
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 1, "{receipt:#}");
    assert_eq!(receipt["release"]["machines_started"], 2, "{receipt:#}");
    assert_eq!(run.stored(1).keys().collect::<Vec<_>>(), ["part.txt"]);
    assert_eq!(
        std::fs::read_to_string(run.results(1).join("part.txt")).unwrap(),
        "attempt 1\n"
    );
    let nodes = receipt["nodes"].as_array().unwrap();
    assert!(nodes.iter().all(|node| node["lost"] == false), "{receipt:#}");
}

#[test]
fn a_run_of_a_command_that_died_is_not_begun_again() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("abandoned", &home, &repo, "holds.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(180), || home.heard("holds"));
    launch.kill();
    let _serve = Serve::start(&home);
    procs::wait_gone(&run.id, secs(30));
    assert_eq!(run.phase(), "working", "somebody went on with it");
    home.verb(&["gc", "--yes"]).exited(0);
    run.assert_closed("infra-failed");
}

#[test]
fn one_leaves_and_another_one_comes_back() {
    let _slot = slots::take();
    let (server, ann, bob) = (Home::light(), Home::new(), Home::new());
    let repo = Repo::of_jobs();
    let serve = Serve::start(&server);
    let job = Job::at_gate("shared", &server, &repo, "holds.py");
    // The code of a folder goes over the wire: this home has no store.
    let launched = serve.launch(&ann, &job, &["--detach"]).wait(secs(60));
    let id = launched.exited(0).stdout.trim().to_owned();
    let run = server.run(&id.parse().unwrap());
    let mut attached = bob.start(&mut serve.command(&bob, &["attach", "last"]));
    attached.until("the job's first words", secs(180), || {
        first_says(&bob).contains("holding in attempt 1").then_some(())
    });
    server.tell("go");
    let ended = attached.wait(secs(120));
    assert!(ended.exited(0).stdout.contains("released"), "{ended:#?}");
    ended.said(&id).said("succeeded");
    run.assert_closed("succeeded");
    assert!(ann.runs().is_empty() && bob.runs().is_empty());
}

/// What the first command of a home has printed.
fn first_says(home: &Home) -> String {
    std::fs::read_to_string(home.scratch("command-0.out")).unwrap_or_default()
}

#[test]
fn anybody_of_the_team_may_cancel() {
    let _slot = slots::take();
    let (server, ann, bob) = (Home::light(), Home::new(), Home::new());
    let repo = Repo::of_jobs();
    let mut serve = Serve::start(&server);
    let job = Job::at_gate("endless", &server, &repo, "holds.py");
    let mut launch = serve.launch(&ann, &job, &[]);
    serve.until("the job", secs(180), || server.heard("holds"));
    let cancelled = bob
        .start(&mut serve.command(&bob, &["cancel", "endless"]))
        .wait(secs(30));
    cancelled.exited(0);
    launch.wait(secs(60)).exited(130);
    let [id] = &server.runs()[..] else {
        panic!("one run, not {:?}", server.runs())
    };
    server.run(id).assert_closed("cancelled");
}

fn launch_request(request_id: String, commit: &str) -> v1::LaunchRequest {
    let text = "tiny:\n  code: {entry: ends.py}\n  workers: {count: 1}\n";
    let job = mayfly_configs::parse_job("tiny.yml", text, &|_| None, None, &[])
        .unwrap()
        .job;
    v1::LaunchRequest {
        request_id,
        job_json: serde_json::to_string(&job).unwrap(),
        commit: commit.into(),
        ..v1::LaunchRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_runs_are_taken_than_the_settings_allow() {
    let _slot = slots::take();
    let server = Home::new();
    std::fs::write(server.scratch("serve.yml"), "limits: {runs: 1}\n").unwrap();
    let config = server.scratch("serve.yml").display().to_string();
    let serve = Serve::start_with(&server, &["--config", &config]);
    let channel = tonic::transport::Endpoint::from_shared(serve.url.clone()).unwrap();
    let client = RunServiceClient::new(channel.connect().await.unwrap());
    let launch = |id: &str| {
        let request = launch_request(id.into(), &"0".repeat(40));
        let (mut client, token) = (client.clone(), serve.token.clone());
        async move { client.launch(bearer(&token, request)).await }
    };
    let first = launch("first").await.unwrap().into_inner();
    let refused = launch("second").await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert!(refused.message().contains("limits.runs"), "{refused}");
    let again = launch("first").await.unwrap().into_inner();
    assert_eq!((again.run_id, again.created), (first.run_id.clone(), false));
    let cancel = v1::CancelRequest {
        run_id: first.run_id.clone(),
        level: v1::CancelLevel::Fast.into(),
    };
    drop(client.clone().cancel(bearer(&serve.token, cancel)).await);
    let run = server.run(&first.run_id.parse().unwrap());
    tokio::task::block_in_place(|| {
        wait::until("the end of the first run", secs(120), || {
            (run.phase() == "closed").then_some(())
        });
    });
    // It is closed in the store a moment before its driver has ended.
    let taken = async {
        while launch("third").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(secs(30), taken).await.unwrap();
}

#[test]
fn runs_are_read_through_their_coordinator() {
    let _slot = slots::take();
    let (server, ann, bob) = (Home::light(), Home::new(), Home::new());
    let repo = Repo::of_jobs();
    let serve = Serve::start_with(&server, &["--tls"]);
    let job = Job::at_gate("read", &server, &repo, "ends.py").args(&["fine"]);
    serve.launch(&ann, &job, &[]).wait(secs(180)).exited(0);
    // The store is served on the coordinator's machine alone: what Bob has is its address, a token and whom to trust.
    let read = |args: &[&str]| bob.start(&mut serve.command(&bob, args)).wait(secs(30));
    let listed = read(&["list", "--json"]).exited(0).json();
    let run = listed["runs"][0]["run"].as_str().expect("a run").to_owned();
    assert_eq!(listed["runs"][0]["ended"]["outcome"], "succeeded", "{listed:#}");
    assert_eq!(
        read(&["status", &run, "--json"]).exited(0).json()["run"],
        run.as_str()
    );
    assert_eq!(
        read(&["receipt", "last", "--json"]).exited(0).json()["ended"]["outcome"],
        "succeeded"
    );
    let logs = read(&["logs", "read"]);
    assert!(logs.exited(0).stdout.contains("the first line"), "{logs:#?}");
    let out = bob.scratch("out");
    read(&["results", "last", "--to", &out.display().to_string()]).exited(0);
    assert_eq!(
        std::fs::read_to_string(out.join("before.txt")).unwrap(),
        "written before the end"
    );
    assert!(bob.runs().is_empty() && !bob.path().join("store").exists());

    let mut stranger = serve.command(&bob, &["list"]);
    let refused = bob
        .start(stranger.env("MAYFLY_TOKEN", "somebody-elses-token"))
        .wait(secs(30));
    assert_ne!(refused.code, Some(0), "{refused:#?}");
    assert!(!refused.stdout.contains(&run), "{refused:#?}");
    serve.stop().exited(0);
}

/// A coordinator that keeps its runs in a bucket.
fn over(bucket: &Bucket, prefix: &str, server: &Home) -> Serve {
    over_with(bucket, prefix, server, &[])
}

/// The same with more flags.
fn over_with(bucket: &Bucket, prefix: &str, server: &Home, flags: &[&str]) -> Serve {
    for (name, key) in [
        ("access_key", &bucket.access_key),
        ("secret_key", &bucket.secret_key),
    ] {
        std::fs::write(server.scratch(name), key).unwrap();
    }
    let settings = format!(
        "store:\n  bucket: {}\n  prefix: '{prefix}'\n  endpoint: {}\n  access_key_file: access_key\n  secret_key_file: \
         secret_key\n",
        bucket.name, bucket.endpoint,
    );
    std::fs::write(server.scratch("serve.yml"), settings).unwrap();
    let config = server.scratch("serve.yml").display().to_string();
    Serve::start_with(server, &[&["--config", &config], flags].concat())
}

#[test]
fn runs_are_kept_in_any_store_and_read_from_anywhere() {
    let _slot = slots::take();
    let (bucket, server, ann) = (Home::new(), Home::light(), Home::new());
    let repo = Repo::of_jobs();
    let bucket = Bucket::serve(&bucket);
    let serve = over(&bucket, "team/", &server);
    let job = Job::at_gate("stored", &server, &repo, "ends.py").args(&["fine"]);
    serve.launch(&ann, &job, &[]).wait(secs(180)).exited(0);
    assert!(
        !server.path().join("store/mayfly/runs").exists(),
        "the embedded store was used"
    );
    let mut list = ann.command(&["list", "--json"]);
    list.env("MAYFLY_STORE", format!("s3://{}/team", bucket.name))
        .envs(bucket.environment());
    let listed = ann.start(&mut list).wait(secs(30));
    assert!(listed.exited(0).stdout.contains("succeeded"), "{listed:#?}");
}
