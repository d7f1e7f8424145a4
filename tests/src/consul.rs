//! Real Consul: one in dev mode, or three servers with ACLs. What is asked of it here is asked over plain HTTP, not with
//! the client under test.

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

const PORT: u16 = 8500;
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

/// Three servers with ACLs, default deny.
#[derive(Debug)]
pub struct Cluster {
    /// They all have the token that may do everything.
    pub servers: Vec<Consul>,
}

/// The program, of Debian's package; the first call fetches it.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let tool = programs::repository().join("bench/tools.py");
        let said = programs::must(Command::new("python3").arg(tool).arg("consul"));
        said.trim().into()
    })
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
        let mut stream = TcpStream::connect((self.address, PORT))?;
        stream.set_read_timeout(Some(wait::secs(CALL_SECS)))?;
        let token = self.token.as_deref().unwrap_or_default();
        // HTTP/1.0 has no chunks and ends with the connection.
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nX-Consul-Token: {token}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
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

    /// The same, for JSON.
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

    /// Makes a token with one policy.
    #[must_use]
    pub fn token_of(&self, policy: &Path) -> String {
        let name = policy.file_stem().unwrap().to_str().unwrap();
        let rules = fs::read_to_string(policy).unwrap();
        self.json("PUT", "/v1/acl/policy", &json!({ "Name": name, "Rules": rules }));
        self.token_with(name)
    }

    fn token_with(&self, policy: &str) -> String {
        let made = self.json(
            "PUT",
            "/v1/acl/token",
            &json!({ "Policies": [{ "Name": policy }] }),
        );
        made["SecretID"].as_str().unwrap().to_owned()
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

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}

impl Cluster {
    /// Starts it, and gives each server the token that it needs for its own records.
    #[must_use]
    pub fn new() -> Self {
        let addresses = [own_address(), own_address(), own_address()];
        let joins = addresses.map(|address| format!("-retry-join={address}"));
        let mut servers: Vec<Consul> = addresses.map(|address| server(address, &joins)).into();
        servers.iter_mut().for_each(Consul::spawn);
        servers.iter().for_each(Consul::wait_leader);
        let token = wait::until("the first token", wait::secs(BOOT), || {
            let (status, body) = servers[0].try_http("PUT", "/v1/acl/bootstrap", "").ok()?;
            let made: Value = serde_json::from_str(&body).ok()?;
            (status == 200).then(|| made["SecretID"].as_str().unwrap().to_owned())
        });
        servers
            .iter_mut()
            .for_each(|server| server.token = Some(token.clone()));
        let rules = r#"node_prefix "" { policy = "write" } service_prefix "" { policy = "read" }"#;
        servers[0].json(
            "PUT",
            "/v1/acl/policy",
            &json!({ "Name": "servers", "Rules": rules }),
        );
        let own = servers[0].token_with("servers");
        for server in &servers {
            let body = json!({ "Token": own }).to_string();
            server.http("PUT", "/v1/agent/token/agent", &body);
        }
        Self { servers }
    }
}

fn server(address: IpAddr, joins: &[String]) -> Consul {
    let mut consul = Consul::new(address, Vec::new());
    let config = consul.dir.path().join("server.json");
    let settings = json!({
        "acl": { "enabled": true, "default_policy": "deny", "down_policy": "extend-cache" },
        "performance": { "raft_multiplier": 1 },
    });
    fs::write(&config, settings.to_string()).unwrap();
    let data = consul.dir.path().join("data");
    consul.args = [
        format!("-node=server-{}", address.to_string().replace('.', "-")),
        "-server".into(),
        "-bootstrap-expect=3".into(),
        "-retry-interval=1s".into(),
        format!("-data-dir={}", data.display()),
        format!("-config-file={}", config.display()),
    ]
    .into_iter()
    .chain(joins.iter().cloned())
    .collect();
    consul
}
