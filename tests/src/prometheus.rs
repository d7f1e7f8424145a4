//! Real Prometheus, of Debian's packages.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{http, programs, wait};

const BOOT: u64 = 60;
/// Lines of its log that are shown when a test fails.
const SHOWN: usize = 30;

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Debian {
    /// The package of Debian 12.
    Twelve,
    /// That of Debian 11, which can ask Consul; the other one cannot.
    Eleven,
}

impl Debian {
    /// The folder with `prometheus` and `promtool`; the first call fetches them.
    fn folder(self) -> PathBuf {
        let name = match self {
            Self::Twelve => "prometheus",
            Self::Eleven => "prometheus-consul",
        };
        programs::tool(name)
    }

    /// `promtool check config`.
    ///
    /// # Panics
    /// It complains.
    pub fn check_config(self, path: &std::path::Path) {
        programs::must(
            Command::new(self.folder().join("promtool"))
                .args(["check", "config"])
                .arg(path),
        );
    }

    /// `promtool check metrics`: the page can be read, and follows the conventions.
    ///
    /// # Panics
    /// It complains.
    pub fn check_metrics(self, page: &str) {
        let mut tool = Command::new(self.folder().join("promtool"))
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        tool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let done = tool.wait_with_output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            done.status.success() && said.trim().is_empty(),
            "promtool: {said}\n{page}"
        );
    }
}

/// A Prometheus that runs; it is killed when this is dropped.
#[derive(Debug)]
pub struct Prometheus {
    dir: TempDir,
    address: SocketAddr,
    child: Child,
}

/// Labels and value of a series.
pub type Series = (BTreeMap<String, String>, f64);

impl Prometheus {
    /// Starts one with this configuration and waits until it serves.
    #[must_use]
    pub fn start(debian: Debian, config: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("mayfly-prometheus-")
            .tempdir()
            .unwrap();
        fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        // It dies with the test, by whatever death.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(debian.folder().join("prometheus"))
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg("--web.listen-address=127.0.0.1:0")
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut started = Self { dir, address, child };
        started.address = wait::until("Prometheus' address", wait::secs(BOOT), || started.listens());
        wait::until("Prometheus", wait::secs(BOOT), || {
            http::try_get(started.address, "/-/ready").filter(|page| page.status == 200)
        });
        started
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The port that it chose is the one that its process listens on.
    fn listens(&self) -> Option<SocketAddr> {
        let pid = self.child.id();
        let own: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
            .ok()?
            .flatten()
            .filter_map(|fd| Some(fs::read_link(fd.path()).ok()?.to_str()?.to_owned()))
            .collect();
        let table = fs::read_to_string("/proc/net/tcp").ok()?;
        table.lines().skip(1).find_map(|line| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            let (local, state, inode) = (cells.get(1)?, cells.get(3)?, cells.get(9)?);
            let listening = *state == "0A" && own.contains(&format!("socket:[{inode}]"));
            let port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
            listening.then(|| SocketAddr::from(([127, 0, 0, 1], port)))
        })
    }

    /// Asks its HTTP API.
    ///
    /// # Panics
    /// It refuses.
    #[must_use]
    pub fn api(&self, path: &str) -> Value {
        let page = http::get(self.address, &format!("/api/v1/{path}"));
        let answer: Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!(answer["status"], "success", "{path}: {answer:#}");
        answer["data"].clone()
    }

    /// The series that an expression gives now.
    #[must_use]
    pub fn query(&self, expression: &str) -> Vec<Series> {
        let data = self.api(&format!("query?query={}", encoded(expression)));
        let series = data["result"].as_array().unwrap();
        series
            .iter()
            .map(|one| (labels(one), number(&one["value"])))
            .collect()
    }

    /// The latest sample of each series of the last ten minutes, with its time in Unix seconds.
    #[must_use]
    pub fn last(&self, selector: &str) -> Vec<(Series, f64)> {
        let data = self.api(&format!("query?query={}", encoded(&format!("{selector}[10m]"))));
        let series = data["result"].as_array().unwrap();
        let last = |one: &Value| one["values"].as_array().unwrap().last().unwrap().clone();
        series
            .iter()
            .map(|one| ((labels(one), number(&last(one))), last(one)[0].as_f64().unwrap()))
            .collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(SHOWN)..];
            eprintln!("---- Prometheus at {}\n{}", self.address, last.join("\n"));
        }
    }
}

fn labels(series: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(series["metric"].clone()).unwrap()
}

/// A sample is a time and a value, as text.
fn number(sample: &Value) -> f64 {
    sample[1].as_str().unwrap().parse().unwrap()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
