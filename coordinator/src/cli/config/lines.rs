//! Two texts line by line: what is gone, what is new, and a little of what is around it.

use std::time::{Duration, Instant};

use similar::{Algorithm, ChangeTag, capture_diff_slices_deadline, group_diff_ops};

use crate::cli::plain;
use crate::cli::view::Paint;

/// Lines of the same that are shown around a difference.
const CONTEXT: usize = 3;
/// How long the smallest difference is looked for; after that a larger one does.
const TIME_MAX: Duration = Duration::from_secs(1);

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
    compare(was, is, CONTEXT)
}

fn compare<'t>(was: &'t str, is: &'t str, context: usize) -> Vec<Line<'t>> {
    let (was, is): (Vec<&str>, Vec<&str>) = (was.lines().collect(), is.lines().collect());
    let limit = Instant::now() + TIME_MAX;
    let steps = capture_diff_slices_deadline(Algorithm::Myers, &was, &is, Some(limit));
    let (mut out, mut told) = (Vec::new(), 0);
    for step in group_diff_ops(steps, context).iter().flatten() {
        let place = step.old_range();
        // Of an insertion similar may name another place than where it stands in the list.
        if !place.is_empty() {
            skip(&mut out, place.start.saturating_sub(told));
            told = place.end;
        }
        out.extend(step.iter_changes(was.as_slice(), is.as_slice()).map(|change| {
            let text = change.value();
            match change.tag() {
                ChangeTag::Equal => Line::Same(text),
                ChangeTag::Delete => Line::Gone(text),
                ChangeTag::Insert => Line::New(text),
            }
        }));
    }
    skip(&mut out, was.len().saturating_sub(told));
    out
}

fn skip(out: &mut Vec<Line<'_>>, count: usize) {
    if count > 0 {
        out.push(Line::Skipped(count));
    }
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
            prop_assume!(was != is);
            let lines = compare(&was, &is, 100);
            prop_assert!(!lines.iter().any(|line| matches!(line, Line::Skipped(_))));
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
