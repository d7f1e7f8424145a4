//! The engines that need more than data: each has a name, which a definition chooses it by.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use futures::future::BoxFuture;
use mayfly_proto::engine::{Daemon, Definition, JobKind, Template};
use mayfly_proto::v1::Progress;
use tokio::sync::watch;

use super::{Context, Job, Role, Status, spark};
use crate::prepare::PrepareError;
use crate::supervise::Child;

/// One of them, running.
pub enum Engine {
    /// `spark`.
    Spark(spark::Engine),
}

impl Engine {
    pub(super) fn start(hook: &str, context: Context, role: Role) -> io::Result<Self> {
        match hook {
            "spark" => spark::Engine::start(context, role).map(Self::Spark),
            other => Err(io::Error::other(format!("this agent has no hook {other:?}"))),
        }
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        let Self::Spark(engine) = self;
        engine.status()
    }

    pub(super) fn decommission(&self) {
        let Self::Spark(engine) = self;
        engine.decommission();
    }

    pub(super) async fn stop(self, grace: Duration) {
        let Self::Spark(engine) = self;
        engine.stop(grace).await;
    }

    pub(super) async fn submit(&self, job: &Job) -> Result<Child, PrepareError> {
        let Self::Spark(engine) = self;
        engine.submit(job).await
    }

    pub(super) fn follow(&self, report: watch::Sender<Progress>) -> BoxFuture<'static, ()> {
        let Self::Spark(engine) = self;
        Box::pin(spark::progress::follow(engine.driver_ui(), report))
    }
}

/// The engine of a coordinator that says nothing of engines: there was one.
pub(crate) fn of_old() -> Result<Definition, String> {
    let words = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| Template::new(*text))
            .collect::<Result<Vec<_>, _>>()
    };
    let kind = |class| {
        Ok::<_, String>(JobKind {
            run: words(&["{entry}", "{args}"])?,
            class,
            ..JobKind::default()
        })
    };
    let daemon = |port: &str, ui: &str| {
        Some(Daemon {
            port: Some(port.into()),
            ui: Some(ui.into()),
            ..Daemon::default()
        })
    };
    Ok(Definition {
        name: "spark".into(),
        hook: Some("spark".into()),
        workers: true,
        ports: BTreeMap::from([
            ("master".into(), spark::MASTER_PORT),
            ("master_ui".into(), spark::MASTER_UI_PORT),
            ("worker_ui".into(), spark::WORKER_UI_PORT),
        ]),
        master: daemon("master", "master_ui"),
        worker: daemon("worker_ui", "worker_ui"),
        jobs: BTreeMap::from([(".py".into(), kind(false)?), (".jar".into(), kind(true)?)]),
        ..Definition::default()
    })
}
