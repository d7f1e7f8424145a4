//! A whole launch over TLS, and what is tried against it meanwhile.

use std::fs;

use mayfly_proto::{RunId, v1};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Job, Repo, Run, slots};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::crowd::{self, Crowd};
use super::liar::Liar;
use super::ports;
use crate::server::{Serve, bearer};

#[test]
fn a_launch_over_tls() {
    let _slot = slots::take();
    let serve = Serve::with(&["--tls"]);
    let repo = Repo::of_jobs();
    let job = Job::at_gate("live", &serve.home, &repo, "holds.py");
    let run = launch(&serve, &job);
    let run = serve.home.run(&run);
    wait::until("the job", secs(180), || serve.home.heard("holds"));
    let node = node_json(&run, "worker-1");
    assert!(node["coordinator"].as_str().unwrap().starts_with("https://"));
    assert_eq!(node["fingerprint"].as_str(), serve.fingerprint.as_deref());
    ports::only_where_it_may(&run);
    Runtime::new().unwrap().block_on(async {
        let mut liar = Liar::new(&serve, &run.id, node["join_token"].as_str().unwrap());
        liar.joins().await;
        liar.reports().await;
        liar.pushes().await;
        liar.comes_back().await;
        serve.assert_well("lies").await;
        // Longer than a connection may be half open.
        let crowd = Crowd::gather(&serve.home.path(), serve.addr).await;
        let (beats, asks) = tokio::join!(liar.beats(secs(8)), crowd::ask_for(&serve, secs(8)));
        assert!(beats < crowd::ANSWER, "a node waited {beats:?} for an answer");
        assert!(asks < crowd::ANSWER, "a person waited {asks:?} for an answer");
        drop(crowd);
    });
    for text in ["a node spoke as what it is not", "a node was not taken in"] {
        serve.wait_logged(text);
    }
    // The real nodes have noticed nothing.
    assert_eq!(run.phase(), "working");
    assert!(
        !lost(&serve, &run).contains(&"worker-1".to_owned()),
        "the worker is lost"
    );
    serve.home.tell("go");
    wait::until("the end of the run", secs(90), || {
        (run.phase() == "closed").then_some(())
    });
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 1);
    serve.stop();
}

fn launch(serve: &Serve, job: &Job) -> RunId {
    let token = serve.home.path().join("people.token");
    let print = serve.fingerprint.as_deref().unwrap();
    let args = ["launch", "--coordinator", &serve.url, "--detach"];
    let start = |trust: &[&str]| {
        let mut command = serve.home.command(&args);
        command
            .arg(job.write(&serve.home))
            .args(["--request-id", "one"])
            .arg("--token-file")
            .arg(&token)
            .args(trust);
        serve.home.start(&mut command).wait(secs(60))
    };
    start(&[]).exited(2).said("--fingerprint");
    let other = format!("sha256:{}", "0".repeat(64));
    start(&["--fingerprint", &other])
        .exited(3)
        .said("does not show the authority");
    let pinned = start(&["--fingerprint", print]);
    pinned.exited(0);
    let ca = serve.home.path().join("ca.pem");
    let by_file = start(&["--ca", ca.to_str().unwrap()]);
    by_file.exited(0);
    assert_eq!(pinned.stdout, by_file.stdout, "the same request twice");
    pinned.stdout.trim().parse().expect("a run id and nothing else")
}

pub(crate) fn node_json(run: &Run<'_>, node: &str) -> Value {
    let text = fs::read(run.node(node).join("node.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Nodes that the coordinator has given up.
fn lost(serve: &Serve, run: &Run<'_>) -> Vec<String> {
    Runtime::new().unwrap().block_on(async {
        let mut client = v1::run_service_client::RunServiceClient::new(serve.channel().await);
        let get = v1::GetRequest {
            run_id: run.id.to_string(),
        };
        let view = client.get(bearer(&serve.token, get)).await.unwrap().into_inner();
        let lost = view.nodes.into_iter().filter(|node| node.lost || node.gone);
        lost.map(|node| node.node_id).collect()
    })
}
