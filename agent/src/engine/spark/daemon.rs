//! Keeps this node's Master or Worker running.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::super::orders::{decommissioned, told};
use super::super::{Context, Role, Status, private};
use super::conf;
use super::poll::Page;
use super::{Classes, MASTER_PORT, MASTER_UI_PORT, WORKER_UI_PORT, hold, jvm, listens, paths};
use crate::proctree::Snapshot;
use crate::supervise::{Child, Exit, Spec, Stream};

/// A daemon that dies more often than this is given up.
const RESTARTS_MAX: u32 = 3;
/// Before a daemon is started again: whatever held its port has let go by then.
const RESTART_PAUSE: Duration = Duration::from_millis(300);
const POLL_FORMING: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_secs(1);
/// A Worker that found no Master asks again only after 5 to 15 s; one that is not registered this long after the Master
/// took connections is better started anew.
const REGISTER_MAX: Duration = Duration::from_secs(3);
/// A JVM is given this long to start before its registration is judged. Both are doubled with each restart: on a machine
/// that is busy, starting it anew makes it later still.
const JVM_START: Duration = Duration::from_secs(4);

pub(super) struct Daemon {
    context: Context,
    /// Without what comes before its main class.
    spec: Spec,
    classes: Classes,
    page: Page,
    /// `host:port` of the master, on workers.
    master: Option<String>,
    master_page: Option<Page>,
    status: Status,
}

enum End {
    Died(Exit),
    Lost,
    Told(Duration),
}

impl Daemon {
    pub(super) fn new(context: &Context, role: &Role, classes: &Classes) -> io::Result<Self> {
        let folder = paths::conf(&context.folder);
        let properties = folder.join("daemon.properties");
        private::write(
            &context.keeper,
            &properties,
            &conf::render(&conf::daemon(context)),
        )?;
        private::write(&context.keeper, &jvm::logging(context), jvm::LOGGING)?;
        let (name, class, port, master) = match role {
            Role::Master => (
                "spark-master",
                "org.apache.spark.deploy.master.Master",
                MASTER_UI_PORT,
                None,
            ),
            Role::Worker { master } => (
                "spark-worker",
                "org.apache.spark.deploy.worker.Worker",
                WORKER_UI_PORT,
                Some(master.clone()),
            ),
        };
        let ui = SocketAddr::new(context.address, port);
        let mut args = [class, "--host", &context.address.to_string()]
            .map(OsString::from)
            .to_vec();
        args.extend([
            "--webui-port".into(),
            port.to_string().into(),
            "--properties-file".into(),
            properties.into(),
        ]);
        args.extend(role_args(context, role));
        let mut env = jvm::environment(context);
        env.push(("SPARK_HOME".into(), context.toolchain.spark_home.clone().into()));
        // They would ask Hadoop for it, all of whose user groups take longer than anything else of a start, for access lists
        // that are off. Executors have the driver's.
        env.push(("SPARK_USER".into(), name.into()));
        let spec = Spec {
            name: name.into(),
            stream: Stream::Engine,
            program: context.toolchain.java.clone().into(),
            args,
            env,
            cwd: context.folder.clone(),
            keeper: context.keeper.clone(),
        };
        let address = if master.is_none() {
            SocketAddr::new(context.address, MASTER_PORT).to_string()
        } else {
            String::new()
        };
        let status = Status {
            address,
            ui: format!("http://{ui}"),
            ..Status::default()
        };
        let host = master.as_deref().and_then(|master| master.rsplit_once(':'));
        let master_page = host.map(|(host, _)| Page::new(&format!("http://{host}:{MASTER_UI_PORT}")));
        Ok(Self {
            context: context.clone(),
            spec,
            classes: classes.clone(),
            page: Page::new(&status.ui)?,
            master_page: master_page.transpose()?,
            master,
            status,
        })
    }

    pub(super) async fn run(
        mut self,
        report: watch::Sender<Status>,
        mut stop: watch::Receiver<Option<Duration>>,
        mut leaving: watch::Receiver<bool>,
    ) {
        report.send_replace(self.status.clone());
        loop {
            let (spec, port) = self.next();
            let child = match Child::spawn(spec, self.context.lines.clone()).await {
                Ok(child) => child,
                Err(error) => {
                    return self.give_up(&report, format!("{} cannot be started: {error}", self.spec.name));
                }
            };
            let end = tokio::select! {
                exit = child.wait() => End::Died(exit),
                () = self.attend(&child, port, &report) => End::Lost,
                () = decommissioned(&mut leaving) => {
                    signal_end(&child);
                    // Whether it ends before it is told to is its own affair now.
                    End::Told(told(&mut stop).await)
                }
                grace = told(&mut stop) => End::Told(grace),
            };
            self.status.ready = false;
            self.status.alive_workers = 0;
            report.send_replace(self.status.clone());
            let how = match end {
                End::Told(grace) => {
                    leave(&child, grace).await;
                    return;
                }
                End::Lost => {
                    child.kill().await;
                    "did not register".to_owned()
                }
                End::Died(exit) => super::super::cause::of_exit(exit),
            };
            if self.status.restarts >= RESTARTS_MAX {
                return self.give_up(
                    &report,
                    format!("{} {how}, for the {}th time", self.spec.name, RESTARTS_MAX + 1),
                );
            }
            self.status.restarts += 1;
            tracing::warn!(
                daemon = self.spec.name,
                how,
                restarts = self.status.restarts,
                "start daemon again"
            );
            report.send_replace(self.status.clone());
            if timeout(RESTART_PAUSE, told(&mut stop)).await.is_ok() {
                return;
            }
        }
    }

    /// What is started next. A Worker gets another port each time: a Master that recovers greets those it knew before at
    /// their ports, and a new Worker there would take that for its registration.
    fn next(&self) -> (Spec, Option<u16>) {
        let mut spec = self.spec.clone();
        // Without one Spark chooses, and the Worker is not held back.
        let port = self
            .master
            .as_ref()
            .and_then(|_| free_port(self.context.address).ok());
        if let Some(port) = port {
            let last = spec.args.len().saturating_sub(1);
            spec.args
                .splice(last..last, ["--port".into(), port.to_string().into()]);
        }
        let spark_home = &self.context.toolchain.spark_home;
        // It may have died of what is missing in a class path of its own.
        let source = if self.status.restarts == 0 {
            self.classes.of_daemon(&spec.name, spark_home)
        } else {
            self.classes.all(&spec.name, spark_home)
        };
        spec.args.splice(0..0, jvm::daemon_args(&self.context, source));
        (spec, port)
    }

    /// Follows the daemon; returns when it has to be started anew.
    async fn attend(&mut self, child: &Child, port: Option<u16>, report: &watch::Sender<Status>) {
        // How long a fleet may take to form is the coordinator's to bound.
        if let (Some(master), Some(port)) = (&self.master_page, port) {
            hold::back(child, SocketAddr::new(self.context.address, port), master).await;
        }
        self.watch(report).await;
    }

    fn give_up(&mut self, report: &watch::Sender<Status>, why: String) {
        self.status.failed = Some(why);
        report.send_replace(self.status.clone());
    }

    /// Follows the daemon's page; returns when a Worker has to be started anew.
    async fn watch(&mut self, report: &watch::Sender<Status>) {
        let began = Instant::now();
        let patience = 1 << self.status.restarts.min(RESTARTS_MAX);
        let mut master_up: Option<Instant> = None;
        loop {
            match &self.master {
                None => {
                    let alive = self.page.alive_workers().await;
                    self.status.ready = alive.is_some();
                    self.status.alive_workers = alive.unwrap_or(self.status.alive_workers);
                }
                Some(master) => {
                    self.status.ready = self.page.registered().await.unwrap_or(self.status.ready);
                    if !self.status.ready && began.elapsed() > JVM_START * patience {
                        master_up = if listens(master).await {
                            master_up.or_else(|| Some(Instant::now()))
                        } else {
                            None
                        };
                        if master_up.is_some_and(|since| since.elapsed() > REGISTER_MAX * patience) {
                            return;
                        }
                    }
                }
            }
            report.send_if_modified(|last| {
                let changed = *last != self.status;
                last.clone_from(&self.status);
                changed
            });
            // The Master is asked often while workers are still to come: it costs it nothing.
            let forming =
                !self.status.ready || (self.master.is_none() && began.elapsed() < Duration::from_secs(60));
            sleep(if forming { POLL_FORMING } else { POLL }).await;
        }
    }
}

/// A daemon takes a third of a second to go by itself, and only a Worker has anything to end: its executors.
async fn leave(child: &Child, grace: Duration) {
    let has_executors =
        i32::try_from(child.pid()).is_ok_and(|pid| !Snapshot::take().children(pid).is_empty());
    if has_executors {
        child.stop(grace).await;
    } else {
        child.kill().await;
    }
}

fn free_port(address: IpAddr) -> io::Result<u16> {
    Ok(TcpListener::bind((address, 0))?.local_addr()?.port())
}

/// The Worker's last argument is its Master.
fn role_args(context: &Context, role: &Role) -> Vec<OsString> {
    match role {
        Role::Master => vec!["--port".into(), MASTER_PORT.to_string().into()],
        Role::Worker { master } => vec![
            "--cores".into(),
            context.cores.max(1).to_string().into(),
            "--memory".into(),
            format!("{}m", conf::worker_offer_mib(context.memory_bytes)).into(),
            "--work-dir".into(),
            paths::work(&context.folder).into(),
            format!("spark://{master}").into(),
        ],
    }
}

/// Spark's own sign for a machine that is about to go. A Master knows none, and is not told.
fn signal_end(worker: &Child) {
    if let Ok(pid) = i32::try_from(worker.pid()) {
        tracing::info!("the Worker hands over what it holds");
        // It may have died by itself.
        let _gone = kill(Pid::from_raw(pid), Signal::SIGPWR);
    }
}
