//! Many connections that want nothing: nodes and people are not kept waiting.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::join_all;
use mayfly_proto::v1;
use mayfly_proto::v1::run_service_client::RunServiceClient;
use mayfly_tests::wait;
use nix::sys::resource::{Resource, getrlimit};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::rustls::version::TLS13;

use super::socket::{self, Http2};
use crate::server::{Serve, bearer};

/// Addresses that the crowds come from.
const HALF_OPEN: [u8; 4] = [127, 0, 0, 2];
/// Handshakes at one time.
const AT_A_TIME: usize = 20;
const IDLE: [u8; 4] = [127, 0, 0, 3];
/// Longest that an answer may take meanwhile.
pub(super) const ANSWER: Duration = Duration::from_secs(3);

/// Connections that stay as they are.
pub(super) struct Crowd {
    _half_open: Vec<TcpStream>,
    _idle: Vec<Http2>,
}

impl Crowd {
    /// As many as this machine has files for, at most 1,000 of each: half open in TLS, and idle in HTTP/2.
    pub(super) async fn gather(home: &Path, to: SocketAddr) -> Self {
        let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1_024, |(soft, _)| soft);
        let each = usize::try_from(files / 6).unwrap().min(1_000);
        let client = socket::client(home, &[&TLS13], None);
        let connect = async |_| {
            let stream = socket::tcp(IDLE, to).await.unwrap();
            let stream = socket::tls(&client, stream).await.unwrap();
            socket::http2(stream).await.unwrap()
        };
        // A few at a time: a handshake has its limit.
        let mut idle = Vec::new();
        while idle.len() < each {
            idle.extend(join_all((0..AT_A_TIME).map(connect)).await);
        }
        let half_open = join_all((0..each).map(|_| socket::tcp(HALF_OPEN, to))).await;
        Self {
            _half_open: half_open.into_iter().map(Result::unwrap).collect(),
            _idle: idle,
        }
    }
}

/// Asks for the list of runs, over a new connection, for this time; returns the longest wait.
pub(super) async fn ask_for(serve: &Serve, time: Duration) -> Duration {
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < time {
        let asked = Instant::now();
        let mut client = RunServiceClient::new(serve.channel().await);
        let reply = client.list(bearer(&serve.token, v1::ListRequest {})).await;
        reply.expect("an answer in the crowd");
        longest = longest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    longest
}

#[test]
fn a_crowd_keeps_nobody_waiting() {
    mayfly_tests::programs::toolchain();
    let serve = Serve::with(&["--tls"]);
    Runtime::new().unwrap().block_on(async {
        let crowd = Crowd::gather(&serve.home.path(), serve.addr).await;
        // Longer than a handshake may take, and than a ping may be unanswered.
        let longest = ask_for(&serve, Duration::from_secs(7)).await;
        assert!(longest < ANSWER, "somebody waited {longest:?}");
        drop(crowd);
        serve.assert_well("a crowd").await;
        one_address_does_not_get_all(&serve).await;
        resets(&serve).await;
    });
    serve.stop();
}

/// Whoever opens more than its share is hung up on; others are not.
async fn one_address_does_not_get_all(serve: &Serve) {
    // A machine that is busy may give up on the first of them before the last one has come.
    let greedy = async {
        while serve.logged("too many connections") == 0 {
            let all = (0..1_200).map(|_| socket::tcp([127, 0, 0, 4], serve.addr));
            let held = join_all(all).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(held);
        }
    };
    let limit = wait::patient(wait::secs(30));
    let refused = tokio::time::timeout(limit, greedy).await;
    assert!(
        refused.is_ok(),
        "nobody of the greedy address was refused within {limit:?}"
    );
    serve.assert_well("a greedy address").await;
}

/// Streams that are opened and reset, again and again.
async fn resets(serve: &Serve) {
    let client = socket::client(&serve.home.path(), &[&TLS13], None);
    let stream = socket::tcp([127, 0, 0, 5], serve.addr).await.unwrap();
    let stream = socket::tls(&client, stream).await.unwrap();
    let http2 = socket::http2(stream).await.unwrap();
    for number in 0..5_000 {
        let request = http::Request::post("http://localhost/mayfly.v1.AgentService/PushLogs").body(());
        // At some point the server has had enough of this connection.
        let Ok(mut send) = http2.send.clone().ready().await else {
            assert!(number > 10, "hung up after {number} resets");
            break;
        };
        let Ok((response, mut stream)) = send.send_request(request.unwrap(), false) else {
            break;
        };
        stream.send_reset(h2::Reason::CANCEL);
        drop(response);
    }
    serve.assert_well("streams that are reset").await;
}
