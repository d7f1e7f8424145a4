//! Real Git over HTTP: `git http-backend` as a CGI program behind a small server.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Largest request that is taken, in bytes.
const BODY_MAX: u64 = 64 << 20;

/// Serves one folder of repositories until it is dropped.
#[derive(Debug)]
pub struct GitServer {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl GitServer {
    /// Serves every repository below `root`.
    #[must_use]
    pub fn start(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (root, stopped) = (root.to_owned(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || accept(&listener, &root, &stopped));
        Self {
            addr,
            stop,
            thread: Some(thread),
        }
    }

    /// The address of a repository: its path below the root.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.addr)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.addr));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn accept(listener: &TcpListener, root: &Path, stopped: &AtomicBool) {
    while let Ok((stream, _)) = listener.accept() {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        let root: PathBuf = root.to_owned();
        // A client that hangs up in the middle is no trouble of ours.
        std::thread::spawn(move || drop(answer(&stream, &root)));
    }
}

fn answer(stream: &TcpStream, root: &Path) -> io::Result<()> {
    let request = read(&mut BufReader::new(stream))?;
    let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .envs([
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "uploadpack.allowFilter"),
            ("GIT_CONFIG_VALUE_0", "true"),
        ])
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A backend that refuses the request does not read it.
        drop(stdin.write_all(&request.body));
    }
    respond(stream, &child.wait_with_output()?.stdout)
}

fn read(reader: &mut BufReader<&TcpStream>) -> io::Result<Request> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = Vec::new();
    if headers
        .get("transfer-encoding")
        .is_some_and(|how| how == "chunked")
    {
        read_chunks(reader, &mut body)?;
    } else {
        let length = headers
            .get("content-length")
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        reader.take(BODY_MAX.min(length)).read_to_end(&mut body)?;
    }
    Ok(Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body,
    })
}

fn read_chunks(reader: &mut BufReader<&TcpStream>, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let size = u64::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        reader.take(BODY_MAX.min(size)).read_to_end(body)?;
        reader.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(());
        }
    }
}

fn respond(mut stream: &TcpStream, cgi: &[u8]) -> io::Result<()> {
    let end = cgi.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(cgi.len());
    let (head, body) = cgi.split_at(end);
    let mut status = "200 OK".to_owned();
    let mut headers = String::new();
    for line in String::from_utf8_lossy(head).lines() {
        match line.strip_prefix("Status: ") {
            Some(said) => said.clone_into(&mut status),
            None => headers.push_str(&format!("{line}\r\n")),
        }
    }
    let body = body.get(4..).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}
