//! Well-formed messages that must not be believed.

use mayfly_proto::RunId;
use mayfly_proto::v1::agent_service_client::AgentServiceClient;
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Job, Repo, Run, slots};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::node::{Liar, Tokens};
use super::{Serve, connect, person};

/// A run that the server drives.
fn launch(serve: &Serve, job: &Job) -> RunId {
    let mut command = serve
        .home
        .command(&["launch", "--coordinator", &serve.url, "--detach"]);
    command
        .arg(job.write(&serve.home))
        .env("MAYFLY_TOKEN", &serve.token);
    let ended = serve.home.start(&mut command).wait(secs(60));
    ended.exited(0);
    ended.stdout.trim().parse().expect("a run id and nothing else")
}

fn cancel(serve: &Serve, run: &Run<'_>) {
    serve.home.verb(&["cancel", run.id.as_str()]).exited(0);
    wait::until("the end of the run", secs(60), || {
        (run.phase() == "closed").then_some(())
    });
    run.assert_closed("cancelled");
}

fn join_token(run: &Run<'_>, node: &str) -> String {
    let text = std::fs::read(run.node(node).join("node.json")).unwrap();
    let config: Value = serde_json::from_slice(&text).unwrap();
    config["join_token"].as_str().unwrap().to_owned()
}

#[test]
fn what_nobody_may_say() {
    let _slot = slots::take();
    let serve = Serve::start();
    let repo = Repo::of_jobs();
    let closed = launch(&serve, &Job::at_gate("closed", &serve.home, &repo, "holds.py"));
    cancel(&serve, &serve.home.run(&closed));
    let live = launch(&serve, &Job::at_gate("live", &serve.home, &repo, "holds.py"));
    let run = serve.home.run(&live);
    wait::until("the job", secs(120), || serve.home.heard("holds"));
    let tokens = Tokens {
        master: join_token(&run, "master-1"),
        worker: join_token(&run, "worker-1"),
    };
    Runtime::new().unwrap().block_on(async {
        let client = AgentServiceClient::new(connect(&serve.url).await);
        let mut liar = Liar::new(client, live.clone(), closed.clone(), tokens);
        liar.enrols().await;
        serve.assert_well("false enrolments").await;
        liar.reports().await;
        liar.lies().await;
        liar.says_twice(serve.addr).await;
        serve.assert_well("false reports").await;
        liar.pushes().await;
        person::asks(&serve, &live).await;
        person::launches(&serve).await;
        serve.assert_well("false requests").await;
    });
    // All of it has changed nothing for the run.
    assert_eq!(run.phase(), "working");
    assert_eq!(run.record().unwrap()["attempt"], 1);
    assert_eq!(run.commit(), None);
    cancel(&serve, &run);
    serve.stop();
}
