//! Spark's History Server over the event log of one run, on this machine's loopback, for as long as somebody holds it.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use mayfly_kit::layout;
use mayfly_kit::store::Store;
use mayfly_proto::{Attempt, RunId};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::embedded::agent_program;
use crate::home::Home;
use crate::toolchain::{self, Step};

/// Files of an event log at most, and their bytes in all.
const FILES_MAX: usize = 64;
const BYTES_MAX: u64 = 8 << 30;
/// Until it shows the run.
const START_LIMIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Times another port is tried: somebody may take the one that was free.
const PORTS: usize = 3;
/// Its last words, when it does not start, in bytes.
const COMPLAINT_MAX: usize = 2_000;

/// What is needed of `agent toolchain`'s answer.
#[derive(Deserialize)]
struct Tools {
    java: PathBuf,
    spark_home: PathBuf,
    scala_version: String,
}

#[derive(Deserialize)]
struct Application {
    id: String,
}

/// Why the history of a run is not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    /// The run left nothing that can be shown. Nothing has failed here.
    #[error("{0}")]
    Nothing(String),
    /// The store, the toolchain or the server failed.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// A History Server. Dropping it ends it: its keeper kills it when nobody holds the other end of its socket, whatever
/// becomes of this process.
pub(crate) struct History {
    /// `http://127.0.0.1:port`.
    pub(crate) url: String,
    /// The run as Spark calls it.
    pub(crate) application: String,
    child: Child,
    held: Option<UnixStream>,
    _folder: TempDir,
}

/// Which run's.
pub(crate) struct Wanted<'a> {
    pub(crate) store: &'a Store,
    pub(crate) run: &'a RunId,
    pub(crate) attempt: Attempt,
    /// Release of Spark that ran it.
    pub(crate) spark: &'a str,
    /// Where its pages will be for a browser, `/…`; empty where they are at their own address.
    pub(crate) base: &'a str,
}

impl History {
    /// Fetches the event log and starts the server; it shows the run when this returns.
    ///
    /// # Errors
    /// The run left no event log, or the server does not start.
    pub(crate) async fn start(
        home: &Home,
        wanted: &Wanted<'_>,
        progress: impl FnMut(Step) + Send,
    ) -> Result<Self, HistoryError> {
        let agent = agent_program()?;
        let folder = tempfile::Builder::new().prefix("mayfly-history-").tempdir();
        let folder = folder.context("make a folder for the event log")?;
        fetch(wanted, folder.path()).await?;
        let tools = toolchain::ensure(&agent, home, wanted.spark, progress).await?;
        let tools: Tools = serde_json::from_value(tools).context("read what `agent toolchain` found")?;
        let mut last = None;
        for _ in 0..PORTS {
            match at_a_port(&agent, &tools, wanted.base, folder.path()).await {
                Ok(Served {
                    url,
                    application,
                    child,
                    held,
                }) => {
                    return Ok(Self {
                        url,
                        application,
                        child,
                        held: Some(held),
                        _folder: folder,
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        let never = || anyhow::anyhow!("Spark’s History Server was not started");
        Err(last.unwrap_or_else(never).into())
    }

    /// The page of the run, below its address.
    pub(crate) fn path(&self) -> String {
        format!("/history/{}/jobs/", self.application)
    }

    /// Ends it and waits until nothing of it is left.
    pub(crate) async fn stop(mut self) {
        self.held = None;
        let _left = self.child.wait().await;
    }
}

/// A server that shows the run.
struct Served {
    url: String,
    application: String,
    child: Child,
    held: UnixStream,
}

async fn at_a_port(agent: &Path, tools: &Tools, base: &str, events: &Path) -> anyhow::Result<Served> {
    let port = free_port()?;
    let (held, mut child) = spawn(agent, tools, base, events, port)?;
    let url = format!("http://{}:{port}", Ipv4Addr::LOCALHOST);
    match shown(&url, &mut child, events).await {
        Ok(application) => Ok(Served {
            url,
            application,
            child,
            held,
        }),
        Err(error) => {
            drop(held);
            // The keeper leaves when nothing of it is left.
            let _left = child.wait().await;
            Err(error)
        }
    }
}

/// The files of the event log, side by side.
async fn fetch(wanted: &Wanted<'_>, to: &Path) -> Result<(), HistoryError> {
    let Wanted { run, attempt, .. } = wanted;
    let prefix = layout::events(run, *attempt);
    let entries = wanted.store.list_all(&prefix, FILES_MAX).await;
    let entries = entries.map_err(anyhow::Error::from)?;
    if entries.is_empty() {
        let when = "there is one once Spark has begun a job, and when it has been collected";
        return Err(HistoryError::Nothing(format!(
            "{run} left no event log in attempt {attempt}: {when}"
        )));
    }
    let bytes: u64 = entries.iter().map(|entry| entry.size).sum();
    if bytes > BYTES_MAX {
        return Err(HistoryError::Nothing(format!(
            "the event log of {run} has {bytes} bytes, more than the {BYTES_MAX} that are shown: it is at {}",
            wanted.store.s3_url(&prefix)
        )));
    }
    for entry in entries {
        let name = entry.key.rsplit('/').next().unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.starts_with('.') || name.is_empty() || !name.chars().all(plain) {
            continue;
        }
        let got = wanted.store.get_to_file(&entry.key, &to.join(name)).await;
        got.map_err(anyhow::Error::from)?;
    }
    Ok(())
}

fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr().context("find a free port")?.port())
}

fn spawn(
    agent: &Path,
    tools: &Tools,
    base: &str,
    events: &Path,
    port: u16,
) -> anyhow::Result<(UnixStream, Child)> {
    let (held, theirs) = UnixStream::pair().context("make a socket")?;
    let mut command = Command::new(agent);
    command.arg("keep").arg("--").arg(&tools.java);
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx1g"]);
    command.arg(format!(
        "-Dspark.history.fs.logDirectory=file://{}",
        events.display()
    ));
    command.arg(format!("-Dspark.history.ui.port={port}"));
    command.args([
        "-Dspark.port.maxRetries=0",
        "-Dspark.history.fs.cleaner.enabled=false",
    ]);
    if !base.is_empty() {
        command.arg(format!("-Dspark.ui.proxyBase={base}"));
    }
    command.arg("-cp").arg(tools.spark_home.join("jars/*"));
    command.arg("org.apache.spark.deploy.history.HistoryServer");
    let complaint = std::fs::File::create(events.join(".log")).context("make a file for its output")?;
    let also = complaint.try_clone().context("make a file for its output")?;
    command
        .env("SPARK_HOME", &tools.spark_home)
        .env("SPARK_SCALA_VERSION", &tools.scala_version)
        .process_group(0)
        // Loopback, and nothing else.
        .env("SPARK_LOCAL_IP", Ipv4Addr::LOCALHOST.to_string())
        .current_dir(events)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(complaint))
        .stderr(Stdio::from(also));
    let child = command.spawn().context("start Spark’s History Server")?;
    Ok((held, child))
}

/// Waits until it shows the run, and says what Spark calls it.
async fn shown(url: &str, child: &mut Child, folder: &Path) -> anyhow::Result<String> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(5))
        .build()
        .context("make an HTTP client")?;
    let until = Instant::now() + START_LIMIT;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().context("look after Spark’s History Server")? {
            anyhow::bail!("Spark’s History Server ended ({status}): {}", complaint(folder));
        }
        if let Some(application) = first(&client, url).await {
            return Ok(application);
        }
        sleep(LOOK_EVERY).await;
    }
    anyhow::bail!(
        "Spark’s History Server does not show the run: {}",
        complaint(folder)
    )
}

async fn first(client: &reqwest::Client, url: &str) -> Option<String> {
    let asked = client
        .get(format!("{url}/api/v1/applications"))
        .send()
        .await
        .ok()?;
    let applications: Vec<Application> = asked.error_for_status().ok()?.json().await.ok()?;
    let first = applications.into_iter().next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    first.id.chars().all(plain).then_some(first.id)
}

fn complaint(folder: &Path) -> String {
    let text = std::fs::read(folder.join(".log")).unwrap_or_default();
    let from = text.len().saturating_sub(COMPLAINT_MAX);
    String::from_utf8_lossy(text.get(from..).unwrap_or_default())
        .trim()
        .to_owned()
}
