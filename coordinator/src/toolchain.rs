//! What the nodes on this machine need: found or installed by `agent toolchain`, which an image's build runs too.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use crate::home::Home;

/// A part of what nodes need, as `agent toolchain --look` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Part {
    /// `java`, `python` or `spark`.
    pub name: String,
    /// Whether it is there.
    pub state: State,
    /// Where, or what is wrong.
    pub detail: String,
}

/// Whether a part is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is.
    Found,
    /// The first launch installs it.
    Install,
    /// Somebody has to install it.
    Missing,
}

/// One step of the installation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Step {
    /// What is being installed.
    pub name: String,
    /// How far it is.
    #[serde(default)]
    pub detail: String,
}

/// Longest message of a failed installation that is shown.
const MESSAGE_MAX: u64 = 16 * 1024;

/// Where downloads are kept: shared by all projects of a user where there is a home folder, else in `.mayfly`.
fn cache(home: &Home) -> PathBuf {
    match shared_cache() {
        Some(folder) if std::fs::create_dir_all(&folder).is_ok() && is_writable(&folder) => folder,
        Some(_) | None => home.path().join("cache"),
    }
}

fn shared_cache() -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("MAYFLY_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("mayfly")))
        .or_else(|| set("HOME").map(|folder| folder.join(".cache").join("mayfly")))
}

fn is_writable(folder: &Path) -> bool {
    tempfile::tempfile_in(folder).is_ok()
}

/// How long a look may take: programs are asked for their versions.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

/// What there is of what nodes need, with the Python that a job names, if it names one; nothing is installed.
///
/// # Errors
/// The agent cannot be asked.
pub async fn look(agent: &Path, home: &Path, spark: &str, python: Option<&str>) -> anyhow::Result<Vec<Part>> {
    let asked = Command::new(agent)
        .args(["toolchain", "--json", "--look", "--spark", spark, "--cache"])
        .arg(shared_cache().unwrap_or_else(|| home.join("cache")))
        .args(python.into_iter().flat_map(|python| ["--python", python]))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let said = tokio::time::timeout(LOOK_LIMIT, asked).await;
    let said = said
        .context("`agent toolchain` does not answer")?
        .context("start `agent toolchain`")?;
    let complaint = String::from_utf8_lossy(&said.stderr);
    anyhow::ensure!(said.status.success(), "{}", complaint.trim());
    let lines = String::from_utf8_lossy(&said.stdout);
    let parts = lines.lines().map(serde_json::from_str);
    parts
        .collect::<Result<_, _>>()
        .context("read what `agent toolchain` says")
}

/// `toolchain` of `node.json`, after everything in it is installed.
///
/// # Errors
/// Something is missing and cannot be installed; the message says what and how to mend it.
pub async fn ensure(
    agent: &Path,
    home: &Home,
    spark: &str,
    mut progress: impl FnMut(Step),
) -> anyhow::Result<Value> {
    let mut child = Command::new(agent)
        .args(["toolchain", "--json", "--spark", spark, "--cache"])
        .arg(cache(home))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("start `agent toolchain`")?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        anyhow::bail!("no pipe to `agent toolchain`");
    };
    let mut complaint = String::new();
    let mut stderr = stderr.take(MESSAGE_MAX);
    let mut lines = BufReader::new(stdout).lines();
    let steps = async {
        let mut last = None;
        while let Some(line) = lines.next_line().await? {
            match serde_json::from_str::<Step>(&line) {
                Ok(step) => progress(step),
                Err(_) => last = serde_json::from_str::<Value>(&line).ok(),
            }
        }
        std::io::Result::Ok(last)
    };
    let (last, _) = tokio::try_join!(steps, stderr.read_to_string(&mut complaint))
        .context("read from `agent toolchain`")?;
    let status = child.wait().await.context("wait for `agent toolchain`")?;
    let complaint = match complaint.trim() {
        // One that is killed says nothing.
        "" => format!(
            "`agent toolchain` ended before all was installed ({status}): the same command again goes on with it"
        ),
        said => said.to_owned(),
    };
    anyhow::ensure!(status.success(), "{complaint}");
    last.context("`agent toolchain` ended without saying what it found")
}
