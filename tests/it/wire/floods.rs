//! HTTP/2 that is spoken to wear the server out.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Serve;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const LIMIT: Duration = Duration::from_secs(10);
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
pub(super) const END_HEADERS: u8 = 4;
/// `:method: POST`, `:scheme: http`, `:path: /`, from HPACK's static table.
pub(super) const POST: [u8; 3] = [0x83, 0x86, 0x84];

#[test]
fn http2_that_wears_out() {
    mayfly_tests::programs::toolchain();
    let serve = Serve::start();
    Runtime::new().unwrap().block_on(async {
        let mut endless = frame(HEADERS, 0, 1, &POST);
        endless.extend(frame(CONTINUATION, 0, 1, &[]).repeat(200_000));
        hangs_up(serve.addr, "headers that never end", endless).await;
        serve.assert_well("headers that never end").await;

        let mut large = frame(HEADERS, 0, 1, &POST);
        // A literal header, never indexed: `x: ` and 16,000 times `a`, again and again.
        let mut header = vec![0x10, 1, b'x', 0x7f, 0x81, 0x7c];
        header.resize(6 + 16_000, b'a');
        large.extend(frame(CONTINUATION, 0, 1, &header).repeat(2_000));
        hangs_up(serve.addr, "32 MB of headers", large).await;
        serve.assert_well("32 MB of headers").await;

        let resets = (0..100_000u32).flat_map(|n| {
            let stream = 2 * n + 1;
            let mut both = frame(HEADERS, END_HEADERS, stream, &POST);
            both.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
            both
        });
        hangs_up(serve.addr, "100,000 streams that are reset", resets.collect()).await;
        serve.assert_well("100,000 streams that are reset").await;

        let held = no_window(serve.addr).await;
        serve.assert_well("answers that nobody has room for").await;
        drop(held);
    });
    serve.stop();
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The server ends the connection before it has read all of this.
async fn hangs_up(addr: SocketAddr, what: &str, flood: Vec<u8>) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let mut begin = PREFACE.to_vec();
    begin.extend(frame(SETTINGS, 0, 0, &[]));
    stream.write_all(&begin).await.unwrap();
    let (mut read, mut write) = stream.split();
    let writing = async {
        // It hangs up while we still talk; then nothing more is written, and the reader knows.
        drop(write.write_all(&flood).await);
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    let ended = tokio::select! {
        ended = timeout(LIMIT, read.read_to_end(&mut said)) => ended,
        () = writing => unreachable!("it pends"),
    };
    assert!(ended.is_ok(), "{what}: the connection stays open");
}

/// Calls whose answers the client has no room for; 64 of them at most are under way.
async fn no_window(addr: SocketAddr) -> (JoinSet<()>, Vec<h2::client::ResponseFuture>) {
    let stream = TcpStream::connect(addr).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0);
    let (mut send, connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move { drop(connection.await) });
    let mut answers = Vec::new();
    for _ in 0..60 {
        send = timeout(LIMIT, send.ready()).await.expect("a stream").unwrap();
        let request = http::Request::post("http://localhost/mayfly.v1.RunService/List")
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        let (answer, mut body) = send.send_request(request, false).unwrap();
        // An empty message.
        body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
        answers.push(answer);
    }
    (task, answers)
}
