//! Processes of `tests/rig`, and what is asked of them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::Request;
use crate::programs;

const CALL_LIMIT: Duration = Duration::from_secs(90);
/// Of a rig that was told to end.
const END_LIMIT: Duration = Duration::from_secs(10);

/// `python -m mayfly_rig --factory`: the process of which all rigs of the tests are forked. It ends with the tests, by
/// whatever death, since its standard input is closed then, and all rigs with it.
#[derive(Debug)]
struct Factory {
    _child: Child,
    dir: TempDir,
}

impl Factory {
    /// The one of this process; the first call installs what the rig runs on.
    fn get() -> &'static Self {
        static FACTORY: OnceLock<Factory> = OnceLock::new();
        FACTORY.get_or_init(Self::start)
    }

    fn start() -> Self {
        let python: PathBuf = programs::tool("rig");
        let dir = tempfile::Builder::new().prefix("mayfly-rigs-").tempdir().unwrap();
        let mut child = Command::new(python)
            .args(["-m", "mayfly_rig", "--factory"])
            .arg(Self::socket(&dir))
            .current_dir(programs::repository().join("tests/rig"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert!(line.contains("socket"), "the factory of rigs said {line:?}");
        Self { _child: child, dir }
    }

    fn socket(dir: &TempDir) -> PathBuf {
        dir.path().join("socket")
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect(Self::socket(&self.dir)).expect("the factory of rigs listens")
    }
}

/// A rig. It ends when it is dropped, and with the tests: its connection is closed then.
#[derive(Debug)]
pub(super) struct Moto {
    connection: UnixStream,
    address: SocketAddr,
}

/// Rigs that run at one time must not give out the same addresses.
fn shift() -> u8 {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    const STEP: u8 = 7;
    let [_, _, _, own] = std::process::id().to_be_bytes();
    NEXT.fetch_add(STEP, Ordering::SeqCst).wrapping_add(own)
}

impl Moto {
    pub(super) fn start(log: &Path, settings: &Value) -> Self {
        let mut settings = settings.as_object().cloned().unwrap_or_default();
        settings.entry("loopback_shift").or_insert_with(|| shift().into());
        let mut connection = Factory::get().connect();
        let order = json!({"settings": settings, "log": log});
        writeln!(connection, "{order}").unwrap();
        let mut line = String::new();
        BufReader::new(&connection).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let complaint = fs::read_to_string(log).unwrap_or_default();
            panic!("the rig said {line:?}\n{complaint}")
        });
        let port = said["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        Self {
            connection,
            address: (Ipv4Addr::LOCALHOST, port.expect("a port")).into(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Moto {
    /// Tells it to end, and waits until it has: its side is closed then.
    fn drop(&mut self) {
        let _told = self.connection.shutdown(Shutdown::Write);
        let _bounded = self.connection.set_read_timeout(Some(END_LIMIT));
        let _ended = self.connection.read(&mut [0; 1]);
    }
}

/// `/_rig/…`, while it answers.
pub(super) fn try_call(at: SocketAddr, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    let path = format!("/_rig/{path}");
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = Request {
        method,
        path: &path,
        headers: &[("Content-Type", "application/json")],
        body: &body,
        limit: CALL_LIMIT,
    };
    let page = request.send(at)?;
    Some((page.status, serde_json::from_str(&page.body).ok()?))
}

pub(super) fn call(at: SocketAddr, method: &str, path: &str, body: &Value) -> Value {
    let (status, said) = try_call(at, method, path, body).expect("the rig answers");
    assert_eq!(status, 200, "{method} {path}: {said}");
    said
}

/// An object of S3. Nobody here checks who asks.
pub(super) fn object(at: SocketAddr, path: &str) -> Option<String> {
    let credential = credential("s3");
    let request = Request {
        headers: &[("Authorization", &credential)],
        limit: CALL_LIMIT,
        ..Request::get(path)
    };
    let page = request.send(at).expect("the rig answers");
    (page.status == 200).then_some(page.body)
}

/// A bucket that keeps every version of its objects, and lets nobody remove one for a day.
pub(super) fn make_locked(at: SocketAddr, bucket: &str) {
    const RULE: &str = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
        <Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
    let credential = credential("s3");
    let authorization = ("Authorization", credential.as_str());
    let locks = ("x-amz-bucket-object-lock-enabled", "true");
    for (path, headers, body) in [
        (format!("/{bucket}"), &[authorization, locks][..], ""),
        (format!("/{bucket}?object-lock"), &[authorization], RULE),
    ] {
        let request = Request {
            method: "PUT",
            path: &path,
            headers,
            body,
            limit: CALL_LIMIT,
        };
        let page = request.send(at).expect("the rig answers");
        assert_eq!(page.status, 200, "{path}: {}", page.body);
    }
}

fn credential(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=0"
    )
}

/// A call of a service that speaks forms. It is not signed: nobody here checks.
pub(super) fn aws(at: SocketAddr, service: &str, action: &str, params: &[(&str, &str)]) -> String {
    let (status, body) = try_aws(at, service, action, params);
    assert_eq!(status, 200, "{action}: {body}");
    body
}

/// The same, whatever is answered.
pub(super) fn try_aws(at: SocketAddr, service: &str, action: &str, params: &[(&str, &str)]) -> (u16, String) {
    let version = match service {
        "ec2" => "2016-11-15",
        "iam" => "2010-05-08",
        _ => "2011-01-01",
    };
    let mut body = format!("Action={action}&Version={version}");
    for (name, value) in params {
        body.push_str(&format!("&{name}={}", escaped(value)));
    }
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    post(at, service, &[kind], &body)
}

/// A call of a service that speaks JSON, by the target that names it. It is not signed: nobody here checks.
pub(super) fn aws_json(at: SocketAddr, service: &str, target: &str, body: &Value) {
    let kind = ("Content-Type", "application/x-amz-json-1.1");
    let (status, said) = post(at, service, &[kind, ("X-Amz-Target", target)], &body.to_string());
    assert_eq!(status, 200, "{target}: {said}");
}

fn post(at: SocketAddr, service: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let credential = credential(service);
    let request = Request {
        method: "POST",
        path: "/",
        headers: &[headers, &[("Authorization", credential.as_str())]].concat(),
        body,
        limit: CALL_LIMIT,
    };
    let page = request.send(at).expect("the rig answers");
    (page.status, page.body)
}

fn escaped(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The text of the first element of this name.
pub(super) fn text(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once('<')?;
    Some(value.to_owned())
}
