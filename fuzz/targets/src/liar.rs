//! A server on this machine that answers with what the fuzzer has made up: the clients of metadata and of Consul are tried
//! as they are, with their HTTP.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// What may be answered, beside a body.
pub(crate) const STATUS: [&str; 6] = [
    "200 OK",
    "404 Not Found",
    "403 Forbidden",
    "429 Too Many Requests",
    "500 Internal Server Error",
    "301 Moved",
];

/// Stands between the answers of one input, on a line of its own.
const BETWEEN: &[u8] = b"\n%%\n";

/// The parts of an input; all that is missing is empty.
pub(crate) fn parts<const N: usize>(mut input: &[u8]) -> [Vec<u8>; N] {
    std::array::from_fn(|_| {
        let at = input.windows(BETWEEN.len()).position(|window| window == BETWEEN);
        let (part, rest) = at.map_or((input, &[][..]), |at| {
            (&input[..at], &input[at + BETWEEN.len()..])
        });
        input = rest;
        part.to_vec()
    })
}

/// What is answered: a status, headers (whole lines) and a body.
pub(crate) struct Answer {
    /// As `200 OK`.
    pub(crate) status: &'static str,
    /// Each with its line end.
    pub(crate) headers: String,
    /// Any bytes.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// 200, with this body.
    pub(crate) fn of(body: &[u8]) -> Self {
        Self {
            status: "200 OK",
            headers: String::new(),
            body: body.to_vec(),
        }
    }
}

type Says = Box<dyn Fn(&str) -> Answer + Send>;

/// The server. It lives as long as the process.
pub(crate) struct Liar {
    runtime: Runtime,
    address: String,
    says: Arc<Mutex<Says>>,
}

impl Liar {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let says: Arc<Mutex<Says>> = Arc::new(Mutex::new(Box::new(|_| Answer::of(b""))));
        let shared = says.clone();
        runtime.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                connections.spawn(serve(stream, shared.clone()));
            }
        });
        Self {
            runtime,
            address,
            says,
        }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Runs `work` while every path is answered by `says`.
    pub(crate) fn during<T>(
        &self,
        says: impl Fn(&str) -> Answer + Send + 'static,
        work: impl Future<Output = T>,
    ) -> T {
        *self.says.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(says);
        self.runtime.block_on(work)
    }
}

/// One request after the other, none of which has a body that matters.
async fn serve(mut stream: TcpStream, says: Arc<Mutex<Says>>) {
    let mut request = vec![0; 16 * 1024];
    while let Ok(read) = stream.read(&mut request).await {
        let head = String::from_utf8_lossy(&request[..read]).into_owned();
        let Some(path) = head.split(' ').nth(1) else {
            return;
        };
        let Answer {
            status,
            headers,
            body,
        } = says.lock().unwrap_or_else(PoisonError::into_inner)(path);
        let head = format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let sent = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        if sent.is_err() {
            return;
        }
    }
}
