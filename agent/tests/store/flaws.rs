//! faults.md 68, 69, 71: what a store, or the way there, does once in a while, between the client and our own S3 server.

#![expect(clippy::indexing_slicing, reason = "a test that fails says where")]

use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;

/// What happens to the first request that it fits.
#[derive(Debug, Clone, Copy)]
enum Flaw {
    /// This is the answer, and nothing is done.
    Says(&'static str, &'static str),
    /// It is done, and this is the answer.
    Denies(&'static str, &'static str),
    /// It is done, and nobody is told: the connection ends.
    HangsUp,
    /// One bit of its body is another one.
    Flips,
}

/// A flaw, the beginning of the request line that it fits, and what else is in that line.
type Rule = (Flaw, &'static str, &'static str);

/// Where the client finds the store; one request a connection.
struct Way {
    url: String,
    rule: Arc<Mutex<Option<Rule>>>,
    _tasks: JoinSet<()>,
}

impl Way {
    async fn to(endpoint: &str) -> Self {
        let server: SocketAddr = endpoint.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let rule = Arc::new(Mutex::new(None));
        let (own, mut tasks) = (Arc::clone(&rule), JoinSet::new());
        tasks.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                carried.spawn(carry(client, server, Arc::clone(&own)));
            }
        });
        Self {
            url,
            rule,
            _tasks: tasks,
        }
    }

    fn has(&self, rule: Rule) {
        *self.rule.lock().unwrap() = Some(rule);
    }

    fn struck(&self) -> bool {
        self.rule.lock().unwrap().is_none()
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, rule: Arc<Mutex<Option<Rule>>>) {
    let Some((head, mut body)) = request(&mut client).await else {
        return;
    };
    let line = head.lines().next().unwrap_or_default();
    let flaw = rule
        .lock()
        .unwrap()
        .take_if(|(_, begins, has)| line.starts_with(*begins) && line.contains(*has))
        .map(|(flaw, ..)| flaw);
    if let Some(Flaw::Says(status, text)) = flaw {
        let _left = client.write_all(answered(status, text).as_bytes()).await;
        return;
    }
    if let Some(Flaw::Flips) = flaw {
        let middle = body.len() / 2;
        body[middle] ^= 1;
    }
    let (first, rest) = head.split_once("\r\n").unwrap();
    let head = format!("{first}\r\nconnection: close\r\n{rest}");
    let mut upstream = TcpStream::connect(server).await.unwrap();
    upstream.write_all(head.as_bytes()).await.unwrap();
    upstream.write_all(&body).await.unwrap();
    let mut answer = Vec::new();
    let _ended = upstream.read_to_end(&mut answer).await;
    if let Some(Flaw::Denies(status, text)) = flaw {
        answer = answered(status, text).into_bytes();
    }
    if !matches!(flaw, Some(Flaw::HangsUp)) {
        let _left = client.write_all(&answer).await;
    }
}

fn answered(status: &str, text: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
}

/// Head and body of the one request of a connection.
async fn request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    let end = loop {
        let count = client.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let mut body = bytes.split_off(end);
    while body.len() < length {
        let count = client.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        body.extend_from_slice(&buffer[..count]);
    }
    Some((head, body))
}

/// A rig whose store is reached through a flawed way.
async fn flawed() -> (Rig, Way) {
    let mut rig = rig().await;
    let way = Way::to(rig.config.endpoint.as_deref().unwrap()).await;
    rig.config.endpoint = Some(way.url.clone());
    rig.store = Store::open(&rig.config);
    (rig, way)
}

const INTERNAL: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InternalError</Code>\
                        <Message>We encountered an internal error. Please try again.</Message></Error>";
const UNKNOWN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchUpload</Code>\
                       <Message>The specified upload does not exist.</Message></Error>";
const CONFLICT: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>ConditionalRequestConflict</Code>\
                        <Message>A conflicting conditional operation is in progress.</Message></Error>";

#[tokio::test]
async fn whatever_becomes_of_a_request_once_every_file_arrives_once_and_as_it_is() {
    // Of two parts.
    let large: Vec<u8> = (0..12_000_000_u32)
        .flat_map(|n| (n % 251).to_le_bytes().into_iter().take(1))
        .collect();
    for (name, rule) in [
        (
            "an error in a success",
            (Flaw::Says("200 OK", INTERNAL), "POST ", "uploadId="),
        ),
        (
            "a completed upload whose answer is lost",
            (Flaw::HangsUp, "POST ", "uploadId="),
        ),
        (
            "a completed upload that is not known any more",
            (Flaw::Denies("404 Not Found", UNKNOWN), "POST ", "uploadId="),
        ),
        ("a part with another bit", (Flaw::Flips, "PUT ", "partNumber=2")),
        ("a file with another bit", (Flaw::Flips, "PUT ", "results/small")),
        (
            "a file whose answer is lost",
            (Flaw::HangsUp, "PUT ", "results/small"),
        ),
        (
            "a file that somebody else is writing",
            (Flaw::Says("409 Conflict", CONFLICT), "PUT ", "results/small"),
        ),
    ] {
        let (rig, way) = flawed().await;
        let folder = rig.folder.path().join("results");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("large"), &large).unwrap();
        std::fs::write(folder.join("small"), "as it is").unwrap();
        way.has(rule);
        let sent = send(&rig, &folder)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(way.struck(), "{name}: it did not happen");
        assert_eq!((sent.files.len(), sent.skipped.len()), (2, 0), "{name}");
        for file in sent.files {
            let key = format!("{}{}", layout::results(&run_id(), Attempt::FIRST), file.path);
            let stored = rig.store.get(&key).await.unwrap();
            let stored = stored
                .unwrap_or_else(|| panic!("{name}: {key} is not there"))
                .bytes;
            assert!(
                stored == std::fs::read(folder.join(&file.path)).unwrap(),
                "{name}: {key} has other bytes"
            );
            assert_eq!(
                file.sha256,
                format!("{:x}", Sha256::digest(&stored)),
                "{name}: what is said of {key}"
            );
        }
        let left = rig.store.abort_all("").await.unwrap();
        assert_eq!(left, 0, "{name}: uploads whose parts are left");
    }
}

#[tokio::test]
async fn a_commit_that_meets_another_write_is_tried_again_and_one_that_was_made_is_ours() {
    for flaw in [Flaw::Says("409 Conflict", CONFLICT), Flaw::HangsUp] {
        let (rig, way) = flawed().await;
        let folder = rig.folder.path().join("results");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a"), "aaa").unwrap();
        let uploaded = send(&rig, &folder).await.unwrap();
        manifest(&rig, NodeId::master(1), &uploaded).await;
        way.has((flaw, "PUT ", "_COMMIT.json"));
        let request = request_of(vec![NodeId::master(1)]);
        let committed = commit::commit(&rig.store, &request).await;
        let committed = committed.unwrap_or_else(|error| panic!("{flaw:?}: {error:?}"));
        assert_eq!(committed, Committed::Ours, "{flaw:?}");
        assert!(way.struck(), "{flaw:?}: it did not happen");
        let other = Request {
            exit_code: Some(1),
            ..request
        };
        let refused = commit::commit(&rig.store, &other).await.unwrap();
        assert_eq!(
            refused,
            Committed::Lost(Attempt::FIRST),
            "{flaw:?}: a second commit, of something else"
        );
    }
}
