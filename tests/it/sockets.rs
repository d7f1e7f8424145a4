//! WebSockets of an engine's own page, through the coordinator: from a browser's first word to the end of the run.

use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};

use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Home, Job, Repo, Serve, slots};

const ENGINE: &str = r#"
about: A page with WebSockets.
workers: false
ports: {page: 8090}
master:
  run: [python3, "{code}/sockets.py", "{node.address}", "{ports.page}"]
  ui: page
  ready: {port: page}
jobs:
  .py: [python3, "{entry}"]
"#;
/// Of RFC 6455, with what is to be answered to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// WebSockets of a run at one time.
const SOCKETS_MAX: usize = 16;
/// More than one piece, and than a window of a stream.
const LONG: usize = 4 << 20;

/// The page of a run's engine, for a browser that was let in.
struct Page {
    at: SocketAddr,
    prefix: String,
    cookie: String,
}

/// The head of an answer, and what follows it.
struct Answer {
    head: String,
    stream: TcpStream,
}

fn ask(at: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(secs(20))).unwrap();
    stream.set_write_timeout(Some(secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let head = read_to(&mut stream, "\r\n\r\n");
    Answer { head, stream }
}

/// What comes up to this mark, and no byte more.
fn read_to(stream: &mut TcpStream, mark: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(mark.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        read.extend(byte);
    }
    String::from_utf8(read).unwrap()
}

impl Answer {
    #[track_caller]
    fn is(self, status: u16) -> Self {
        assert!(
            self.head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{}",
            self.head
        );
        self
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn line(&mut self) -> String {
        read_to(&mut self.stream, "\n").trim_end().to_owned()
    }

    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).unwrap();
        rest
    }

    /// What is said comes back.
    fn echoes(&mut self, size: usize) {
        let said: Vec<u8> = (0..=250).cycle().take(size).collect();
        let mut back = vec![0; size];
        let mut to = self.stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| to.write_all(&said).unwrap());
            self.stream.read_exact(&mut back).unwrap();
        });
        assert!(said == back, "something else came back");
    }
}

impl Page {
    fn of(serve: &Serve, run: &str) -> Self {
        let at: SocketAddr = serve.url.trim_start_matches("http://").parse().unwrap();
        let form = format!("token={}", serve.token);
        let login = format!(
            "POST /login HTTP/1.1\r\nHost: {at}\r\nOrigin: http://{at}\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let let_in = ask(at, &login).is(303);
        let cookie = let_in.header("set-cookie").unwrap().split(';').next().unwrap();
        Self {
            at,
            prefix: format!("/runs/{run}/spark"),
            cookie: cookie.to_owned(),
        }
    }

    fn get(&self, path: &str, headers: &str) -> Answer {
        let Self { at, prefix, .. } = self;
        ask(
            *at,
            &format!("GET {prefix}{path} HTTP/1.1\r\nHost: {at}\r\n{headers}\r\n"),
        )
    }

    /// As a browser asks for one, on behalf of a page of this origin.
    fn upgrade(&self, path: &str, more: &str) -> Answer {
        let headers = format!(
            "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
        );
        self.get(path, &(headers + more))
    }

    fn own(&self) -> String {
        format!("Origin: http://{}\r\nCookie: {}\r\n", self.at, self.cookie)
    }

    fn open(&self, path: &str) -> Answer {
        self.upgrade(path, &self.own()).is(101)
    }

    /// How many the engine has.
    fn count(&self) -> usize {
        let cookie = format!("Cookie: {}\r\nConnection: close\r\n", self.cookie);
        let body = self.get("/open", &cookie).is(200).rest();
        // One chunk.
        body.lines().nth(1).unwrap().parse().unwrap()
    }

    fn wait_for(&self, count: usize) {
        wait::until("the engine's sockets to be as many", secs(20), || {
            (self.count() == count).then_some(())
        });
    }
}

#[test]
fn a_websocket_of_an_engines_page_is_carried() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    std::fs::create_dir_all(home.scratch("engines")).unwrap();
    std::fs::write(home.scratch("engines/sockets.yml"), ENGINE).unwrap();
    let serve = Serve::start(&home);
    let job = Job::at_gate("sockets", &home, &repo, "holds.py").set("engine", "sockets");
    let mut launch = serve.launch(&home, &job.clone().without("workers"), &[]);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(60), || home.heard("holds"));
    let page = Page::of(&serve, run.id.as_str());

    strangers_are_refused(&page);
    page.upgrade("/none", &page.own()).is(404);
    let other = format!(
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nCookie: {}\r\n",
        page.cookie
    );
    page.get("/open", &other).is(200);
    assert_eq!(page.count(), 0, "sockets that were refused");

    let mut socket = page.open("/echo");
    assert_eq!(socket.header("sec-websocket-accept"), Some(ACCEPT));
    assert_eq!(socket.header("set-cookie"), None);
    let said = socket.line();
    let [host, origin, "none", "none"] = said.split(' ').collect::<Vec<_>>()[..] else {
        panic!("it was asked with {said}");
    };
    assert!(host.ends_with(":8090") && host != page.at.to_string(), "{host}");
    assert_eq!(origin, format!("http://{host}"), "the engine's own page");
    socket.echoes(LONG);

    // Either side may end it.
    assert_eq!(page.open("/bye").rest(), "bye");
    page.wait_for(1);
    drop(page.open("/echo"));
    page.wait_for(1);

    // Browsers that do not read hold up nobody: neither other sockets nor the node's reports.
    let mut held: Vec<_> = (2..SOCKETS_MAX).map(|_| page.open("/flood")).collect();
    socket.echoes(LONG);
    assert_eq!(page.count(), SOCKETS_MAX - 1);
    held.push(page.open("/echo"));
    let crowded = page.upgrade("/echo", &page.own()).is(503);
    drop(crowded);
    drop(held);
    page.wait_for(1);
    socket.echoes(1);

    home.tell("go");
    launch.wait(secs(60)).exited(0);
    assert_eq!(socket.rest(), "", "it ends with the run");
    serve.stop().exited(0);
}

/// A page elsewhere can open a WebSocket to any address, and the browser sends the cookie with it.
fn strangers_are_refused(page: &Page) {
    let Page { at, cookie, .. } = page;
    let cookie = format!("Cookie: {cookie}\r\n");
    for (status, what, headers) in [
        (
            403,
            "another page",
            format!("Origin: http://evil.example\r\n{cookie}"),
        ),
        (
            403,
            "another port",
            format!("Origin: http://127.0.0.1:1\r\n{cookie}"),
        ),
        (403, "another scheme", format!("Origin: https://{at}\r\n{cookie}")),
        (403, "a page without a name", format!("Origin: null\r\n{cookie}")),
        (403, "no page", cookie.clone()),
        (401, "nobody", format!("Origin: http://{at}\r\n")),
        (
            401,
            "a wrong token",
            format!("Origin: http://{at}\r\nAuthorization: Bearer x\r\n"),
        ),
    ] {
        let answer = page.upgrade("/echo", &headers);
        assert!(
            answer.head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{what}: {}",
            answer.head
        );
    }
}
