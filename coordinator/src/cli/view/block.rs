//! Lines at the bottom of a terminal that are drawn again in place, below what goes on being printed.
//!
//! Each line ends where it ends, and not at the edge of the window, so that none is joined with the next one when the
//! window gets wider. When it gets narrower most terminals break lines anew: then the block has more rows than it was drawn
//! in, and all of them are taken back.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use console::Term;

/// The block of one terminal.
pub(crate) struct Block {
    term: Term,
    /// Columns of each line that is there; the cursor is behind the last one.
    drawn: Vec<usize>,
    breaks_anew: bool,
}

impl Block {
    /// One on standard error, with nothing in it.
    pub(crate) fn new() -> Self {
        let var = |name: &str| std::env::var(name).ok();
        Self {
            term: Term::stderr(),
            drawn: Vec::new(),
            breaks_anew: breaks_anew(var),
        }
    }

    /// Columns that a line may have. The last one of the window stays free, or some terminals go on in the next row.
    pub(crate) fn columns(&self) -> usize {
        usize::from(self.term.size().1).saturating_sub(1)
    }

    /// Draws these lines, none of which may be wider than [`Block::columns`], in place of what is there. In a low window
    /// the first ones of them.
    pub(crate) fn draw(&mut self, lines: &[String]) {
        let rows = usize::from(self.term.size().0).saturating_sub(1).max(1);
        let shown = lines.get(..rows.min(lines.len())).unwrap_or(lines);
        let text = back(self.rows()) + &over(shown);
        self.drawn = shown
            .iter()
            .map(|line| console::measure_text_width(line))
            .collect();
        show(&text);
    }

    /// Takes it away.
    pub(crate) fn erase(&mut self) {
        if !self.drawn.is_empty() {
            show(&(back(self.rows()) + &over(&[])));
            self.drawn.clear();
        }
    }

    /// Rows that it has in the window as that is now.
    fn rows(&self) -> usize {
        let window = usize::from(self.term.size().1).max(1);
        let of = |&columns: &usize| match self.breaks_anew {
            true => columns.div_ceil(window).max(1),
            false => 1,
        };
        self.drawn.iter().map(of).sum()
    }
}

/// Whether the terminal breaks its lines anew when its width changes: all do but for some that cut each row.
fn breaks_anew(var: impl Fn(&str) -> Option<String>) -> bool {
    let term = var("TERM").unwrap_or_default();
    let multiplexed = var("TMUX").is_some();
    let cuts = ["rxvt", "linux", "screen"]
        .iter()
        .any(|one| term.starts_with(one));
    multiplexed || !(cuts || var("XTERM_VERSION").is_some())
}

/// From the end of so many rows to their beginning.
fn back(rows: usize) -> String {
    match rows {
        0 | 1 => "\r".to_owned(),
        more => format!("\r\u{1b}[{}A", more - 1),
    }
}

/// Lines over what is there, and nothing of that below them.
fn over(lines: &[String]) -> String {
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate() {
        let end = if n + 1 == lines.len() { "" } else { "\u{1b}[K\r\n" };
        // A string takes whatever is written to it.
        let _ = write!(text, "{line}{end}");
    }
    text + "\u{1b}[J"
}

/// All at once, so that no half of it is seen. Nobody may be there to see it; that stops nothing.
fn show(text: &str) {
    let mut terminal = io::stderr().lock();
    let _ = terminal.write_all(text.as_bytes());
    let _ = terminal.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_written_over_and_the_rest_of_it_is_taken_away() {
        let lines = ["one".to_owned(), "two".to_owned()];
        assert_eq!(back(1) + &over(&lines), "\rone\u{1b}[K\r\ntwo\u{1b}[J");
        assert_eq!(back(3) + &over(&[]), "\r\u{1b}[2A\u{1b}[J");
    }

    #[test]
    fn terminals_that_cut_their_rows_are_known() {
        let of = |set: &[(&str, &str)]| {
            breaks_anew(|name| set.iter().find(|one| one.0 == name).map(|one| one.1.to_owned()))
        };
        let xterm = ("XTERM_VERSION", "XTerm(390)");
        let tmux = ("TMUX", "/tmp/tmux-0/default,1,0");
        assert!(of(&[("TERM", "xterm-256color")]) && of(&[]));
        assert!(of(&[("TERM", "screen-256color"), tmux]) && of(&[("TERM", "tmux-256color"), tmux, xterm]));
        for cuts in [
            &[("TERM", "xterm-256color"), xterm][..],
            &[("TERM", "screen")],
            &[("TERM", "linux")],
        ] {
            assert!(!of(cuts), "{cuts:?}");
        }
    }
}
