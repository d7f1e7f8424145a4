//! Every call of people wants their token, and none but theirs.

use jiff::Timestamp;
use mayfly_coordinator::home::Home;
use mayfly_coordinator::run::Role;
use mayfly_coordinator::tokens::Tokens;
use mayfly_proto::RunId;
use tokio::runtime::Runtime;

use super::Serve;
use super::bytes::{Answer, UNAUTHENTICATED, UNIMPLEMENTED, call, frame};

/// What there is to be called: what is added to it is tested too.
const PROTO: &str = include_str!("../../../proto/mayfly/v1/run.proto");
/// Calls that there were when this was written.
const CALLS_MIN: usize = 13;

#[test]
fn every_call_of_people_wants_their_token() {
    mayfly_tests::programs::toolchain();
    let serve = Serve::start();
    let calls = calls();
    assert!(calls.len() >= CALLS_MIN, "{calls:?}");
    Runtime::new().unwrap().block_on(async {
        for path in &calls {
            for (who, shown) in strangers(&serve) {
                let answer = ask(&serve, path, shown.as_deref()).await;
                let code = answer.grpc;
                assert_eq!(code, Some(UNAUTHENTICATED), "{path} with {who}: {answer:?}");
                assert!(answer.message.len() > 5, "{path} with {who}: {answer:?}");
            }
            // The token is what they lacked: with it the call itself is judged.
            let answer = ask(&serve, path, Some(&format!("Bearer {}", serve.token))).await;
            let judged = answer
                .grpc
                .is_some_and(|code| code != UNAUTHENTICATED && code != UNIMPLEMENTED);
            assert!(judged, "{path} with the token: {answer:?}");
        }
        serve.assert_well("calls without the token").await;
    });
    serve.wait_logged("a call without a valid token was refused");
    for (who, shown) in strangers(&serve) {
        let token = shown.as_deref().and_then(|shown| shown.rsplit(' ').next());
        let logged = token.is_some_and(|token| token.len() > 10 && serve.logged(token) > 0);
        assert!(!logged, "{who} is in the log");
    }
    assert_eq!(serve.logged(&serve.token), 0, "the token is in the log");
    serve.stop();
}

/// Paths of all calls of people.
fn calls() -> Vec<String> {
    let names = PROTO.lines().filter_map(|line| {
        let (name, _) = line.trim().strip_prefix("rpc ")?.split_once('(')?;
        Some(format!("/mayfly.v1.RunService/{name}"))
    });
    names.collect()
}

/// What they are, and the header that they show: tokens of this very coordinator among them, for something else.
fn strangers(serve: &Serve) -> Vec<(&'static str, Option<String>)> {
    let tokens = Tokens::kept(&Home::open(&serve.home.path()).unwrap()).unwrap();
    let run: RunId = "live-abcdefgh".parse().unwrap();
    let joining = tokens.joining(&run).token(Role::Master, Timestamp::now());
    let session = tokens.session(&run, "master-1", "boot");
    let own = &serve.token;
    let bearer = |token: &str| Some(format!("Bearer {token}"));
    vec![
        ("no token", None),
        ("another token", bearer("another-token-of-somebody")),
        ("a node's join token", bearer(&joining)),
        ("a node's session", bearer(&session)),
        ("a part of the token", bearer(&own[..own.len() - 1])),
        ("more than the token", bearer(&format!("{own}a"))),
        ("the token alone", Some(own.clone())),
        ("the token in another scheme", Some(format!("Basic {own}"))),
    ]
}

/// Calls with an empty message.
async fn ask(serve: &Serve, path: &str, shown: Option<&str>) -> Answer {
    let headers: Vec<_> = shown.iter().map(|&shown| ("authorization", shown)).collect();
    let answer = call(serve.addr, path, &headers, frame(0, &[])).await;
    answer.unwrap_or_else(|error| panic!("{path}: {error}"))
}
