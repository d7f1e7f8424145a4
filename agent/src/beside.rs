//! The coordinator beside the agent of a master, where a run has no other: it is started with what the boot found out, and
//! again when it dies.

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mayfly_kit::backoff::{Backoff, Policy, jitter};
use mayfly_proto::RunId;
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::config::{ConsulSettings, NodeConfig};
use crate::supervise::{Child, Keeper, Line, Spec, Stream};

/// Where it listens for the nodes of its run.
const PORT: u16 = 7070;
/// What it gets, once this agent has nothing more to do, to give back all other machines and then this one: as long as AWS
/// lets machines live that nobody keeps.
const FAREWELL_MAX: Duration = Duration::from_secs(540);
const AGAIN: Policy = Policy {
    base: Duration::from_millis(500),
    cap: Duration::from_secs(15),
    budget: Duration::MAX,
};

/// What it is told, in a file that only this user reads. No `Debug`: it holds a key.
#[derive(Clone, Serialize)]
struct Told {
    run: RunId,
    key: String,
    instance: String,
    listen: String,
    home: PathBuf,
    bucket: String,
    prefix: String,
    region: String,
    store_endpoint: Option<String>,
    consul: Option<ConsulSettings>,
}

/// The coordinator of this master's run.
pub struct Beside {
    program: PathBuf,
    file: PathBuf,
    folder: PathBuf,
}

impl Beside {
    /// The program `coordinator` beside this one, with `key` for the run's package. Files go into `folder`.
    ///
    /// # Errors
    /// Its file cannot be written.
    pub fn new(config: &NodeConfig, key: &str, folder: &Path) -> io::Result<Self> {
        let told = Told {
            run: config.run.clone(),
            key: key.to_owned(),
            instance: config.machine_id.clone(),
            listen: listen(config.address),
            home: folder.join("coordinator"),
            bucket: config.store.bucket.clone(),
            prefix: config.store.prefix.clone(),
            region: config.store.region.clone(),
            store_endpoint: config.store.endpoint.clone(),
            consul: config.consul.clone(),
        };
        let file = folder.join("coordinator.json");
        std::fs::create_dir_all(folder)?;
        write_private(&file, &serde_json::to_vec(&told)?)?;
        Ok(Self {
            program: std::env::current_exe()?.with_file_name("coordinator"),
            file,
            folder: folder.to_owned(),
        })
    }

    /// Keeps it alive until it ends by itself, its run over; and, once `done` is true, until it has ended or had the time
    /// to. Its lines go to `lines`.
    pub async fn keep(self, keeper: Keeper, lines: mpsc::Sender<Line>, done: watch::Receiver<bool>) {
        let kept = Kept {
            spec: self.spec(&keeper),
            farewell: FAREWELL_MAX,
            may_end: true,
        };
        kept.keep(lines, done).await;
    }

    fn spec(&self, keeper: &Keeper) -> Spec {
        Spec {
            name: "coordinator".into(),
            stream: Stream::Agent,
            program: self.program.clone().into(),
            args: vec!["on-master".into(), self.file.clone().into()],
            env: std::env::vars_os().collect(),
            cwd: self.folder.clone(),
            keeper: Keeper::from(keeper.agent.clone()),
        }
    }
}

/// A program beside the agent that is started again when it dies.
pub(crate) struct Kept {
    /// What is started.
    pub(crate) spec: Spec,
    /// What it gets to end, once the agent has nothing more to do.
    pub(crate) farewell: Duration,
    /// Whether it is not started again once it has ended well.
    pub(crate) may_end: bool,
}

impl Kept {
    /// Until `done` is true, and then until it has ended.
    pub(crate) async fn keep(self, lines: mpsc::Sender<Line>, mut done: watch::Receiver<bool>) {
        let name = self.spec.name.clone();
        let mut waits = Backoff::new(AGAIN, jitter);
        loop {
            match Child::spawn(self.spec.clone(), lines.clone()).await {
                Err(error) => tracing::error!(%error, name, "a program beside this agent cannot be started"),
                Ok(child) => {
                    // One signal says that this agent has nothing more to do here.
                    let farewell = async {
                        // Its sender is gone: so is this agent.
                        drop(done.wait_for(|&done| done).await);
                        child.stop(self.farewell).await
                    };
                    let exit = tokio::select! {
                        exit = child.wait() => exit,
                        exit = farewell => exit,
                    };
                    if exit.success() && self.may_end {
                        return;
                    }
                    if !*done.borrow() {
                        tracing::error!(?exit, name, "a program beside this agent has died");
                    }
                }
            }
            let pause = sleep(waits.next().unwrap_or(AGAIN.cap));
            tokio::select! {
                () = pause => {}
                _told = done.wait_for(|&done| done) => return,
            }
        }
    }
}

pub(crate) fn listen(address: IpAddr) -> String {
    std::net::SocketAddr::new(address, PORT).to_string()
}

pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // One of an earlier life of this agent would keep its own mode.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(path)?;
    file.write_all(bytes)
}
