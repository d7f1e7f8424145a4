//! Uploads what an attempt left on this node, and commits on the master.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::backoff::{Backoff, Policy, jitter};
pub use mayfly_kit::error::chain;
use mayfly_kit::layout;
use mayfly_kit::records::{Manifest, SCHEMA};
use mayfly_proto::Attempt;
use mayfly_proto::selection::Selection;
use mayfly_proto::{NodeId, v1};
use tokio::sync::{oneshot, watch};

use crate::attempt::{Common, path_of};
use crate::commit::{self, CommitError, Committed, Request};
use crate::config::RoleName;
use crate::engine;
use crate::logs::Order as LogOrder;
use crate::node::{Blame, Event, Failure, JobEnd, What};
use crate::upload::{self, Progress, Source, Target, Uploaded};

const RETRY: Policy = Policy {
    base: Duration::from_millis(250),
    cap: Duration::from_secs(10),
    budget: Duration::MAX,
};

/// What is collected from where.
#[derive(Clone)]
pub struct Collector {
    /// The node.
    pub common: Arc<Common>,
    /// The results folder as this node alone reaches it.
    pub results: PathBuf,
    /// False when all nodes share one results folder: then the master alone collects it.
    pub private_results: bool,
    /// How far it is.
    pub progress: watch::Sender<Progress>,
}

impl Collector {
    /// Uploads results, events, logs and the manifest, and says how it went. A store that is away is waited for.
    pub async fn collect(self, attempt: Attempt, what: What, is_master: bool) -> Event {
        self.progress.send_modify(|progress| *progress = progress.anew());
        let logs = self.flush_logs();
        let files = self.files(attempt, what, is_master);
        let (files, ()) = tokio::join!(files, logs);
        match files {
            Ok(()) => Event::Uploaded(attempt),
            Err(failure) => Event::Failed(attempt, failure),
        }
    }

    async fn files(&self, attempt: Attempt, what: What, is_master: bool) -> Result<(), Failure> {
        let run = &self.common.session.run;
        self.events(attempt).await?;
        if what == What::LogsOnly {
            return Ok(());
        }
        let Uploaded { files, skipped } = self.all_results(attempt, is_master).await?;
        let manifest = Manifest {
            schema: SCHEMA,
            node: self.common.session.node.clone(),
            attempt,
            files,
            skipped,
        };
        patiently(|| commit::write_manifest(&self.common.store, run, &manifest))
            .await
            .map_err(|e| failure(&e))
    }

    async fn events(&self, attempt: Attempt) -> Result<(), Failure> {
        let target = Target {
            store: self.common.store.clone(),
            prefix: layout::events(&self.common.session.run, attempt),
            only_new: false,
            selection: Arc::default(),
        };
        let folder = engine::events(&self.common.config.folder);
        let uncounted = watch::Sender::new(Progress::default());
        self.folder(folder.as_path().into(), &target, &uncounted)
            .await
            .map(drop)
    }

    /// Of the results folder, and on the master of those that the job has named.
    async fn all_results(&self, attempt: Attempt, is_master: bool) -> Result<Uploaded, Failure> {
        let collect = self.common.spec.collect.clone().unwrap_or_default();
        let selection = Selection::new(&collect.keep, &collect.exclude);
        let target = Target {
            store: self.common.store.clone(),
            prefix: layout::results(&self.common.session.run, attempt),
            // A named folder may hold what the results folder has, too.
            only_new: self.private_results || !collect.folders.is_empty(),
            selection: Arc::new(selection.map_err(|error| Failure {
                blame: Blame::Job,
                message: chain(&error),
            })?),
        };
        let mut all = Uploaded::default();
        let named = collect.folders.iter().filter(|_| is_master);
        let results = Source::from(self.results.as_path());
        let mine = (self.private_results || is_master).then_some(results);
        for source in mine.into_iter().chain(named.map(|folder| self.named(folder))) {
            let more = self.folder(source, &target, &self.progress).await?;
            all.files.extend(more.files);
            all.skipped.extend(more.skipped);
        }
        all.files.sort();
        all.files.dedup();
        Ok(all)
    }

    fn named(&self, folder: &v1::ResultFolder) -> Source {
        Source {
            root: self.common.config.folder.join("code"),
            below: Path::new(path_of(&self.common.spec)).join(&folder.path),
            name: folder.name.clone(),
        }
    }

    async fn folder(
        &self,
        source: Source,
        target: &Target,
        progress: &watch::Sender<Progress>,
    ) -> Result<Uploaded, Failure> {
        upload::folder(source, target, progress)
            .await
            .map_err(|error| Failure {
                blame: blame(error.is_jobs_doing()),
                message: chain(&error),
            })
    }

    /// Until every line so far is in the store.
    pub async fn flush_logs(&self) {
        let (done, flushed) = oneshot::channel();
        if self.common.logs.send(LogOrder::Flush(done)).await.is_ok() {
            // An error means that the keeper of the logs has gone; its own end says why.
            let _ = flushed.await;
        }
    }

    /// Writes the commit and says how it went. A store that is away is waited for.
    pub async fn commit(self, attempt: Attempt, nodes: Vec<NodeId>, end: JobEnd) -> Event {
        let request = Request {
            run: self.common.session.run.clone(),
            attempt,
            nodes,
            exit_code: end.exit_code,
            cause: end.cause,
            steps: end.steps,
        };
        match patiently(|| commit::commit(&self.common.store, &request)).await {
            Ok(Committed::Ours) => Event::Committed(attempt),
            Ok(Committed::Lost(other)) => not_committed(
                attempt,
                format!("the run was committed already, by attempt {other} or with other files"),
            ),
            Ok(Committed::GivenUp) => not_committed(
                attempt,
                format!(
                    "attempt {attempt} was given up before it could commit: nobody could reach its master"
                ),
            ),
            Err(error) => Event::Failed(attempt, failure(&error)),
        }
    }

    /// Moves what a given-up attempt left out of the way of the next one; it stays on this node.
    pub async fn set_aside(&self, attempt: Attempt) {
        let aside = self
            .common
            .config
            .folder
            .join("set-aside")
            .join(format!("attempt-{attempt}"));
        // What all share is the master's to move; where it was elected, it is not there any more.
        if !self.private_results && self.common.config.role != RoleName::Master {
            return;
        }
        let events = engine::events(&self.common.config.folder);
        for (from, name) in [(&self.results, "results"), (&events, "events")] {
            let made = tokio::fs::create_dir_all(&aside).await;
            let moved = match made {
                Ok(()) => tokio::fs::rename(from, aside.join(name)).await,
                Err(error) => Err(error),
            };
            if let Err(error) = moved.or_else(none_there) {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "set aside {}",
                    from.display()
                );
            }
        }
    }
}

fn none_there(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

/// Repeats until it succeeds or can never succeed; the caller drops the future when time is up.
async fn patiently<T, F>(request: impl Fn() -> F) -> Result<T, CommitError>
where
    F: Future<Output = Result<T, CommitError>>,
{
    let mut waits = Backoff::new(RETRY, jitter);
    loop {
        match request().await {
            Err(error) if !error.is_permanent() => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the store is away, again soon"
                );
                tokio::time::sleep(waits.next().unwrap_or(RETRY.cap)).await;
            }
            settled => return settled,
        }
    }
}

fn not_committed(attempt: Attempt, message: String) -> Event {
    let blame = Blame::Infra;
    Event::Failed(attempt, Failure { blame, message })
}

fn failure(error: &CommitError) -> Failure {
    Failure {
        blame: blame(error.is_jobs_doing()),
        message: chain(error),
    }
}

fn blame(jobs_doing: bool) -> Blame {
    if jobs_doing { Blame::Job } else { Blame::Infra }
}
