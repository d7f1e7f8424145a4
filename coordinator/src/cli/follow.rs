//! Follows a run to its receipt; counts Ctrl-C.

use std::io::IsTerminal as _;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_kit::shutdown::{LEVEL_MAX, Level};
use mayfly_proto::v1::run_event::Event;
use mayfly_proto::v1::{
    CancelLevel, CancelRequest, EndSessionRequest, Phase, RunEvent, RunView, WatchRequest,
};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

use crate::cli::client::{self, Client};
use crate::cli::connect::Way;
use crate::cli::failure::Failure;
use crate::cli::signals::Counting;
use crate::cli::view::units::{dollars, dollars_of_cents};
use crate::cli::view::{Paint, Screen, json, receipt};
use crate::cli::{out, runs};
use crate::cloud::local::Patience;
use crate::record::{Outcome, Receipt};

/// How long a broken connection is made again: as long as nodes wait for the next coordinator.
const PATIENCE: Duration = Patience::SERVER.lease;
const RECONNECT_WAIT: Duration = Duration::from_millis(500);
/// Longest that asking for a cancellation may hold up the view.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// Whose run it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The coordinator is in this command: with it the run ends.
    Own,
    /// The coordinator is elsewhere: this command may leave and the run goes on.
    Guest,
}

/// How following a run ended.
#[derive(Debug)]
pub(crate) enum Followed {
    /// The run is closed.
    Closed(Box<Receipt>),
    /// The person left; the run goes on.
    Detached,
}

/// Shows the run until it is closed, or until the person leaves.
pub(crate) async fn to_the_end(
    client: Client,
    run: &str,
    screen: &mut Screen,
    signals: &mut Counting,
    manner: Manner,
    session: Option<&mut Way>,
) -> Result<Followed, Failure> {
    let mut follower = Follower {
        client,
        run,
        screen,
        next_line: 0,
        receipt: None,
        lost_at: None,
        manner,
        session,
        terms: None,
        is_unread: false,
    };
    let mut answers = Answers::none();
    let mut ticks = tokio::time::interval(follower.screen.tick_period());
    let mut counting = true;
    'connect: loop {
        let mut stream = follower.watch().await?;
        loop {
            tokio::select! {
                message = stream.message() => match message {
                    Ok(Some(event)) => follower.take(event).await?,
                    ended => {
                        if let Some(receipt) = follower.receipt.take() {
                            return Ok(Followed::Closed(Box::new(receipt)));
                        }
                        follower.lost(ended.err()).await?;
                        continue 'connect;
                    }
                },
                _ = ticks.tick() => follower.screen.tick(),
                url = opened(&mut follower.session) => follower.screen.session(&url)?,
                changed = signals.level.changed(), if counting => {
                    counting = changed.is_ok();
                    let level = *signals.level.borrow_and_update();
                    if signals.hung_up() && follower.may_leave() {
                        return Ok(follower.leave());
                    }
                    if level == 1 && manner == Manner::Guest && Answers::possible() {
                        follower.screen.pause();
                        follower.screen.note(QUESTION)?;
                        answers = Answers::listen();
                    } else {
                        follower.interrupted(level).await?;
                    }
                }
                answer = answers.next() => {
                    follower.screen.resume();
                    match answer.trim() {
                        "c" | "cancel" => follower.interrupted(1).await?,
                        "d" | "detach" => return Ok(follower.leave()),
                        _ => {
                            // The next one asks again, however late it comes.
                            signals.forget();
                            follower.screen.note("going on")?;
                        }
                    }
                }
            }
        }
    }
}

/// The address of the session, once it is open.
async fn opened(session: &mut Option<&mut Way>) -> String {
    match session {
        Some(way) => way.opened().await,
        None => std::future::pending().await,
    }
}

const QUESTION: &str =
    "c + Enter: cancel the run and save; d + Enter: leave, and let it go on; Enter: go on watching";

/// What a person types; asked for only after an interruption.
struct Answers(Option<oneshot::Receiver<String>>);

impl Answers {
    fn none() -> Self {
        Self(None)
    }

    /// Whether there is somebody to ask.
    fn possible() -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Waits for a line on a thread of its own, which ends with the program if nobody types one.
    fn listen() -> Self {
        let (sender, receiver) = oneshot::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            if std::io::stdin().read_line(&mut line).is_ok() {
                // Nobody waits for it after the end of the run.
                let _late = sender.send(line);
            }
        });
        Self(Some(receiver))
    }

    async fn next(&mut self) -> String {
        if let Some(answer) = &mut self.0 {
            let line = answer.await;
            self.0 = None;
            if let Ok(line) = line {
                return line;
            }
        }
        std::future::pending().await
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
    manner: Manner,
    /// The way to the session that the run is, whose end the first interruption is.
    session: Option<&'a mut Way>,
    /// Of the last view; `None` before the first one.
    terms: Option<Terms>,
    /// Whether nobody reads what the job prints any more.
    is_unread: bool,
}

/// How long a run may go on, and at what price.
#[derive(Debug, Clone)]
struct Terms {
    deadline_ms: i64,
    cloud: String,
    hourly_micros: u64,
    budget_cents: u64,
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

    async fn take(&mut self, event: RunEvent) -> Result<(), Failure> {
        if self.lost_at.take().is_some() {
            self.screen.note("the coordinator is there again")?;
        }
        if let Some(Event::View(view)) = &event.event
            && view.phase() == Phase::Closed
            && !view.receipt_json.is_empty()
        {
            self.receipt = Some(runs::parse("the receipt", view.receipt_json.as_bytes())?);
        }
        match self.show(event) {
            Err(_) if self.manner == Manner::Own => self.unread().await,
            shown => shown,
        }
    }

    /// Nobody reads the output of a run that ends with this command: it ends now, in order.
    async fn unread(&mut self) -> Result<(), Failure> {
        self.screen.mute();
        if std::mem::replace(&mut self.is_unread, true) || self.receipt.is_some() {
            return Ok(());
        }
        self.screen.note("nobody reads the output any more")?;
        self.interrupted(1).await
    }

    fn show(&mut self, event: RunEvent) -> Result<(), Failure> {
        match event.event {
            Some(Event::View(view)) => {
                self.terms = Some(Terms::of(&view));
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
        if level == 1 && self.session.is_some() && self.end_session().await? {
            return Ok(());
        }
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

    /// False where there is no session yet: then the run is cancelled.
    async fn end_session(&mut self) -> Result<bool, Failure> {
        let request = EndSessionRequest {
            run_id: self.run.to_owned(),
        };
        let ended = tokio::time::timeout(CANCEL_LIMIT, self.client.end_session(request)).await;
        let is_told = matches!(ended, Ok(Ok(_)));
        if is_told {
            self.screen
                .note("ending the session: results and logs are saved; again: only logs are saved")?;
        }
        Ok(is_told)
    }

    /// Whether the run goes on when this command leaves. A session is used through it.
    fn may_leave(&self) -> bool {
        self.manner == Manner::Guest && self.session.is_none()
    }

    fn leave(&self) -> Followed {
        // Nobody may be there to be told.
        let _ = self.screen.note(&self.farewell());
        Followed::Detached
    }

    fn farewell(&self) -> String {
        farewell(self.run, self.terms.as_ref())
    }

    fn left_behind(&self) -> Failure {
        let run = self.run;
        if self.manner == Manner::Guest {
            return Failure {
                code: Outcome::Cancelled.exit_code(),
                message: self.farewell(),
            };
        }
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

impl Terms {
    fn of(view: &RunView) -> Self {
        Self {
            deadline_ms: view.deadline_ms,
            cloud: view.cloud.clone(),
            hourly_micros: view.hourly_micros,
            budget_cents: view.budget_cents,
        }
    }

    fn until(&self) -> String {
        Timestamp::from_millisecond(self.deadline_ms).map_or_else(
            |_| "its deadline".to_owned(),
            |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        )
    }

    fn price(&self) -> String {
        match self.cloud.as_str() {
            "local" => "on the coordinator's own machine, at no price of its own".to_owned(),
            _ => format!(
                "at {} an hour by now, {} at most",
                dollars(self.hourly_micros),
                dollars_of_cents(self.budget_cents)
            ),
        }
    }
}

/// What becomes of a run that is left: until when, at what price, and how it is ended.
fn farewell(run: &str, terms: Option<&Terms>) -> String {
    let until = terms.map_or_else(
        || "its deadline at the latest".to_owned(),
        |terms| format!("{} at the latest, {}", terms.until(), terms.price()),
    );
    format!(
        "{run} goes on without this command, until {until}; `coordinator attach {run}` comes back to it, `coordinator \
         cancel {run}` ends it"
    )
}

/// Shows the receipt of a run that was followed to its end. Returns the exit code.
pub(crate) fn finish(followed: Followed, as_json: bool, paint: Paint) -> Result<u8, Failure> {
    match followed {
        Followed::Closed(receipt) => {
            show(&receipt, as_json, paint)?;
            Ok(receipt.ended.outcome.exit_code())
        }
        Followed::Detached => Ok(0),
    }
}

/// Shows the receipt: for people beside the job's output, not in it.
fn show(the: &Receipt, as_json: bool, paint: Paint) -> Result<(), Failure> {
    if as_json {
        return out::json(&json::receipt(the));
    }
    let width = out::width(&console::Term::stderr());
    out::note("");
    receipt::render(the, width, paint)
        .iter()
        .for_each(|line| out::note(line));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(cloud: &str) -> String {
        let view = RunView {
            // 2026-01-01 01:00:00 UTC.
            deadline_ms: 1_767_229_200_000,
            cloud: cloud.to_owned(),
            hourly_micros: 206_400,
            budget_cents: 2_550,
            ..RunView::default()
        };
        farewell("flights-abcdefgh", Some(&Terms::of(&view)))
    }

    #[test]
    fn who_leaves_is_told_until_when_at_what_price_and_how_it_is_ended() {
        assert_eq!(
            told("aws"),
            "flights-abcdefgh goes on without this command, until 2026-01-01 01:00:00 UTC at the latest, at $0.2064 an \
             hour by now, $25.50 at most; `coordinator attach flights-abcdefgh` comes back to it, `coordinator cancel \
             flights-abcdefgh` ends it"
        );
        let here = told("local");
        assert!(here.contains("at the latest, on the coordinator's own machine, at no price of its own;"));
        assert!(!here.contains('$'), "{here}");
    }

    #[test]
    fn who_leaves_before_anything_is_known_is_told_no_made_up_time_or_price() {
        assert_eq!(
            farewell("a-abcdefgh", None),
            "a-abcdefgh goes on without this command, until its deadline at the latest; `coordinator attach a-abcdefgh` \
             comes back to it, `coordinator cancel a-abcdefgh` ends it"
        );
    }
}
