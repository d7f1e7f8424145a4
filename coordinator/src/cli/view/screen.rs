//! Writes a run as it goes on: a live block on a terminal, plain lines elsewhere, JSON for programs.

use std::io::IsTerminal as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mayfly_proto::v1::{LogBatch, RunView};

use super::block::Block;
use super::paint::Paint;
use super::{changes, json, live};
use crate::cli::failure::Failure;
use crate::cli::{out, plain};

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A block that is redrawn in place.
    Live,
    /// A line for each change.
    Plain,
    /// A JSON object for each event.
    Json,
}

impl Mode {
    /// What fits: JSON when asked for, the live block where the cursor can be moved.
    #[must_use]
    pub(crate) fn choose(json: bool) -> Self {
        let dumb =
            std::env::var("TERM").is_ok_and(|term| term == "dumb") || std::env::var_os("TERM").is_none();
        match (json, std::io::stderr().is_terminal() && !dumb) {
            (true, _) => Self::Json,
            (false, true) => Self::Live,
            (false, false) => Self::Plain,
        }
    }
}

/// The screen of one command.
pub(crate) struct Screen {
    mode: Mode,
    paint: Paint,
    block: Mutex<Block>,
    /// Whether the job's output and the block share a terminal.
    shared: bool,
    last: Option<(RunView, Instant)>,
    paused: bool,
    /// Nobody reads standard output any more.
    muted: bool,
}

impl Screen {
    /// A screen that shows nothing yet.
    #[must_use]
    pub(crate) fn new(mode: Mode, paint: Paint) -> Self {
        Self {
            mode,
            paint,
            block: Mutex::new(Block::new()),
            shared: std::io::stdout().is_terminal(),
            last: None,
            paused: false,
            muted: false,
        }
    }

    /// Takes the block away while somebody types, whose line would move it; notes and output go on.
    pub(crate) fn pause(&mut self) {
        self.paused = true;
        self.block().erase();
    }

    /// Draws again.
    pub(crate) fn resume(&mut self) {
        self.paused = false;
        self.tick();
    }

    /// Writes nothing to standard output from now on.
    pub(crate) fn mute(&mut self) {
        self.muted = true;
    }

    fn block(&self) -> MutexGuard<'_, Block> {
        self.block.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows something above the block.
    fn above<T>(&self, show: impl FnOnce() -> T) -> T {
        self.block().erase();
        let shown = show();
        self.tick();
        shown
    }

    /// How long to wait between two calls of [`Screen::tick`].
    #[must_use]
    pub(crate) fn tick_period(&self) -> Duration {
        Duration::from_millis(500)
    }

    /// Something a person should know.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn note(&self, text: &str) -> Result<(), Failure> {
        match self.mode {
            Mode::Json if self.muted => {}
            Mode::Json => return out::json(&json::note(text)),
            Mode::Live => self.above(|| out::note(&plain::lines(text))),
            Mode::Plain => out::note(&plain::lines(text)),
        }
        Ok(())
    }

    /// Where a session is used.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn session(&self, url: &str) -> Result<(), Failure> {
        if self.mode == Mode::Json && !self.muted {
            return out::json(&json::session(url));
        }
        self.note(&format!("session  {url}  (Ctrl-C ends it)"))
    }

    /// Something that takes a moment, before there is a run.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn doing(&self, text: &str) -> Result<(), Failure> {
        match self.mode {
            Mode::Live => {
                let mut block = self.block();
                let text = plain::cut(&plain::line(text), block.columns());
                block.draw(&[self.paint.dim(&text)]);
                Ok(())
            }
            Mode::Plain | Mode::Json => self.note(text),
        }
    }

    /// A new view of the run.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn view(&mut self, view: RunView) -> Result<(), Failure> {
        match self.mode {
            Mode::Json if self.muted => {}
            Mode::Json => out::json(&json::view(&view))?,
            Mode::Live => self.draw(&view),
            Mode::Plain => {
                let before = self.last.as_ref().map(|(view, _)| view);
                changes::lines(before, &view)
                    .iter()
                    .for_each(|line| out::note(line));
            }
        }
        self.last = Some((view, Instant::now()));
        Ok(())
    }

    /// Lines of the job's output.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn log(&self, batch: &LogBatch) -> Result<(), Failure> {
        match self.mode {
            _ if self.muted => Ok(()),
            Mode::Json => out::json(&json::log(batch)),
            Mode::Live if self.shared => self.above(|| {
                batch
                    .lines
                    .iter()
                    .try_for_each(|line| out::line(&plain::line(line)))
            }),
            // A file or a program gets the lines as they are.
            Mode::Live | Mode::Plain => batch.lines.iter().try_for_each(|line| out::line(line)),
        }
    }

    /// Lets the clock go on while nothing happens.
    pub(crate) fn tick(&self) {
        if let (Mode::Live, Some((view, seen))) = (self.mode, &self.last) {
            self.draw(&live::since(view, seen.elapsed()));
        }
    }

    /// Removes the block, for what comes after it.
    pub(crate) fn clear(&self) {
        self.block().erase();
    }

    fn draw(&self, view: &RunView) {
        if self.paused {
            return;
        }
        let mut block = self.block();
        // Asked for each time: the window may have been resized.
        let lines = live::render(view, block.columns(), self.paint);
        block.draw(&lines);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.clear();
    }
}
