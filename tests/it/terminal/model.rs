//! A terminal without a window.

use std::num::NonZeroU16;
use std::time::Duration;

use mayfly_tests::{Launch, wait};
use vt100::{Callbacks, Parser, Screen};

/// Rows above the window that it keeps.
const KEPT: usize = 10_000;

/// What a terminal shows that was sent these bytes.
pub(crate) struct Terminal {
    parser: Parser<Asked>,
    taken: usize,
    kind: Kind,
}

/// What becomes of what is there when the width changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Lines are broken anew: most terminals.
    Reflows,
    /// Each row is cut: xterm.
    Cuts,
}

/// The size that it was told to have.
#[derive(Default)]
struct Asked(Option<(u16, u16)>);

impl Callbacks for Asked {
    fn resize(&mut self, _: &mut Screen, request: (u16, u16)) {
        self.0 = Some(request);
    }
}

fn of_size(rows: u16, columns: u16) -> Parser<Asked> {
    let [rows, columns] = [rows, columns].map(|size| NonZeroU16::new(size).expect("a size"));
    Parser::new_with_callbacks(rows, columns, KEPT, Asked::default())
}

impl Terminal {
    pub(crate) fn new(kind: Kind, columns: u16, rows: u16) -> Self {
        Self {
            parser: of_size(rows, columns),
            taken: 0,
            kind,
        }
    }

    /// Takes what it was sent since.
    pub(crate) fn take(&mut self, all: &[u8]) {
        for &byte in &all[self.taken..] {
            self.parser.process(&[byte]);
            if let Some((rows, columns)) = self.parser.callbacks_mut().0.take() {
                self.resize(rows, columns);
            }
        }
        self.taken = all.len();
    }

    fn resize(&mut self, rows: u16, columns: u16) {
        if self.kind == Kind::Cuts {
            let [rows, columns] = [rows, columns].map(|size| NonZeroU16::new(size).expect("a size"));
            return self.parser.set_size(rows, columns);
        }
        let before = self.lines().join("\r\n");
        self.parser = of_size(rows, columns);
        self.parser.process(before.as_bytes());
    }

    /// The window, without the blanks at the ends.
    pub(crate) fn window(&self) -> String {
        let columns = self.parser.screen().size().1.get();
        let rows = self.parser.screen().rows(0, columns);
        let rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
        rows.join("\n").trim_end().to_owned()
    }

    /// Everything from the first row above the window to the cursor, as lines: rows that were broken are one.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        let screen = self.parser.screen_mut();
        let (columns, cursor) = (screen.size().1.get(), screen.cursor_position().0);
        let mut rows = Vec::new();
        for above in (1..=screen.scrollback_len()).rev() {
            screen.set_scrollback(above);
            let row = screen.rows(0, columns).next().unwrap_or_default();
            rows.push((row, screen.row_wrapped(0)));
        }
        screen.set_scrollback(0);
        let here = screen.rows(0, columns).zip(0..=cursor);
        rows.extend(here.map(|(row, at)| (row, screen.row_wrapped(at))));
        let mut lines = vec![String::new()];
        for (row, goes_on) in rows {
            if let Some(line) = lines.last_mut() {
                line.push_str(&row);
            }
            if !goes_on {
                lines.push(String::new());
            }
        }
        if lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// Waits until it shows what is wanted, while the command runs.
    pub(crate) fn wait(&mut self, launch: &mut Launch, what: &str, is_so: impl Fn(&mut Self) -> bool) {
        const LIMIT: Duration = Duration::from_secs(25);
        let shows = wait::within(wait::patient(LIMIT), || {
            let is_over = launch.has_ended();
            self.take(&launch.shown());
            let is_so = is_so(self);
            (is_so || is_over).then_some(is_so)
        });
        let (window, lines) = (self.window(), self.lines().join("\n"));
        assert_eq!(
            shows,
            Some(true),
            "{what} was not shown; the window:\n{window}\n---- all lines:\n{lines}"
        );
        eprintln!("---- {what}\n{window}\n----");
    }
}
