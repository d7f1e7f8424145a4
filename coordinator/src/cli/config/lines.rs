//! Two texts line by line: what is gone, what is new, and a little of what is around it.

use crate::cli::plain;
use crate::cli::view::Paint;

/// Lines of the same that are shown around a difference.
const CONTEXT: usize = 3;
/// Most pairs of lines that are compared; larger texts are shown as wholly different.
const PAIRS_MAX: usize = 4_000_000;

/// A line of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'t> {
    Same(&'t str),
    Gone(&'t str),
    New(&'t str),
    /// So many lines of the same that are not shown.
    Skipped(usize),
}

impl Line<'_> {
    /// As it is printed; nothing in it moves a terminal.
    pub(super) fn painted(self, paint: Paint) -> String {
        match self {
            Self::Same(text) => format!("  {}", plain::line(text)),
            Self::Gone(text) => paint.bad(&format!("- {}", plain::line(text))),
            Self::New(text) => paint.good(&format!("+ {}", plain::line(text))),
            Self::Skipped(1) => paint.dim("  … 1 line"),
            Self::Skipped(count) => paint.dim(&format!("  … {count} lines")),
        }
    }
}

/// Compares two texts.
pub(super) fn diff<'t>(was: &'t str, is: &'t str) -> Vec<Line<'t>> {
    let (was, is): (Vec<&str>, Vec<&str>) = (was.lines().collect(), is.lines().collect());
    shorten(&all(&was, &is))
}

/// Every line, by the longest common subsequence.
fn all<'t>(was: &[&'t str], is: &[&'t str]) -> Vec<Line<'t>> {
    if was.len().saturating_mul(is.len()) > PAIRS_MAX {
        let gone = was.iter().map(|line| Line::Gone(line));
        return gone.chain(is.iter().map(|line| Line::New(line))).collect();
    }
    let common = common(was, is);
    let (mut at_was, mut at_is, mut out) = (0, 0, Vec::new());
    loop {
        match (was.get(at_was), is.get(at_is)) {
            (None, None) => return out,
            (Some(old), Some(new)) if old == new => {
                out.push(Line::Same(old));
                (at_was, at_is) = (at_was + 1, at_is + 1);
            }
            (Some(old), new) if new.is_none() || common(at_was + 1, at_is) >= common(at_was, at_is + 1) => {
                out.push(Line::Gone(old));
                at_was += 1;
            }
            (_, Some(new)) => {
                out.push(Line::New(new));
                at_is += 1;
            }
            (Some(_), None) => return out,
        }
    }
}

/// How many lines the two texts have in common behind a line of each.
fn common(was: &[&str], is: &[&str]) -> impl Fn(usize, usize) -> u32 {
    let width = is.len() + 1;
    let mut table = vec![0_u32; (was.len() + 1) * width];
    for (row, old) in was.iter().enumerate().rev() {
        for (column, new) in is.iter().enumerate().rev() {
            let get = |row: usize, column: usize| table.get(row * width + column).copied().unwrap_or(0);
            let best = if old == new {
                get(row + 1, column + 1) + 1
            } else {
                get(row + 1, column).max(get(row, column + 1))
            };
            if let Some(cell) = table.get_mut(row * width + column) {
                *cell = best;
            }
        }
    }
    move |row, column| table.get(row * width + column).copied().unwrap_or(0)
}

/// Leaves out what is the same and far from a difference.
fn shorten<'t>(lines: &[Line<'t>]) -> Vec<Line<'t>> {
    let differs = |line: &Line<'_>| !matches!(line, Line::Same(_));
    let near = |at: usize| {
        let window = lines.get(at.saturating_sub(CONTEXT)..lines.len().min(at + CONTEXT + 1));
        window.is_some_and(|window| window.iter().any(differs))
    };
    let (mut out, mut skipped) = (Vec::new(), 0);
    for (at, line) in lines.iter().enumerate() {
        if !near(at) {
            skipped += 1;
            continue;
        }
        if skipped > 0 {
            out.push(Line::Skipped(std::mem::take(&mut skipped)));
        }
        out.push(*line);
    }
    if skipped > 0 {
        out.push(Line::Skipped(skipped));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(was: &str, is: &str) -> String {
        let lines = diff(was, is);
        lines
            .iter()
            .map(|line| line.painted(Paint { on: false }) + "\n")
            .collect()
    }

    #[test]
    fn differences_are_shown_with_what_is_around_them() {
        assert_eq!(shown("a\nb\nc\n", "a\nx\nc\n"), "  a\n- b\n+ x\n  c\n");
        assert_eq!(shown("", "a\nb\n"), "+ a\n+ b\n");
        assert_eq!(shown("a\n", ""), "- a\n");
        assert_eq!(
            shown("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n5\n6\n7\n8\nx\n"),
            "  … 5 lines\n  6\n  7\n  8\n- 9\n+ x\n"
        );
        assert_eq!(shown("a\n\u{1b}[2Jb\n", "a\n"), "  a\n- \\u{1b}[2Jb\n");
    }

    proptest! {
        #[test]
        fn both_texts_are_in_the_comparison(was in "([abc]\\n){0,12}", is in "([abc]\\n){0,12}") {
            let (old, new): (Vec<&str>, Vec<&str>) = (was.lines().collect(), is.lines().collect());
            let lines = all(&old, &new);
            let side = |keep: fn(&Line<'_>) -> bool| -> Vec<&str> {
                lines
                    .iter()
                    .filter(|line| keep(line))
                    .filter_map(|line| match line {
                        Line::Same(text) | Line::Gone(text) | Line::New(text) => Some(*text),
                        Line::Skipped(_) => None,
                    })
                    .collect()
            };
            prop_assert_eq!(side(|line| !matches!(line, Line::New(_))), old);
            prop_assert_eq!(side(|line| !matches!(line, Line::Gone(_))), new);
        }
    }
}
