//! What is wrong on the wire gets the right answer, changes nothing, and leaves the server answering.

mod bytes;
mod claims;
mod node;
mod person;

use std::fs;
use std::net::SocketAddr;

use mayfly_proto::v1;
use mayfly_proto::v1::run_service_client::RunServiceClient;
use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Launch};
use nix::sys::signal::Signal;
use serde_json::Value;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

/// `coordinator serve`, in a home of its own.
struct Serve {
    command: Launch,
    addr: SocketAddr,
    url: String,
    token: String,
    home: Home,
}

impl Serve {
    fn start() -> Self {
        let home = Home::new();
        let mut command = home.start(&mut home.command(&["serve", "--json"]));
        let said: Value = {
            let stdout = command.until("the server's address", secs(60), || {
                let line = command_stdout(&home);
                line.ends_with('\n').then_some(line)
            });
            serde_json::from_str(&stdout).unwrap()
        };
        let text = |key: &str| said[key].as_str().unwrap().to_owned();
        let (url, token) = (text("url"), text("token"));
        let addr = url.strip_prefix("http://").unwrap().parse().unwrap();
        Self {
            command,
            addr,
            url,
            token,
            home,
        }
    }

    /// Still answers, and has used little memory.
    async fn assert_well(&self, after: &str) {
        let mut client = RunServiceClient::new(connect(&self.url).await);
        let reply = client.list(bearer(&self.token, v1::ListRequest {})).await;
        assert!(reply.is_ok(), "after {after} the server says {reply:?}");
        let peak = peak_bytes(self.command.pid());
        assert!(
            peak < 256 << 20,
            "after {after} the server has used {} MiB",
            peak >> 20
        );
    }

    /// Ends by itself when it is told to.
    fn stop(mut self) {
        self.command.signal(Signal::SIGTERM);
        let ended = self.command.wait(secs(30));
        ended.exited(0);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}

fn command_stdout(home: &Home) -> String {
    fs::read_to_string(home.scratch("command-0.out")).unwrap_or_default()
}

async fn connect(url: &str) -> Channel {
    Channel::from_shared(url.to_owned())
        .unwrap()
        .connect()
        .await
        .expect("the server takes a connection")
}

fn bearer<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn peak_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// Asserts that a call was refused with this code, and that its message says why.
#[track_caller]
fn refused<T: std::fmt::Debug>(what: &str, code: Code, reply: Result<T, Status>) {
    let status = reply.err().unwrap_or_else(|| panic!("{what} was taken"));
    assert_eq!(status.code(), code, "{what}: {status:?}");
    assert!(
        status.message().len() > 5,
        "{what} was refused without a word: {status:?}"
    );
}
