//! Many launches at one time: the same one, and different ones that all really run.

use std::fs::{File, OpenOptions};

use futures::StreamExt as _;
use futures::future::join_all;
use mayfly_kit::layout;
use mayfly_proto::v1::run_service_client::RunServiceClient;
use mayfly_proto::{RunId, v1};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Home, Job, Repo, Serve, procs, slots};
use nix::sys::stat::Mode;
use tonic::transport::{Channel, Endpoint};

use super::launch_request;
use crate::server::bearer;

/// The same request, so many times.
const MANY: usize = 1_000;
/// Of these at one time.
const AT_ONCE: usize = 32;
/// Runs at one time.
const RUNS: usize = 100;
/// Says that it is there, waits for the test's word without a look at the clock, and leaves its own name.
const TINY: &str = r#"set -eu
touch "$GATE/$MAYFLY_RUN"
: < "$GATE/go"
echo "$MAYFLY_RUN" > "$MAYFLY_RESULTS/said.txt"
"#;

async fn client(serve: &Serve) -> RunServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(serve.url.clone()).unwrap();
    RunServiceClient::new(endpoint.connect().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_identical_requests_are_one_run() {
    let _slot = slots::take();
    let server = Home::new();
    let serve = Serve::start(&server);
    let client = client(&serve).await;
    let commit = "0".repeat(40);
    let call = || {
        let request = bearer(&serve.token, launch_request("same".into(), &commit));
        let mut client = client.clone();
        async move { client.launch(request).await.unwrap().into_inner() }
    };
    let calls = futures::stream::iter((0..MANY).map(|_| call()));
    let replies: Vec<_> = calls.buffer_unordered(AT_ONCE).collect().await;
    assert_eq!(replies.iter().filter(|reply| reply.created).count(), 1);
    assert!(replies.iter().all(|reply| reply.run_id == replies[0].run_id));
    let cancel = v1::CancelRequest {
        run_id: replies[0].run_id.clone(),
        level: v1::CancelLevel::Fast.into(),
    };
    // It may have ended by itself by then: there is no such commit.
    drop(client.clone().cancel(bearer(&serve.token, cancel)).await);
    let [id] = &server.runs()[..] else {
        panic!("one run, not {:?}", server.runs())
    };
    let run = server.run(id);
    tokio::task::block_in_place(|| {
        wait::until("the end of the run", secs(120), || {
            (run.phase() == "closed").then_some(())
        });
        // It may have been cancelled before its first machine was started.
        let release = &run.receipt()["release"];
        assert_eq!(release["machines_started"], release["machines_gone"]);
        procs::wait_gone(id, secs(5));
    });
}

/// Launches of one tiny program on one machine, which differ in their request's name alone.
fn tiny(server: &Home, repo: &Repo) -> impl Fn(usize) -> v1::LaunchRequest + use<> {
    let text = format!(
        "tiny:\n  engine: single\n  code: {{repo: '{}', entry: tiny.sh}}\n  env: {{GATE: '{}'}}\n  master: {{cores: 1, \
         memory: 256MiB}}\n  limits: {{deadline: 20m, form: 15m}}\n",
        repo.url(),
        server.gate().display(),
    );
    let job = mayfly_configs::parse_job("tiny.yml", &text, &|_| None, None, &[]);
    let job_json = serde_json::to_string(&job.unwrap().job).unwrap();
    let commit = repo.head();
    move |n| v1::LaunchRequest {
        request_id: format!("tiny-{n}"),
        job_json: job_json.clone(),
        bundle_key: layout::bundle(&commit),
        commit: commit.clone(),
        ..v1::LaunchRequest::default()
    }
}

/// Brings the code, as a command does that launches from this folder.
fn bring(serve: &Serve, server: &Home, repo: &Repo) {
    let job = Job::new("first", &repo.url(), "")
        .set("engine", "single")
        .without("workers")
        .without("code.entry")
        .set("code.command", ["true"].to_vec());
    serve.launch(server, &job, &[]).wait(secs(120)).exited(0);
}

/// All requests are under way at the same time, each on a connection of its own.
async fn launch_all(serve: &Serve, request: impl Fn(usize) -> v1::LaunchRequest) -> Vec<RunId> {
    let clients = join_all((0..RUNS).map(|_| client(serve))).await;
    let calls = clients.into_iter().enumerate().map(|(n, mut client)| {
        let request = bearer(&serve.token, request(n));
        async move { client.launch(request).await.unwrap().into_inner() }
    });
    let replies = join_all(calls).await;
    assert!(replies.iter().all(|reply| reply.created), "{replies:#?}");
    replies
        .iter()
        .map(|reply| reply.run_id.parse().unwrap())
        .collect()
}

/// What all jobs open to go on: none of them has to look time and again.
fn gate(server: &Home) -> impl FnOnce() -> File + use<> {
    let go = server.gate().join("go");
    nix::unistd::mkfifo(&go, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    // For both, so that it opens at once, whoever is there.
    move || OpenOptions::new().read(true).write(true).open(go).unwrap()
}

/// Nothing bounds what runs at once but `limits.runs`: all jobs are there before the first of them may end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_launches_at_once_all_run_to_their_end() {
    let _slot = slots::take();
    let (server, repo) = (Home::new(), Repo::of(&[("tiny.sh", TINY)]));
    let open = gate(&server);
    let serve = tokio::task::block_in_place(|| Serve::start(&server));
    tokio::task::block_in_place(|| bring(&serve, &server, &repo));
    let runs = launch_all(&serve, tiny(&server, &repo)).await;
    tokio::task::block_in_place(|| {
        wait::until("all jobs at the same time", secs(180), || {
            let here = |run: &RunId| server.gate().join(run.as_str()).exists();
            runs.iter().all(here).then_some(())
        });
        let _open = open();
        for id in &runs {
            let run = server.run(id);
            wait::until(&format!("the end of {id}"), secs(180), || {
                (run.phase() == "closed").then_some(())
            });
            let receipt = run.assert_closed("succeeded");
            assert_eq!(receipt["release"]["machines_started"], 1, "{receipt:#}");
            assert!(run.commit().is_some(), "{id} has no commit");
            let said = std::fs::read_to_string(run.results(1).join("said.txt")).unwrap();
            assert_eq!(said.trim(), id.as_str(), "the results of another run");
            // It goes a moment after the record is closed.
            wait::until(&format!("the folder of {id} to go"), secs(30), || {
                (!run.nodes().exists()).then_some(())
            });
        }
    });
    assert_eq!(server.runs().len(), RUNS + 1, "two requests are one run");
}
