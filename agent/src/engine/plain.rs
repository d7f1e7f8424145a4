//! An engine that is data and nothing else: one daemon on each node, or none, and a command line for the job.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::BoxFuture;
use mayfly_proto::engine::Facts;
use mayfly_proto::engine::facts::SHORT;
use mayfly_proto::v1::Progress;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Context, Job, Python, Role, Status, env, facts, private, runners};
use crate::prepare::PrepareError;
use crate::supervise::{Child, Spec, Stream};

mod ask;
mod daemon;
mod files;
mod ready;
mod unstartable;

/// A node's part of such a cluster.
pub struct Engine {
    context: Context,
    role: Role,
    python: watch::Receiver<Option<Python>>,
    status: watch::Receiver<Status>,
    drain: watch::Sender<bool>,
    stop: watch::Sender<Option<Duration>>,
    tasks: JoinSet<()>,
}

impl Engine {
    pub(super) fn start(
        context: Context,
        role: Role,
        python: watch::Receiver<Option<Python>>,
    ) -> io::Result<Self> {
        let keeper = &context.keeper;
        for folder in [&facts::own_events(&context), &context.temporary] {
            std::fs::create_dir_all(folder)?;
            keeper.give(folder)?;
        }
        keeper.give(&super::events(&context.folder))?;
        let folder = facts::folder(&context);
        private::folder(&folder)?;
        runners::write(keeper, &folder)?;
        // Daemons write there, too.
        keeper.give(&folder)?;
        if context.fleet.definition.names(SHORT) {
            let short = facts::short(&context);
            // One of an agent of this node that was killed.
            let _none = std::fs::remove_dir_all(&short);
            private::folder(&short)?;
            keeper.give(&short)?;
        }
        let (report, status) = watch::channel(Status::default());
        let (stop, stopped) = watch::channel(None);
        let (drain, leaving) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let daemon = daemon::Daemon::new(&context, &role, report);
        tasks.spawn(daemon.run(python.clone(), stopped, leaving));
        Ok(Self {
            context,
            role,
            python,
            status,
            drain,
            stop,
            tasks,
        })
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    pub(super) fn drain(&self) {
        self.drain.send_replace(true);
    }

    pub(super) async fn stop(mut self, grace: Duration) {
        self.stop.send_replace(Some(grace));
        while self.tasks.join_next().await.is_some() {}
    }

    pub(super) async fn submit(&self, job: &Job) -> Result<Child, PrepareError> {
        let submission = facts::submission(&self.context, job)?;
        let facts = &submission.facts;
        files::for_job(&self.context, facts, &job.workers)
            .map_err(|error| PrepareError::infra(format!("write the engine's files: {error}")))?;
        let python = self.python.borrow().clone().unwrap_or_default();
        let mut variables = environment(&self.context, facts, &python).map_err(PrepareError::infra)?;
        variables.extend(job.env.iter().map(|(key, value)| (key.into(), value.into())));
        let Some((program, args)) = submission.words.split_first() else {
            return Err(PrepareError::job("the job's command line is empty"));
        };
        let spec = Spec {
            name: "job".into(),
            stream: Stream::Job,
            program: program.into(),
            args: args.iter().map(OsString::from).collect(),
            env: variables,
            cwd: submission.folder.clone(),
            keeper: self.context.keeper.clone(),
        };
        let started = Child::spawn(spec, self.context.lines.clone()).await;
        started.map_err(|error| unstartable::why(&error, program, &submission.folder))
    }

    pub(super) fn follow(&self, report: watch::Sender<Progress>) -> Option<BoxFuture<'static, ()>> {
        let progress = self.context.fleet.definition.progress.as_ref()?;
        let facts = facts::of_node(&self.context, &self.role, Path::new(""));
        let url = progress.http.render(&facts).ok()?;
        let (done, total) = (progress.done.clone(), progress.total.clone());
        Some(Box::pin(ask::follow(url, done, total, report)))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.context.fleet.definition.names(SHORT) {
            // What cannot be removed now goes with the machine, or with the run's folder.
            let _left = std::fs::remove_dir_all(facts::short(&self.context));
        }
    }
}

/// Of a daemon, and of the job.
fn environment(
    context: &Context,
    facts: &Facts,
    python: &Python,
) -> Result<Vec<(OsString, OsString)>, String> {
    let mut all = env::base(context, python.path.iter().map(PathBuf::as_path));
    // What the job sets is the job's own affair.
    let env = context.fleet.definition.env.iter();
    for (name, value) in env.filter(|(name, _)| !context.env.contains_key(*name)) {
        all.retain(|(known, _)| known != name.as_str());
        all.push((name.into(), value.render(facts)?.into()));
    }
    Ok(all)
}
