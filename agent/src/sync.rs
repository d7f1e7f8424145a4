//! The heartbeat: the whole report for the whole desired state, on an interval, never waiting for work.

mod answer;

use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::admin::Loop;
use mayfly_kit::backoff::{Backoff, Policy, about, jitter};
use mayfly_proto::Attempt;
use mayfly_proto::v1::{Collected, NodeReport, SyncReply, SyncRequest, Usage};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tonic::{Code, Status};

pub use answer::checked;

use crate::attempt::Facts;
use crate::identity::{Door, Session};
use crate::logs::Tail;
use crate::metrics::Metrics;
use crate::node::{Event, Role};
use crate::notice::Notice;
use crate::staged::Staged;
use crate::upload;
use crate::written::Written;

const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const INTERVAL_MIN: Duration = Duration::from_millis(50);
const INTERVAL_MAX: Duration = Duration::from_secs(30);
const RETRY: Policy = Policy {
    base: Duration::from_millis(200),
    cap: Duration::from_secs(2),
    budget: Duration::MAX,
};

/// What is reported next: the attempt it is about, and the report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// 0 before the first answer.
    pub attempt: u32,
    /// What the node is in this attempt; `None` before it has begun.
    pub role: Option<Role>,
    /// The whole state.
    pub report: NodeReport,
}

/// Where the parts of a report come from.
pub struct Sources {
    /// Phase, failure, job.
    pub node: watch::Receiver<Report>,
    /// Engine, progress, steps.
    pub facts: watch::Receiver<Facts>,
    /// CPU and memory.
    pub usage: watch::Receiver<Usage>,
    /// The job's output.
    pub tail: Tail,
    /// Uploads.
    pub upload: watch::Receiver<upload::Progress>,
    /// The results folder.
    pub written: watch::Receiver<Written>,
    /// Inputs.
    pub staged: Arc<Staged>,
    /// What is known of the machine's end.
    pub notice: watch::Receiver<Notice>,
    /// Where the admin pages are; 0 for none.
    pub admin_port: u16,
}

impl Sources {
    /// The whole report of now.
    fn now(&mut self) -> Report {
        let Report {
            attempt,
            role,
            report,
        } = self.node.borrow_and_update().clone();
        let Facts {
            engine,
            progress,
            step_secs,
        } = self.facts.borrow().clone();
        let upload::Progress {
            files,
            bytes,
            files_total,
            bytes_total,
            ..
        } = *self.upload.borrow();
        let written = *self.written.borrow();
        let report = NodeReport {
            engine: Some(engine),
            progress: Some(progress),
            step_secs: step_secs.into_iter().collect(),
            usage: Some(*self.usage.borrow()),
            output_lines: Some(self.tail.count()),
            results_files: written.files,
            success_markers: written.success_markers,
            staged: self.staged.wire(),
            admin_port: self.admin_port.into(),
            notice: self.notice.borrow_and_update().wire(Instant::now()),
            collected: Some(Collected {
                files,
                bytes,
                files_total,
                bytes_total,
            }),
            ..report
        };
        Report {
            attempt,
            role,
            report,
        }
    }
}

/// The loop's parts.
pub struct Sync {
    /// To be taken in again by a coordinator that has forgotten us.
    pub door: Door,
    /// Who we are; replaced when we are taken in again.
    pub session: watch::Sender<Option<Session>>,
    /// What to report.
    pub sources: Sources,
    /// Where answers go.
    pub events: mpsc::Sender<Event>,
    /// Time zero of the node.
    pub boot: Instant,
    /// Until the first answer.
    pub interval: Duration,
    /// Line on `/status`.
    pub pulse: Loop,
    /// Latency and failures.
    pub metrics: Metrics,
}

impl Sync {
    /// Reports until nobody takes the answers any more.
    pub async fn run(mut self) {
        let mut waits = Backoff::new(RETRY, jitter as fn() -> u64);
        let mut seq = first_number();
        while !self.events.is_closed() {
            self.renew().await;
            seq += 1;
            let asked = Instant::now();
            let Report { attempt, report, .. } = self.sources.now();
            let told = match self.exchange(seq, attempt, report.clone()).await {
                Ok(reply) => self.take(asked, reply).await,
                Err(status) => Err(status),
            };
            let wait = match told {
                Ok(()) => {
                    waits.reset();
                    self.metrics.sync_seconds.observe(asked.elapsed().as_secs_f64());
                    self.pulse.status(format!("report {seq} answered"));
                    about(self.interval, jitter())
                }
                Err(status) => self.trouble(&status, &mut waits).await,
            };
            self.pause(wait, &report).await;
        }
    }

    /// A certificate that is due is renewed between two reports; both go to the same coordinator.
    async fn renew(&mut self) {
        match self.door.renew().await {
            None => {}
            Some(Ok(enrolled)) => {
                self.session.send_replace(Some(enrolled.session));
                tracing::debug!("the certificate of this node is renewed");
            }
            Some(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the certificate of this node is not renewed yet");
            }
        }
    }

    async fn exchange(&mut self, seq: u64, attempt: u32, report: NodeReport) -> Result<SyncReply, Status> {
        let session = self
            .session
            .borrow()
            .clone()
            .ok_or_else(|| Status::unauthenticated("not enrolled"))?;
        let message = SyncRequest {
            run_id: session.run.to_string(),
            node_id: session.node.to_string(),
            // Before the first answer no attempt is known: what is reported then is true of any.
            attempt: attempt.max(Attempt::FIRST.number()),
            seq,
            report: Some(report),
        };
        let mut request = session.request(message);
        request.set_timeout(CALL_TIMEOUT);
        let mut client = session.client();
        // The server keeps the timeout too; this one also holds when the server does not.
        let call = tokio::time::timeout(CALL_TIMEOUT, client.sync(request));
        Ok(call
            .await
            .map_err(|_| Status::deadline_exceeded("no answer"))??
            .into_inner())
    }

    async fn take(&mut self, asked: Instant, reply: SyncReply) -> Result<(), Status> {
        let desired = reply
            .desired
            .ok_or_else(|| Status::data_loss("the answer holds no desired state"))?;
        let interval = Duration::from_millis(desired.sync_interval_ms);
        self.interval = interval.clamp(INTERVAL_MIN, INTERVAL_MAX);
        let desired = checked(&desired)?;
        let asked = asked.saturating_duration_since(self.boot);
        // A closed channel ends the loop at its next turn.
        let _ = self.events.send(Event::Desired { asked, desired }).await;
        Ok(())
    }

    async fn trouble(&mut self, status: &Status, waits: &mut Backoff<fn() -> u64>) -> Duration {
        self.metrics.sync_failures.inc();
        let wait = waits.next().unwrap_or(RETRY.cap);
        self.pulse
            .status(format!("no answer ({}), again in {wait:?}", status.code()));
        tracing::debug!(%status, "no answer to a report");
        // A coordinator on the fleet's own master moves with it; one that was started anew knows the join token, not the
        // session.
        let moved = self.door.look_again().await;
        if moved || status.code() == Code::Unauthenticated {
            match self.door.enrol().await {
                Ok(enrolled) => {
                    self.session.send_replace(Some(enrolled.session));
                }
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "not taken in again"),
            }
        }
        wait
    }

    /// Until the next report is due, or others wait for what has changed since this one: the phase, the engine (workers for
    /// its address, the job for its workers), the machine's announced end.
    async fn pause(&mut self, wait: Duration, told: &NodeReport) {
        let due = Instant::now() + wait;
        let node = &mut self.sources.node;
        let phase = async {
            node.wait_for(|next| next.report.phase != told.phase)
                .await
                .is_ok()
        };
        let facts = &mut self.sources.facts;
        let engine = async {
            let changed = |next: &Facts| told.engine.as_ref() != Some(&next.engine);
            facts.wait_for(changed).await.is_ok()
        };
        let notice = &mut self.sources.notice;
        let noticed = async {
            if notice.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            changed = phase => if !changed { tokio::time::sleep_until(due).await },
            changed = engine => if !changed { tokio::time::sleep_until(due).await },
            () = noticed => {}
            () = self.events.closed() => {}
        }
    }
}

/// Reports count from how long the machine is up, in milliseconds: none is made more often, so that those of a process which
/// follows this one have higher numbers.
fn first_number() -> u64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let mut words = text.split_whitespace();
    let secs: Option<f64> = words.next().and_then(|word| word.parse().ok());
    let up = secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
    up.map_or(0, |up| u64::try_from(up.as_millis()).unwrap_or_default())
}
