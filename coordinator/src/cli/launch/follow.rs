//! Follows a run to its receipt; counts Ctrl-C.

use std::time::Duration;

use mayfly_kit::shutdown::{LEVEL_MAX, Level};
use mayfly_proto::v1::run_event::Event;
use mayfly_proto::v1::{CancelLevel, CancelRequest, Phase, RunEvent, WatchRequest};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

use crate::cli::client::{self, Client};
use crate::cli::failure::Failure;
use crate::cli::view::{Paint, Screen, json, receipt};
use crate::cli::{out, runs};
use crate::cloud::local::Patience;
use crate::record::{Outcome, Receipt};

/// How long a broken connection is made again: as long as nodes wait for the next coordinator.
const PATIENCE: Duration = Patience::SERVER.lease;
const RECONNECT_WAIT: Duration = Duration::from_millis(500);
/// Longest that asking for a cancellation may hold up the view.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// Shows the run until it is closed.
pub(super) async fn to_the_end(
    client: Client,
    run: &str,
    screen: &mut Screen,
    level: &mut watch::Receiver<Level>,
) -> Result<Receipt, Failure> {
    let mut follower = Follower {
        client,
        run,
        screen,
        next_line: 0,
        receipt: None,
        lost_at: None,
    };
    let mut ticks = tokio::time::interval(follower.screen.tick_period());
    let mut counting = true;
    'connect: loop {
        let mut stream = follower.watch().await?;
        loop {
            tokio::select! {
                message = stream.message() => match message {
                    Ok(Some(event)) => follower.take(event)?,
                    ended => {
                        if let Some(receipt) = follower.receipt.take() {
                            return Ok(receipt);
                        }
                        follower.lost(ended.err()).await?;
                        continue 'connect;
                    }
                },
                _ = ticks.tick() => follower.screen.tick(),
                changed = level.changed(), if counting => {
                    counting = changed.is_ok();
                    let level = *level.borrow_and_update();
                    follower.interrupted(level).await?;
                }
            }
        }
    }
}

struct Follower<'a> {
    client: Client,
    run: &'a str,
    screen: &'a mut Screen,
    next_line: u64,
    receipt: Option<Receipt>,
    /// When the connection broke, if nothing has come since.
    lost_at: Option<Instant>,
}

impl Follower<'_> {
    async fn watch(&mut self) -> Result<Streaming<RunEvent>, Failure> {
        loop {
            let request = WatchRequest {
                run_id: self.run.to_owned(),
                from_line: self.next_line,
            };
            match self.client.watch(request).await {
                Ok(reply) => return Ok(reply.into_inner()),
                Err(status) => self.lost(Some(status)).await?,
            }
        }
    }

    fn take(&mut self, event: RunEvent) -> Result<(), Failure> {
        if self.lost_at.take().is_some() {
            self.screen.note("the coordinator is there again")?;
        }
        match event.event {
            Some(Event::View(view)) => {
                if view.phase() == Phase::Closed && !view.receipt_json.is_empty() {
                    self.receipt = Some(runs::parse("the receipt", view.receipt_json.as_bytes())?);
                }
                self.screen.view(view)
            }
            Some(Event::Log(batch)) => {
                self.next_line = batch.first_line.saturating_add(batch.lines.len() as u64);
                self.screen.log(&batch)
            }
            // Something that a newer coordinator says.
            None => Ok(()),
        }
    }

    /// The connection is gone, the run is not.
    async fn lost(&mut self, status: Option<Status>) -> Result<(), Failure> {
        if self.lost_at.is_none() {
            self.screen
                .note("the coordinator does not answer; the run goes on, trying again")?;
        }
        let lost_at = *self.lost_at.get_or_insert_with(Instant::now);
        let final_word = status
            .as_ref()
            .is_some_and(|s| matches!(s.code(), Code::NotFound | Code::Unauthenticated));
        if final_word || lost_at.elapsed() > PATIENCE {
            let why = status.map_or_else(
                || "it ended the connection".to_owned(),
                |s| s.message().to_owned(),
            );
            let run = self.run;
            let hint = format!("`coordinator status {run}` shows how far the run is");
            return Err(Failure::infra(format!(
                "the coordinator of {run} is lost: {why}; {hint}"
            )));
        }
        tokio::time::sleep(RECONNECT_WAIT).await;
        Ok(())
    }

    async fn interrupted(&mut self, level: Level) -> Result<(), Failure> {
        let (how, says) = match level {
            0 => return Ok(()),
            1 => (
                CancelLevel::Graceful,
                "cancelling: the job may stop by itself, results and logs are saved; again: faster",
            ),
            2 => (
                CancelLevel::Fast,
                "cancelling now: only logs are saved; again: exit at once",
            ),
            LEVEL_MAX.. => return Err(self.left_behind()),
        };
        self.screen.note(says)?;
        let request = CancelRequest {
            run_id: self.run.to_owned(),
            level: how.into(),
        };
        match tokio::time::timeout(CANCEL_LIMIT, self.client.cancel(request)).await {
            Ok(Ok(_)) => Ok(()),
            // It may be closed by now: the next event tells.
            Ok(Err(status)) => self.screen.note(&client::refused("cancel", &status).text()),
            Err(_) => self
                .screen
                .note("the coordinator does not answer; again: exit at once"),
        }
    }

    fn left_behind(&self) -> Failure {
        let run = self.run;
        let message = format!(
            "exited at once: nodes of {run} may live on until their lease ends, and the run is not closed; \
             `coordinator gc --yes` ends them and closes it"
        );
        Failure {
            code: Outcome::Cancelled.exit_code(),
            message,
        }
    }
}

/// Shows the receipt: for people beside the job's output, not in it.
pub(super) fn show(the: &Receipt, as_json: bool, paint: Paint) -> Result<(), Failure> {
    if as_json {
        return out::json(&json::receipt(the));
    }
    let width = console::Term::stderr()
        .size_checked()
        .map_or(100, |(_, columns)| usize::from(columns));
    out::note("");
    receipt::render(the, width, paint)
        .iter()
        .for_each(|line| out::note(line));
    Ok(())
}
