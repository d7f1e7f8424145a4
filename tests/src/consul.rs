//! Real Consul: one in dev mode, or three servers with ACLs. What is asked of it here is asked over plain HTTP, not with
//! the client under test.

mod cluster;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{programs, wait};

pub use cluster::Cluster;

const PORT: u16 = 8500;
const HTTPS_PORT: u16 = 8501;
const BOOT: u64 = 60;
const CALL_SECS: u64 = 5;
/// Lines of its log that are shown when a test fails.
const SHOWN: usize = 30;

/// A Consul that runs; it is killed when this is dropped. Each has a loopback address of its own, and so the usual ports.
#[derive(Debug)]
pub struct Consul {
    dir: TempDir,
    address: IpAddr,
    args: Vec<String>,
    token: Option<String>,
    child: Option<Child>,
}

/// The program, of Debian's package; the first call fetches it.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| programs::tool("consul"))
}

/// Nodes have higher ones.
fn own_address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let host = NEXT.fetch_add(1, Ordering::SeqCst);
    IpAddr::V4(Ipv4Addr::new(127, 2 + high % 13, low, host))
}

impl Default for Consul {
    fn default() -> Self {
        Self::dev()
    }
}

impl Consul {
    /// In dev mode: it keeps nothing over its end.
    #[must_use]
    pub fn dev() -> Self {
        let mut consul = Self::new(own_address(), vec!["-dev".into()]);
        consul.start();
        consul
    }

    /// With an address, and not running yet.
    #[must_use]
    pub fn absent() -> Self {
        Self::new(own_address(), vec!["-dev".into()])
    }

    /// In dev mode, with HTTPS too: its certificate comes from an authority of its own.
    #[must_use]
    pub fn with_tls() -> Self {
        let mut consul = Self::absent();
        let address = format!("-additional-ipaddress={}", consul.address);
        let tls = |args: &[&str]| {
            let mut command = Command::new(program());
            programs::must(command.arg("tls").args(args).current_dir(consul.dir.path()));
        };
        tls(&["ca", "create"]);
        tls(&["cert", "create", "-server", &address]);
        let settings = json!({
            "ports": { "https": HTTPS_PORT },
            "ca_file": consul.authority(),
            "cert_file": consul.dir.path().join("dc1-server-consul-0.pem"),
            "key_file": consul.dir.path().join("dc1-server-consul-0-key.pem"),
        });
        let config = consul.dir.path().join("tls.json");
        fs::write(&config, settings.to_string()).unwrap();
        consul.args.push(format!("-config-file={}", config.display()));
        consul.start();
        consul
    }

    /// The certificate of its authority.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join("consul-agent-ca.pem")
    }

    /// `https://host:port`, with TLS.
    #[must_use]
    pub fn https(&self) -> String {
        format!("https://{}:{HTTPS_PORT}", self.address)
    }

    fn new(address: IpAddr, args: Vec<String>) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("mayfly-consul-")
            .tempdir()
            .unwrap();
        Self {
            dir,
            address,
            args,
            token: None,
            child: None,
        }
    }

    /// Starts it and waits until it has a leader, and is in its own catalog.
    pub fn start(&mut self) {
        self.spawn();
        self.wait_leader();
        wait::until("Consul to know itself", wait::secs(BOOT), || {
            let (status, body) = self.try_http("GET", "/v1/catalog/service/consul", "").ok()?;
            (status == 200 && body.contains(&self.address.to_string())).then_some(())
        });
    }

    fn spawn(&mut self) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        let address = self.address.to_string();
        // It dies with the test, by whatever death.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program())
            .args(["agent", "-bind", &address, "-client", &address])
            .args(["-dns-port", "-1", "-grpc-port", "-1", "-serf-wan-port", "-1"])
            .args(["-log-level", "warn"])
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    fn wait_leader(&self) {
        wait::until("Consul's leader", wait::secs(BOOT), || {
            let (status, body) = self.try_http("GET", "/v1/status/leader", "").ok()?;
            (status == 200 && body.contains(':')).then_some(())
        });
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("consul.log")
    }

    /// `http://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}:{PORT}", self.address)
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().expect("Consul runs").id();
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
    }

    fn try_http(&self, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
        self.try_http_as(self.token.as_deref().unwrap_or_default(), method, path, body)
    }

    fn try_http_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect((self.address, PORT))?;
        stream.set_read_timeout(Some(wait::secs(CALL_SECS)))?;
        // HTTP/1.0 has no chunks and ends with the connection.
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nX-Consul-Token: {token}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        // Who refuses without reading the body answers, and then breaks the connection.
        if answer.is_empty() {
            read?;
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.unwrap_or(0), body.to_owned()))
    }

    /// Asks it something that it must grant.
    ///
    /// # Panics
    /// It does not.
    pub fn http(&self, method: &str, path: &str, body: &str) -> String {
        let (status, said) = self
            .try_http(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert_eq!(status, 200, "{method} {path}: {said}");
        said
    }

    /// The status of its answer to somebody with this token.
    ///
    /// # Panics
    /// There is no answer.
    #[must_use]
    pub fn status_as(&self, token: &str, method: &str, path: &str, body: &str) -> u16 {
        let answer = self.try_http_as(token, method, path, body);
        answer
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
            .0
    }

    /// The same as [`Consul::http`], for JSON.
    ///
    /// # Panics
    /// The answer is none.
    pub fn json(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let said = self.http(method, path, &body);
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{method} {path}: {error}: {said}"))
    }

    /// All instances of a service, with their checks.
    #[must_use]
    pub fn instances(&self, service: &str) -> Vec<Value> {
        let all = self.json("GET", &format!("/v1/health/service/{service}"), &Value::Null);
        all.as_array().cloned().unwrap()
    }

    /// Names of all services but Consul's own.
    #[must_use]
    pub fn services(&self) -> Vec<String> {
        let all = self.json("GET", "/v1/catalog/services", &Value::Null);
        let names = all.as_object().unwrap().keys();
        names.filter(|name| *name != "consul").cloned().collect()
    }
}

impl Drop for Consul {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(SHOWN)..];
            eprintln!("---- Consul at {}\n{}", self.url(), last.join("\n"));
        }
    }
}
