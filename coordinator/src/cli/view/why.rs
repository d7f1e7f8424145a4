//! A cause for people.

use super::paint::Paint;
use super::receipt::outcome_word;
use super::wrap::entry;
use crate::cli::plain;
use crate::record::{UNKNOWN, Why};

/// Columns of the names on the left.
const NAMES: usize = 9;

/// All that is known: the cause, the evidence, what to change.
#[must_use]
pub(crate) fn whole(why: &Why, width: usize, paint: Paint) -> Vec<String> {
    let word = outcome_word(why.outcome);
    let head = format!(
        "{}  {}  {}",
        paint.bad(&format!("✗ {word}")),
        paint.bold(why.run.as_str()),
        paint.dim(&why.cause)
    );
    let mut lines = vec![plain::cut(&head, width)];
    lines.extend(entry(&name("why", paint), NAMES, &why.sentence, width));
    if let Some(place) = &why.place {
        lines.extend(entry(&paint.dim("at"), NAMES, place, width));
    }
    for evidence in &why.evidence {
        lines.push(String::new());
        lines.push(paint.dim(&format!("  {}", plain::line(&evidence.source))));
        // For copying: left whole.
        lines.extend(
            evidence
                .lines
                .iter()
                .map(|line| format!("  {} {}", paint.dim("│"), plain::line(line))),
        );
    }
    if !why.change.is_empty() {
        lines.push(String::new());
    }
    lines.extend(change(why, width, paint));
    lines
}

/// The last block of a launch that failed.
#[must_use]
pub(crate) fn brief(why: &Why, width: usize, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    if why.cause != UNKNOWN {
        lines.extend(entry(&name("why", paint), NAMES, &why.sentence, width));
        lines.extend(change(why, width, paint));
    }
    lines.push(format!(
        "  {}coordinator why {}",
        pad(&paint.dim("more")),
        why.run
    ));
    lines
}

fn change(why: &Why, width: usize, paint: Paint) -> Vec<String> {
    let named = why.change.iter().enumerate().map(|(n, change)| {
        let name = if n == 0 {
            paint.good("change")
        } else {
            String::new()
        };
        entry(&name, NAMES, change, width)
    });
    named.flatten().collect()
}

fn name(text: &str, paint: Paint) -> String {
    paint.bold(text)
}

fn pad(name: &str) -> String {
    let gap = NAMES.saturating_sub(console::measure_text_width(name));
    format!("{name}{}", " ".repeat(gap))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_cause_has_its_evidence_and_what_to_change_wrapped() {
        let text = whole(&samples::why(), 60, Paint { on: false }).join("\n");
        let shown = "\
✗ job-failed  flights-abcdefgh  exception
  why      the job raised ValueError: no such column: delay
           (at delay.py:41)
  at       delay.py:41

  job output
  │ Traceback (most recent call last):
  │ ValueError: no such column: delay

  change   look at df.printSchema() just before that line,
           and at the names of the columns in the file that
           is read";
        assert_eq!(text, shown);
    }

    #[test]
    fn an_unknown_cause_is_not_made_a_sentence_of_the_last_block() {
        let unknown = Why {
            cause: UNKNOWN.to_owned(),
            ..samples::why()
        };
        assert_eq!(
            brief(&unknown, 80, Paint { on: false }),
            ["  more     coordinator why flights-abcdefgh"]
        );
    }
}
