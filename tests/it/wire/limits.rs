//! Limits of one connection: how many calls at once, how much of a header, and how long it may be silent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use mayfly_tests::wait::{patient, secs};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::Serve;
use super::bytes::{self, Connection, LIST, PUSH};
use super::floods::{END_HEADERS, HEADERS, POST, PREFACE, RST_STREAM, SETTINGS, frame};

const PING: u8 = 6;
/// Flag of SETTINGS and of PING.
const ACK: u8 = 1;
/// Flag of HEADERS.
const END_STREAM: u8 = 1;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const MAX_HEADER_LIST_SIZE: u16 = 6;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
/// Calls of one connection at one time.
const STREAMS: u32 = 64;

/// A frame that came.
#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    /// What the server says of itself.
    fn settings(&self) -> BTreeMap<u16, u32> {
        let (each, _) = self.payload.as_chunks::<6>();
        let pair =
            |&[a, b, c, d, e, f]: &[u8; 6]| (u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]));
        each.iter().map(pair).collect()
    }

    fn code(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

/// A connection of somebody who writes frames by hand, and acknowledges nothing but settings.
struct Raw(TcpStream);

impl Raw {
    /// Connects and greets; returns the server's settings too.
    async fn open(addr: SocketAddr) -> (Self, BTreeMap<u16, u32>) {
        let mut raw = Self(TcpStream::connect(addr).await.unwrap());
        raw.0.write_all(PREFACE).await.unwrap();
        raw.write(frame(SETTINGS, 0, 0, &[])).await;
        let first = raw.next().await.expect("the server greets");
        assert_eq!((first.kind, first.flags), (SETTINGS, 0), "{first:?}");
        raw.write(frame(SETTINGS, ACK, 0, &[])).await;
        (raw, first.settings())
    }

    async fn write(&mut self, bytes: Vec<u8>) {
        self.0.write_all(&bytes).await.unwrap();
    }

    /// The next frame; `None` when the server has hung up.
    async fn next(&mut self) -> Option<Frame> {
        let reading = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let [a, b, c, kind, flags, d, e, f, g] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]).try_into().unwrap()];
            self.0.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([d, e, f, g]);
            Some(Frame {
                kind,
                flags,
                stream,
                payload,
            })
        };
        let limit = patient(secs(30));
        timeout(limit, reading)
            .await
            .unwrap_or_else(|_| panic!("for {limit:?} the server neither spoke nor hung up"))
    }

    /// The next frame of a stream.
    async fn next_of_streams(&mut self) -> Frame {
        loop {
            let next = self.next().await.expect("the connection is kept");
            if next.stream > 0 {
                return next;
            }
        }
    }
}

/// The headers of a call.
fn call(path: &str, flags: u8, stream: u32) -> Vec<u8> {
    let [post, http, _] = POST;
    let mut block = vec![post, http];
    // Literals that are not indexed: `:path` and `content-type` have the numbers 4 and 31 in HPACK's static table.
    for (name, value) in [(&[4][..], path), (&[0x0f, 31 - 0x0f], "application/grpc")] {
        block.extend(name);
        block.push(value.len().try_into().unwrap());
        block.extend(value.bytes());
    }
    frame(HEADERS, flags | END_HEADERS, stream, &block)
}

/// The number of a client's stream.
fn nth(n: u32) -> u32 {
    2 * n - 1
}

#[test]
fn a_connection_has_so_many_calls_at_once() {
    mayfly_tests::programs::toolchain();
    let serve = Serve::start();
    Runtime::new().unwrap().block_on(async {
        let (mut raw, settings) = Raw::open(serve.addr).await;
        assert_eq!(
            settings.get(&MAX_CONCURRENT_STREAMS),
            Some(&STREAMS),
            "{settings:?}"
        );
        assert_eq!(settings.get(&MAX_HEADER_LIST_SIZE), Some(&8_192), "{settings:?}");
        // The server waits for the first word of each.
        for n in 1..=STREAMS + 1 {
            raw.write(call(PUSH, 0, nth(n))).await;
        }
        let refused = raw.next_of_streams().await;
        let what = (refused.kind, refused.stream);
        assert_eq!(what, (RST_STREAM, nth(STREAMS + 1)), "{refused:?}");
        assert_eq!(refused.code(), REFUSED_STREAM);
        // One that ends makes room for another.
        raw.write(frame(RST_STREAM, 0, nth(1), &CANCEL.to_be_bytes()))
            .await;
        raw.write(call(LIST, END_STREAM, nth(STREAMS + 2))).await;
        let answered = raw.next_of_streams().await;
        assert_eq!(
            (answered.kind, answered.stream),
            (HEADERS, nth(STREAMS + 2)),
            "{answered:?}"
        );
        serve.assert_well("more calls than there may be").await;
    });
    serve.stop();
}

#[test]
fn who_does_not_answer_a_ping_is_hung_up_on() {
    mayfly_tests::programs::toolchain();
    let serve = Serve::start();
    Runtime::new().unwrap().block_on(async {
        let mut answers = Connection::open(serve.addr).await;
        let (mut raw, _) = Raw::open(serve.addr).await;
        let mut pings = 0;
        while let Some(frame) = raw.next().await {
            pings += usize::from(frame.kind == PING && frame.flags & ACK == 0);
        }
        assert_eq!(pings, 1, "hung up on without being asked, or asked again");
        // Just as idle, and older, is one that answers.
        let called = answers.begin(LIST, &[], Some(bytes::frame(0, &[]))).await;
        let (response, _stream) = called.expect("a connection that answers pings is kept");
        let answer = timeout(patient(Duration::from_secs(10)), response).await;
        answer.expect("an answer").expect("an answer over HTTP/2");
        serve.assert_well("a ping without an answer").await;
    });
    serve.stop();
}
