//! `coordinator serve`, in a home of its own.

use std::fs;
use std::net::SocketAddr;

use mayfly_kit::tls::{Dialer, Trust};
use mayfly_proto::v1;
use mayfly_proto::v1::run_service_client::RunServiceClient;
use mayfly_tests::Home;
use mayfly_tests::wait::{self, secs};
use tonic::Request;
use tonic::transport::Channel;

/// A coordinator that serves, and what it is asked and told below the command line.
pub(crate) struct Serve {
    rig: mayfly_tests::Serve,
    pub(crate) addr: SocketAddr,
    pub(crate) url: String,
    pub(crate) token: String,
    /// `sha256:…`, over TLS.
    pub(crate) fingerprint: Option<String>,
    pub(crate) home: Home,
}

impl Serve {
    /// In plaintext, on loopback.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With more flags.
    pub(crate) fn with(flags: &[&str]) -> Self {
        let home = Home::new();
        let rig = mayfly_tests::Serve::start_with(&home, flags);
        let (_, addr) = rig.url.split_once("://").unwrap();
        Self {
            addr: addr.parse().unwrap(),
            token: rig.token.clone(),
            fingerprint: rig.fingerprint.clone(),
            url: rig.url.clone(),
            rig,
            home,
        }
    }

    /// A connection of somebody who trusts it and shows nothing.
    pub(crate) async fn channel(&self) -> Channel {
        let pin = self.fingerprint.as_ref().map(|print| print.parse().unwrap());
        let dialer = Dialer::new(&self.url, pin.map(Trust::Pinned)).unwrap();
        let channel = dialer.connect(|endpoint| endpoint).await;
        channel.expect("the server takes a connection")
    }

    /// Still answers, and has used little memory.
    pub(crate) async fn assert_well(&self, after: &str) {
        let mut client = RunServiceClient::new(self.channel().await);
        let reply = client.list(bearer(&self.token, v1::ListRequest {})).await;
        assert!(reply.is_ok(), "after {after} the server says {reply:?}");
        let peak = peak_bytes(self.rig.pid());
        assert!(
            peak < 256 << 20,
            "after {after} the server has used {} MiB",
            peak >> 20
        );
    }

    /// Lines of its log with this text.
    pub(crate) fn logged(&self, text: &str) -> usize {
        let stderr = self.rig.stderr();
        stderr.lines().filter(|line| line.contains(text)).count()
    }

    /// Waits for a line of its log.
    pub(crate) fn wait_logged(&self, text: &str) {
        let limit = secs(10);
        wait::until(&format!("{text:?} in the log"), limit, || {
            (self.logged(text) > 0).then_some(())
        });
    }

    /// Ends by itself when it is told to.
    pub(crate) fn stop(self) {
        let ended = self.rig.stop();
        ended.exited(0);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }

    /// Kills it and starts another one in its home: the same for those who know it.
    pub(crate) fn again(&mut self) {
        self.rig.again(&self.home);
    }
}

/// A request with a token.
pub(crate) fn bearer<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// Most memory that a process had at one time.
pub(crate) fn peak_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}
