//! Bytes that are not the protocol.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use mayfly_proto::v1;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Serve;

const ENROLL: &str = "/mayfly.v1.AgentService/Enroll";
pub(super) const PUSH: &str = "/mayfly.v1.AgentService/PushLogs";
const CARRY: &str = "/mayfly.v1.AgentService/Carry";
const LAUNCH: &str = "/mayfly.v1.RunService/Launch";
pub(super) const LIST: &str = "/mayfly.v1.RunService/List";
/// Longest that any of this may take.
const LIMIT: Duration = Duration::from_secs(10);

const OK: i32 = 0;
const CANCELLED: i32 = 1;
const INVALID_ARGUMENT: i32 = 3;
const DEADLINE_EXCEEDED: i32 = 4;
const OUT_OF_RANGE: i32 = 11;
pub(super) const UNIMPLEMENTED: i32 = 12;
const INTERNAL: i32 = 13;
pub(super) const UNAUTHENTICATED: i32 = 16;

#[test]
fn bytes_that_are_no_protocol() {
    mayfly_tests::programs::toolchain();
    let serve = Serve::start();
    Runtime::new().unwrap().block_on(async {
        for (what, bytes) in not_http2() {
            greets_with(serve.addr, what, &bytes).await;
            serve.assert_well(what).await;
        }
        frames(&serve).await;
        headers(&serve).await;
        streams(&serve).await;
    });
    serve.stop();
}

fn not_http2() -> Vec<(&'static str, Vec<u8>)> {
    let mut hello = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    hello.resize(517, 0x5a);
    let mut oversized = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    oversized.extend([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]);
    oversized.resize(100_000, 0);
    vec![
        (
            "an HTTP/1.1 request",
            b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        ("an SSH banner", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        ("a TLS hello", hello),
        (
            "noise",
            (0..1_000_000u32)
                .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
                .collect(),
        ),
        ("a frame larger than any", oversized),
    ]
}

/// The server hangs up, sooner or later, and says nothing that such a client could take for an answer.
async fn greets_with(addr: SocketAddr, what: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // It may hang up while we still talk.
    drop(stream.write_all(bytes).await);
    drop(stream.shutdown().await);
    let mut reply = Vec::new();
    let read = timeout(LIMIT, stream.read_to_end(&mut reply)).await;
    assert!(read.is_ok(), "{what}: the connection stays open");
    assert!(
        !reply.starts_with(b"HTTP/1.1 200"),
        "{what}: {}",
        String::from_utf8_lossy(&reply)
    );
    assert!(reply.len() < 10_000, "{what}: {} bytes came back", reply.len());
}

pub(super) struct Connection {
    send: SendRequest<Bytes>,
    _task: JoinSet<()>,
}

#[derive(Debug)]
pub(super) struct Answer {
    http: u16,
    pub(super) grpc: Option<i32>,
    pub(super) message: String,
}

impl Connection {
    pub(super) async fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        let mut task = JoinSet::new();
        // How it ends is what the calls on it tell.
        task.spawn(async move { drop(connection.await) });
        Self { send, _task: task }
    }

    pub(super) async fn begin(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<(ResponseFuture, h2::SendStream<Bytes>), h2::Error> {
        let mut send = self.send.clone().ready().await?;
        let mut request =
            http::Request::post(format!("http://localhost{path}")).header("content-type", "application/grpc");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (response, mut stream) = send.send_request(request.body(()).unwrap(), false)?;
        if let Some(body) = body {
            // The server may have answered before it saw any of this; the answer tells.
            drop(stream.send_data(body.into(), true));
        }
        Ok((response, stream))
    }
}

pub(super) async fn call(
    addr: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Result<Answer, h2::Error> {
    let mut connection = Connection::open(addr).await;
    let (response, _stream) = connection.begin(path, headers, Some(body)).await?;
    let (head, mut body) = timeout(LIMIT, response).await.expect("an answer")?.into_parts();
    let mut trailers = head.headers.clone();
    while let Some(data) = timeout(LIMIT, body.data()).await.expect("the body") {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
    }
    trailers.extend(
        timeout(LIMIT, body.trailers())
            .await
            .expect("trailers")?
            .unwrap_or_default(),
    );
    let text = |name: &str| {
        trailers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Ok(Answer {
        http: head.status.as_u16(),
        grpc: text("grpc-status").and_then(|code| code.parse().ok()),
        message: text("grpc-message").unwrap_or_default(),
    })
}

/// A message as gRPC frames it, with the length that it claims.
fn claimed(flag: u8, length: u32, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend(length.to_be_bytes());
    frame.extend(message);
    frame
}

pub(super) fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    claimed(flag, u32::try_from(message.len()).unwrap(), message)
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[rustfmt::skip] // One line for each case.
async fn frames(serve: &Serve) {
    let enroll = v1::EnrollRequest {
        run_id: "live-aaaaaaaa".into(),
        ..v1::EnrollRequest::default()
    }
    .encode_to_vec();
    let mut trailing = enroll.clone();
    trailing.extend([0xff, 0xff, 0xff]);
    // Field 1 is a number; here it comes as a string.
    let wrong_type = [0x0a, 3, b'a', b'b', b'c'];
    // A message of one field, and no more than its first half.
    let half = &enroll[..enroll.len() / 2];
    // One of a kind that a newer program may know: field 9, with an empty message.
    let unknown_kind = [0x4a, 0];
    // Groups that begin and never end, in an unknown field.
    let nested = [0xfb, 0x01].repeat(10_000);
    let bomb = gzipped(&vec![0; 64 << 20]);
    let many = v1::LogBatch {
        lines: vec![String::new(); 10_000_000],
        ..v1::LogBatch::default()
    }
    .encode_to_vec();
    let refuses = async |what: &str, code: i32, path: &str, body: Vec<u8>| {
        expect(serve, what, code, (path, &[]), body).await;
    };
    refuses("no frame", INTERNAL, ENROLL, Vec::new()).await;
    refuses("half a frame's head", INTERNAL, ENROLL, vec![0, 0]).await;
    refuses("an empty message", INVALID_ARGUMENT, ENROLL, frame(0, &[])).await;
    refuses("a length of 16 MB and one", OUT_OF_RANGE, ENROLL, claimed(0, (16 << 20) + 1, &enroll)).await;
    refuses("a length of 4 GB", OUT_OF_RANGE, ENROLL, claimed(0, u32::MAX, &enroll)).await;
    refuses("a message cut off", INTERNAL, ENROLL, claimed(0, 5_000, &enroll)).await;
    refuses("compressed without an encoding", INTERNAL, ENROLL, frame(1, &gzipped(&enroll))).await;
    refuses("a flag that is none", INTERNAL, ENROLL, frame(7, &enroll)).await;
    refuses("a message that ends within a field", INTERNAL, ENROLL, frame(0, half)).await;
    refuses("a kind of word that is none", INVALID_ARGUMENT, CARRY, frame(0, &unknown_kind)).await;
    refuses("bytes after the message", INTERNAL, ENROLL, frame(0, &trailing)).await;
    refuses("a wrong wire type", INTERNAL, ENROLL, frame(0, &wrong_type)).await;
    refuses("groups 10,000 deep", INTERNAL, ENROLL, frame(0, &nested)).await;
    refuses("ten million items", OUT_OF_RANGE, PUSH, frame(0, &many)).await;
    refuses("a launch without a token", UNAUTHENTICATED, LAUNCH, frame(0, &[])).await;
    refuses("a method that is none", UNIMPLEMENTED, "/mayfly.v1.AgentService/Nothing", frame(0, &[])).await;
    refuses("a service that is none", UNIMPLEMENTED, "/grpc.reflection.v1.Reflection/List", frame(0, &[])).await;
    let gzip = (ENROLL, &[("grpc-encoding", "gzip")][..]);
    expect(
        serve,
        "an encoding that nobody offered",
        UNIMPLEMENTED,
        gzip,
        frame(1, &bomb),
    )
    .await;
}

type Target<'t> = (&'t str, &'t [(&'t str, &'t str)]);

async fn expect(serve: &Serve, what: &str, code: i32, (path, headers): Target<'_>, body: Vec<u8>) {
    let answer = call(serve.addr, path, headers, body).await;
    let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(answer.grpc, Some(code), "{what}: {}", answer.message);
    serve.assert_well(what).await;
}

async fn headers(serve: &Serve) {
    let bearer = format!("Bearer {}", serve.token);
    let names: Vec<String> = (0..1_000).map(|n| format!("x-header-number-{n}")).collect();
    let thousand: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "some value")).collect();
    let megabyte = "x".repeat(1 << 20);
    for (what, headers) in [
        ("1,000 headers", thousand),
        ("a header of 1 MB", vec![("x-large", megabyte.as_str())]),
    ] {
        // Refused as HTTP (431) or by ending the stream, never taken.
        if let Ok(answer) = call(serve.addr, LIST, &headers, frame(0, &[])).await {
            assert!(
                answer.http >= 400 && answer.grpc != Some(OK),
                "{what}: {answer:?}"
            );
        }
        serve.assert_well(what).await;
    }
    let auth = ("authorization", bearer.as_str());
    for (what, header) in [
        ("a negative timeout", ("grpc-timeout", "-1S")),
        ("a timeout of ages", ("grpc-timeout", "99999999H")),
        ("a timeout of words", ("grpc-timeout", "soon")),
        ("a binary header that is no base64", ("trace-bin", "%%%")),
        ("no `te`", ("x-nothing", "")),
    ] {
        let answer = call(serve.addr, LIST, &[auth, header], frame(0, &[]))
            .await
            .unwrap();
        assert!(
            matches!(answer.grpc, Some(OK | INVALID_ARGUMENT | INTERNAL)),
            "{what}: {answer:?}"
        );
        serve.assert_well(what).await;
    }
    // A time that is over before the call began is kept, or too short for anybody to keep; a long one takes nothing.
    for (timeout, codes) in [
        ("0n", &[OK, CANCELLED, DEADLINE_EXCEEDED][..]),
        ("0S", &[OK, CANCELLED, DEADLINE_EXCEEDED]),
        ("1n", &[OK, CANCELLED, DEADLINE_EXCEEDED]),
        ("87660H", &[OK]),
    ] {
        let headers = [auth, ("grpc-timeout", timeout)];
        let answer = call(serve.addr, LIST, &headers, frame(0, &[])).await.unwrap();
        assert!(
            answer.grpc.is_some_and(|code| codes.contains(&code)),
            "{timeout}: {answer:?}"
        );
        serve.assert_well(timeout).await;
    }
    for token in [
        "",
        "Bearer",
        "Bearer ",
        "Basic eDp5",
        "bearer \u{1}",
        &megabyte[..7_000],
    ] {
        let Ok(value) = http::HeaderValue::from_str(token) else {
            continue;
        };
        let answer = call(
            serve.addr,
            LIST,
            &[("authorization", value.to_str().unwrap())],
            frame(0, &[]),
        )
        .await
        .unwrap();
        assert_eq!(answer.grpc, Some(UNAUTHENTICATED), "{token:.20}: {answer:?}");
    }
}

async fn streams(serve: &Serve) {
    // Opened and silent; half open; opened and never read.
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(serve.addr).await.unwrap());
    }
    let mut idle = Connection::open(serve.addr).await;
    let mut open = Vec::new();
    for _ in 0..50 {
        open.push(idle.begin(PUSH, &[], None).await.unwrap());
    }
    serve.assert_well("streams that nobody writes to").await;
    // Its own half is over before it said anything.
    let answer = call(serve.addr, PUSH, &[], Vec::new()).await.unwrap();
    assert_eq!(answer.grpc, Some(OK), "lines of nobody: {answer:?}");
    drop((silent, open, idle));
    let mut resets = Connection::open(serve.addr).await;
    for number in 0..5_000 {
        // At some point the server has had enough of this connection.
        let Ok((response, mut stream)) = resets.begin(PUSH, &[], None).await else {
            assert!(number > 10, "hung up after {number} resets");
            break;
        };
        stream.send_reset(h2::Reason::CANCEL);
        drop(response);
    }
    serve.assert_well("streams that are reset").await;
}
