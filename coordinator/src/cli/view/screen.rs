//! Writes a run as it goes on: a live block on a terminal, plain lines elsewhere, JSON for programs.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mayfly_proto::v1::{LogBatch, RunView};

use super::paint::Paint;
use super::{changes, json, live};
use crate::cli::failure::Failure;
use crate::cli::{out, plain};

/// Most redraws a second.
const REDRAWS: u8 = 5;

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
    block: ProgressBar,
    /// Whether the job's output and the block share a terminal.
    shared: bool,
    last: Option<(RunView, Instant)>,
    paused: bool,
}

impl Screen {
    /// A screen that shows nothing yet.
    #[must_use]
    pub(crate) fn new(mode: Mode, paint: Paint) -> Self {
        let target = match mode {
            Mode::Live => ProgressDrawTarget::stderr_with_hz(REDRAWS),
            Mode::Plain | Mode::Json => ProgressDrawTarget::hidden(),
        };
        let block = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            block.set_style(style);
        }
        Self {
            mode,
            paint,
            block,
            shared: std::io::stdout().is_terminal(),
            last: None,
            paused: false,
        }
    }

    /// Takes the block away while somebody types, whose line would move it; notes and output go on.
    pub(crate) fn pause(&mut self) {
        self.paused = true;
        self.block.set_message("");
        self.block.tick();
    }

    /// Draws again.
    pub(crate) fn resume(&mut self) {
        self.paused = false;
        self.tick();
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
            Mode::Json => return out::json(&json::note(text)),
            Mode::Live => self.block.suspend(|| out::note(&plain::lines(text))),
            Mode::Plain => out::note(&plain::lines(text)),
        }
        Ok(())
    }

    /// Where a session is used.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn session(&self, url: &str) -> Result<(), Failure> {
        if let Mode::Json = self.mode {
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
                let width = usize::from(console::Term::stderr().size().1);
                self.block
                    .set_message(self.paint.dim(&plain::cut(&plain::line(text), width)));
                self.block.tick();
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
            Mode::Json => out::json(&json::log(batch)),
            Mode::Live if self.shared => self.block.suspend(|| {
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
            let mut view = view.clone();
            view.now_ms += i64::try_from(seen.elapsed().as_millis()).unwrap_or(0);
            self.draw(&view);
        }
    }

    /// Removes the block, for what comes after it.
    pub(crate) fn clear(&self) {
        self.block.finish_and_clear();
    }

    fn draw(&self, view: &RunView) {
        if self.paused {
            return;
        }
        // Asked for each time: the window may have been resized. The last column stays free, or some terminals wrap.
        let width = usize::from(console::Term::stderr().size().1).saturating_sub(1);
        self.block
            .set_message(live::render(view, width, self.paint).join("\n"));
        self.block.tick();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.block.finish_and_clear();
    }
}
