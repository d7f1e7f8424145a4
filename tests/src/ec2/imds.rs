//! Metadata of one instance, version 2, on a port of its own; and what may be wrong with it.

mod pages;
mod wire;

use std::collections::HashMap;
use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::Info;
use wire::{Answer, Request};

const TOKEN_PATH: &str = "/latest/api/token";
const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
const TTL_SECS: std::ops::RangeInclusive<u64> = 1..=21_600;
/// A body that nobody should read to its end.
const HUGE: usize = 10 << 20;
/// How long the credentials of the instance profile hold, unless a test says otherwise.
const CREDENTIALS_SECS: u64 = 6 * 3600;

/// What is wrong.
#[derive(Debug, Clone, Default)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// Connections are closed without an answer.
    Down,
    /// Every request is answered with this status.
    Status(u16),
    /// An answer takes so long.
    Slow(Duration),
    /// Ten megabytes of it.
    Huge,
    /// Another place is named.
    Redirect(String),
    /// These paths have these pages, instead of the true ones; `None` is 404.
    Lies(Vec<(String, Option<String>)>),
    /// Tokens are answered and not known any more when they are used.
    Forgetful,
    /// Credentials of the instance profile hold so many seconds only.
    ShortCredentials(u64),
}

/// It answers until it is dropped.
#[derive(Debug)]
pub(super) struct Metadata {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    info: Mutex<Info>,
    trouble: Mutex<Trouble>,
    tokens: Mutex<HashMap<String, Instant>>,
    made: AtomicU64,
    stop: AtomicBool,
}

impl Metadata {
    pub(super) fn start(info: Info) -> Self {
        let listener = TcpListener::bind((info.private_address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            info: Mutex::new(info),
            trouble: Mutex::default(),
            tokens: Mutex::default(),
            made: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::spawn(move || accept(&listener, &own));
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn update(&self, info: Info) {
        *lock(&self.shared.info) = info;
    }

    pub(super) fn trouble(&self, trouble: Trouble) {
        *lock(&self.shared.trouble) = trouble;
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let shared = Arc::clone(shared);
        // A client that hangs up in the middle is no trouble of ours.
        std::thread::spawn(move || drop(serve(&stream, &shared)));
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let trouble = lock(&shared.trouble).clone();
    if matches!(trouble, Trouble::Down) {
        return Ok(());
    }
    let request = Request::read(&mut BufReader::new(stream))?;
    if let Trouble::Slow(time) = trouble {
        pause(time);
    }
    let date = lock(&shared.info).now();
    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let answer = shared.answer(&request, &trouble);
    answer.with("Date", &date).write(stream)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own, which is there to be slow"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

impl Shared {
    fn answer(&self, request: &Request, trouble: &Trouble) -> Answer {
        match trouble {
            Trouble::Status(status) => return Answer::new(*status, "injected by the rig"),
            Trouble::Huge => return Answer::new(200, &"x".repeat(HUGE)),
            Trouble::Redirect(to) => return Answer::redirect(to),
            Trouble::None
            | Trouble::Down
            | Trouble::Slow(_)
            | Trouble::Lies(_)
            | Trouble::Forgetful
            | Trouble::ShortCredentials(_) => {}
        }
        if request.path == TOKEN_PATH {
            return self.token(request, trouble);
        }
        if request.method != "GET" {
            return Answer::new(405, "");
        }
        if !self.is_allowed(request) {
            return Answer::new(401, "");
        }
        self.page(&request.path, trouble)
            .map_or_else(|| Answer::new(404, ""), |page| Answer::new(200, &page))
    }

    fn page(&self, path: &str, trouble: &Trouble) -> Option<String> {
        if let Trouble::Lies(lies) = trouble
            && let Some((_, lie)) = lies.iter().find(|(of, _)| of == path)
        {
            return lie.clone();
        }
        let credentials_secs = if let Trouble::ShortCredentials(secs) = trouble {
            *secs
        } else {
            CREDENTIALS_SECS
        };
        pages::page(&lock(&self.info), path, credentials_secs)
    }

    fn token(&self, request: &Request, trouble: &Trouble) -> Answer {
        if request.method != "PUT" {
            return Answer::new(405, "");
        }
        // What comes through a proxy did not come from the instance.
        if request.headers.contains_key("x-forwarded-for") {
            return Answer::new(403, "");
        }
        let ttl = request.headers.get(TTL_HEADER).and_then(|secs| secs.parse().ok());
        let Some(secs) = ttl.filter(|secs| TTL_SECS.contains(secs)) else {
            return Answer::new(400, "");
        };
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        let digest = Sha256::digest(format!("{}{number}{:?}", lock(&self.info).id, Instant::now()));
        let token: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if !matches!(trouble, Trouble::Forgetful) {
            let until = Instant::now() + Duration::from_secs(secs);
            lock(&self.tokens).insert(token.clone(), until);
        }
        Answer::new(200, &token).with(TTL_HEADER, &secs.to_string())
    }

    fn is_allowed(&self, request: &Request) -> bool {
        match request.headers.get(TOKEN_HEADER) {
            Some(token) => lock(&self.tokens)
                .get(token)
                .is_some_and(|until| Instant::now() < *until),
            None => lock(&self.info).http_tokens != "required",
        }
    }
}
