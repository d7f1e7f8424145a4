//! What the nodes on this machine need: found or installed by `agent toolchain`, which an image's build runs too.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use crate::home::Home;

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
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let shared = set("MAYFLY_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("mayfly")))
        .or_else(|| set("HOME").map(|folder| folder.join(".cache").join("mayfly")));
    match shared {
        Some(folder) if std::fs::create_dir_all(&folder).is_ok() && is_writable(&folder) => folder,
        Some(_) | None => home.path().join("cache"),
    }
}

fn is_writable(folder: &Path) -> bool {
    tempfile::tempfile_in(folder).is_ok()
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
    anyhow::ensure!(status.success(), "{}", complaint.trim());
    last.context("`agent toolchain` ended without saying what it found")
}
