//! Spark standalone: `java` itself for Master, Worker and driver, without the launcher's second JVM.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Context, Job, Role, Status, facts, private, runners};
use crate::prepare::PrepareError;
use crate::supervise::Child;

pub(crate) mod classes;
mod compiler;
pub mod conf;
mod daemon;
mod hold;
mod job;
mod jvm;
mod modules;
mod poll;
pub mod progress;

pub use classes::Classes;

/// Workers register here; every node has an address of its own.
pub const MASTER_PORT: u16 = 7077;
/// The Master's page.
pub const MASTER_UI_PORT: u16 = 8080;
/// A Worker's page.
pub const WORKER_UI_PORT: u16 = 8081;
/// The driver's page.
pub const DRIVER_UI_PORT: u16 = 4040;

/// Longest wait for a connection to a daemon's port.
const CONNECT_MAX: Duration = Duration::from_secs(1);

async fn listens(address: &str) -> bool {
    let connected = timeout(CONNECT_MAX, TcpStream::connect(address)).await;
    connected.is_ok_and(|socket| socket.is_ok())
}

/// What Spark leaves in the node's folder.
pub mod paths {
    use std::path::{Path, PathBuf};

    /// Properties, with the secret; 0700.
    #[must_use]
    pub fn conf(folder: &Path) -> PathBuf {
        folder.join("spark-conf")
    }
    /// The modules beside the entry, for the executors.
    #[must_use]
    pub fn modules(folder: &Path) -> PathBuf {
        folder.join("modules-of-the-job.zip")
    }
    /// Executors' working folders with their `stderr` and `stdout`.
    #[must_use]
    pub fn work(folder: &Path) -> PathBuf {
        folder.join("spark-work")
    }
    /// Shuffle files and other scratch.
    #[must_use]
    pub fn local(folder: &Path) -> PathBuf {
        folder.join("spark-local")
    }
    /// What the Master knows of workers and applications, for when it is started again.
    #[must_use]
    pub fn recovery(folder: &Path) -> PathBuf {
        folder.join("spark-recovery")
    }
}

/// This node's part of a Spark cluster. Dropping it kills the daemon (not a job that was submitted: that is its own value).
pub struct Engine {
    context: Context,
    role: Role,
    classes: Classes,
    status: watch::Receiver<Status>,
    decommission: watch::Sender<bool>,
    stop: watch::Sender<Option<Duration>>,
    tasks: JoinSet<()>,
}

impl Engine {
    /// Starts the Master or Worker. It comes up in the background: see [`Engine::status`].
    ///
    /// # Errors
    /// The node's folder cannot be written.
    pub fn start(context: Context, role: Role) -> io::Result<Self> {
        let classes = Classes::archived(&context.toolchain);
        Self::start_with(context, role, classes)
    }

    /// As [`Engine::start`], with a choice of how classes are loaded.
    ///
    /// # Errors
    /// The node's folder cannot be written.
    pub fn start_with(context: Context, role: Role, classes: Classes) -> io::Result<Self> {
        for folder in [paths::work, paths::local, super::events, paths::recovery] {
            std::fs::create_dir_all(folder(&context.folder))?;
            context.keeper.give(&folder(&context.folder))?;
        }
        std::fs::create_dir_all(&context.temporary)?;
        context.keeper.give(&context.temporary)?;
        private::folder(&paths::conf(&context.folder))?;
        context.keeper.show(&paths::conf(&context.folder))?;
        let own = facts::folder(&context);
        private::folder(&own)?;
        context.keeper.show(&own)?;
        runners::write(&context.keeper, &own)?;
        let (report, status) = watch::channel(Status::default());
        let (stop, stopped) = watch::channel(None);
        let (decommission, leaving) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(daemon::Daemon::new(&context, &role, &classes)?.run(report, stopped, leaving));
        Ok(Self {
            context,
            role,
            classes,
            status,
            stop,
            decommission,
            tasks,
        })
    }

    /// What is known of the daemon, now and later.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// This node's part.
    #[must_use]
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// Has a Worker hand its shuffle files and blocks to others and take no more tasks; what it runs may end. It is not
    /// started again after that.
    pub fn decommission(&self) {
        self.decommission.send_replace(true);
    }

    /// Ends the daemon and all executors: TERM, `grace`, KILL.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.send_replace(Some(grace));
        while self.tasks.join_next().await.is_some() {}
    }

    /// Checks the entry and starts the driver.
    ///
    /// # Errors
    /// The entry cannot be run (the job's doing), or the driver cannot be started (ours).
    pub async fn submit(&self, job: &Job) -> Result<Child, PrepareError> {
        job::submit(&self.context, &self.classes, job).await
    }

    /// Address of the driver's page while the job runs, for [`super::progress`].
    #[must_use]
    pub fn driver_ui(&self) -> String {
        format!(
            "http://{}",
            std::net::SocketAddr::new(self.context.address, DRIVER_UI_PORT)
        )
    }
}
