//! A person, or a program of one, who asks for what cannot be given.

use mayfly_proto::RunId;
use mayfly_proto::v1::run_service_client::RunServiceClient;
use mayfly_proto::v1::{self, LaunchRequest};
use tonic::Code;
use tonic::transport::Channel;

use super::{Serve, bearer, connect, refused};

/// About a run.
pub(super) async fn asks(serve: &Serve, live: &RunId) {
    use Code::{InvalidArgument, NotFound, Unauthenticated};
    let mut client = RunServiceClient::new(connect(&serve.url).await);
    let get = |run: &str| v1::GetRequest { run_id: run.into() };
    let token = serve.token.as_str();
    refused("no token", Unauthenticated, client.get(get(live.as_str())).await);
    refused(
        "a wrong token",
        Unauthenticated,
        client.get(bearer("x", get(live.as_str()))).await,
    );
    refused(
        "a list without a token",
        Unauthenticated,
        client.list(v1::ListRequest {}).await,
    );
    refused(
        "an unknown run",
        NotFound,
        client.get(bearer(token, get("live-aaaaaaaa"))).await,
    );
    refused(
        "a path",
        InvalidArgument,
        client.get(bearer(token, get("../../x"))).await,
    );
    let cancel = v1::CancelRequest {
        run_id: live.to_string(),
        level: 1,
    };
    refused(
        "a cancel without a token",
        Unauthenticated,
        client.cancel(cancel).await,
    );
    let watch = v1::WatchRequest {
        run_id: live.to_string(),
        from_line: 0,
    };
    refused(
        "a watch without a token",
        Unauthenticated,
        client.watch(watch).await,
    );
    let launch = LaunchRequest::default();
    refused(
        "a plan without a token",
        Unauthenticated,
        client.plan(launch.clone()).await,
    );
    refused(
        "an examination without a token",
        Unauthenticated,
        client.examine(launch).await,
    );
    sessions(&mut client, token, live).await;
    for deadline_secs in [0, 7 * 24 * 3600 + 1, u64::MAX] {
        let extend = v1::ExtendRequest {
            run_id: live.to_string(),
            deadline_secs,
        };
        let what = format!("{deadline_secs} s more");
        refused(&what, InvalidArgument, client.extend(bearer(token, extend)).await);
    }
}

/// Of a run that is none, and of those who may not.
async fn sessions(client: &mut RunServiceClient<Channel>, token: &str, live: &RunId) {
    use Code::{FailedPrecondition, InvalidArgument, NotFound, Unauthenticated};
    let bytes = |run: &str| {
        futures::stream::iter([v1::SessionBytes {
            run_id: run.into(),
            ..v1::SessionBytes::default()
        }])
    };
    let end = |run: &str| v1::EndSessionRequest { run_id: run.into() };
    let live = live.as_str();
    refused(
        "a session without a token",
        Unauthenticated,
        client.session(bytes(live)).await,
    );
    refused(
        "the end of a session without a token",
        Unauthenticated,
        client.end_session(end(live)).await,
    );
    for (run, code) in [
        ("live-aaaaaaaa", NotFound),
        ("../../x", InvalidArgument),
        (live, FailedPrecondition),
    ] {
        let session = client.session(bearer(token, bytes(run))).await;
        refused(&format!("a session of {run}"), code, session);
        let ended = client.end_session(bearer(token, end(run))).await;
        refused(&format!("the end of a session of {run}"), code, ended);
    }
}

struct Launcher<'s> {
    client: RunServiceClient<Channel>,
    token: &'s str,
}

impl Launcher<'_> {
    async fn not(&mut self, what: &str, code: Code, change: impl FnOnce(&mut LaunchRequest)) {
        let mut request = LaunchRequest {
            request_id: "r".into(),
            job_json: "{}".into(),
            commit: "0".repeat(40),
            ..LaunchRequest::default()
        };
        change(&mut request);
        refused(what, code, self.client.launch(bearer(self.token, request)).await);
    }
}

/// Launches of what is none.
#[rustfmt::skip] // One line for each case.
pub(super) async fn launches(serve: &Serve) {
    use Code::{InvalidArgument, OutOfRange};
    let client = RunServiceClient::new(connect(&serve.url).await);
    let mut launcher = Launcher {
        client,
        token: &serve.token,
    };
    launcher.not("nothing", InvalidArgument, |r| *r = LaunchRequest::default()).await;
    launcher.not("a job that is none", InvalidArgument, |_| {}).await;
    launcher.not("a job that is no JSON", InvalidArgument, |r| r.job_json = "{".into()).await;
    launcher.not("a job 10,000 deep", InvalidArgument, |r| r.job_json = "[".repeat(10_000)).await;
    launcher.not("a job of 1 MB", OutOfRange, |r| r.job_json = "x".repeat(1 << 20)).await;
    launcher.not("a part of a commit", InvalidArgument, |r| r.commit = "abcdef".into()).await;
    launcher.not("an option as commit", InvalidArgument, |r| r.commit = format!("--{}", "0".repeat(38))).await;
    launcher.not("another's bundle", InvalidArgument, |r| r.bundle_key = "runs/x/run.json".into()).await;
    launcher.not("a request id of 10 KB", InvalidArgument, |r| r.request_id = "x".repeat(10_240)).await;
    launcher.not("an owner of 10 KB", InvalidArgument, |r| r.owner = "x".repeat(10_240)).await;
}
