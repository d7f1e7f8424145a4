//! Real Git over HTTP: `git http-backend` behind a small server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::{Router, http};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

/// How the server behaves.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Manner {
    Serves,
    WantsLogin,
    Redirects,
    Hangs,
}

/// A server that ends with this value.
pub(crate) struct GitServer {
    pub(crate) addr: SocketAddr,
    _tasks: JoinSet<()>,
}

impl GitServer {
    /// Serves the repositories below `root`.
    pub(crate) async fn start(root: PathBuf, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let app = Router::new().fallback(move |request: Request| answer(root.clone(), manner, request));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { addr, _tasks: tasks }
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.addr)
    }
}

async fn answer(root: PathBuf, manner: Manner, request: Request) -> Response {
    match manner {
        Manner::Serves => backend(root, request).await,
        Manner::WantsLogin => (
            http::StatusCode::UNAUTHORIZED,
            [("www-authenticate", "Basic realm=\"x\"")],
            "",
        )
            .into_response(),
        Manner::Redirects => (
            http::StatusCode::FOUND,
            [("location", "http://169.254.169.254/latest/x.git/info/refs")],
            "",
        )
            .into_response(),
        Manner::Hangs => std::future::pending().await,
    }
}

async fn backend(root: PathBuf, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 64 << 20).await.unwrap();
    let header = |name: &str| {
        head.headers
            .get(name)
            .map(|v| v.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "uploadpack.allowFilter")
        .env("GIT_CONFIG_VALUE_0", "true")
        .env("REQUEST_METHOD", head.method.as_str())
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (written, done) = tokio::join!(
        async move {
            let written = stdin.write_all(&body).await;
            drop(stdin);
            written
        },
        child.wait_with_output()
    );
    drop(written);
    respond(&done.unwrap().stdout)
}

fn respond(cgi: &[u8]) -> Response {
    let split = cgi.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let mut response = http::Response::builder();
    for line in String::from_utf8_lossy(&cgi[..split]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(cgi[split + 4..].to_vec().into()).unwrap()
}
