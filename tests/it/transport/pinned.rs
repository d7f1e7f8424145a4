//! A real agent and a coordinator that is not the one it was told of: it says so, and shows it nothing.

use std::process::Command;

use mayfly_coordinator::home::Home;
use mayfly_coordinator::run::Role;
use mayfly_coordinator::tokens::Tokens;
use mayfly_proto::RunId;
use mayfly_tests::programs;
use mayfly_tests::wait::secs;

use super::rig::node_json;
use crate::server::Serve;

/// How long an agent asks to be taken in, in seconds.
const ALONE_SECS: u64 = 2;
const REFUSED: &str = "does not show the authority";

#[test]
fn an_agent_wants_the_coordinator_that_it_was_told_of() {
    programs::toolchain();
    let serve = Serve::with(&["--tls"]);
    let own = serve.fingerprint.clone().unwrap();
    let another = format!("sha256:{}", "0".repeat(64));
    let refused = agent(&serve, Some(&another), &format!("{REFUSED} {another}"));
    serve.wait_logged("a TLS handshake was refused");
    agent(&serve, None, "wants to know whom to trust");
    agent(&serve, Some(&own[..20]), "a fingerprint is `sha256:`");
    assert!(refused.lines().count() < 5, "it repeats itself: {refused}");
    // Only who knows it gets to say of which run it is.
    let taken = agent(&serve, Some(&own), "there is no run idle-abcdefgh here");
    assert!(!taken.contains(REFUSED), "{taken}");
    serve.stop();
}

/// An agent that wants a coordinator with this fingerprint ends, and says why in one line. Returns all that it said.
fn agent(serve: &Serve, fingerprint: Option<&str>, why: &str) -> String {
    let run: RunId = "idle-abcdefgh".parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tokens = Tokens::kept(&Home::open(&serve.home.path()).unwrap()).unwrap();
    let token = tokens.joining(&run).token(Role::Worker, jiff::Timestamp::now());
    let mut node = node_json(&run, folder.path());
    node["coordinator"] = serve.url.as_str().into();
    node["fingerprint"] = fingerprint.into();
    node["join_token"] = token.as_str().into();
    node["address"] = address().into();
    node["alone_secs"] = ALONE_SECS.into();
    let file = folder.path().join("node.json");
    std::fs::write(&file, node.to_string()).unwrap();
    let mut command = Command::new(programs::path("agent"));
    command
        .args(["run", "--config"])
        .arg(&file)
        .env_remove("MAYFLY_LOG");
    let ended = serve.home.start(&mut command).wait(secs(30));
    ended.exited(1);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "{said}");
    assert_eq!(said.matches(why).count(), 1, "{why:?} is to be said once: {said}");
    assert!(errors[0].contains(why), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(!said.contains(&token), "a token is in the log");
    said
}

/// An address of this test's own.
fn address() -> String {
    let [_, _, _, low] = std::process::id().to_be_bytes();
    format!("127.16.{low}.1")
}
