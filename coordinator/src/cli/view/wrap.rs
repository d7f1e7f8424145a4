//! Long sentences on narrow terminals.

use crate::cli::plain;

/// Narrowest text: on a terminal that leaves less, the lines are longer than it.
const TEXT_MIN: usize = 20;

/// `  name     text`, with the text wrapped at words below itself. The name is as it is, `name_width` columns wide.
#[must_use]
pub(crate) fn entry(name: &str, name_width: usize, text: &str, width: usize) -> Vec<String> {
    let room = width.saturating_sub(name_width + 2).max(TEXT_MIN);
    let gap = name_width.saturating_sub(console::measure_text_width(name));
    let mut lines = Vec::new();
    for (n, part) in words(&plain::line(text), room).into_iter().enumerate() {
        if n == 0 {
            lines.push(format!("  {name}{}{part}", " ".repeat(gap)));
        } else {
            lines.push(format!("  {}{part}", " ".repeat(name_width)));
        }
    }
    lines
}

/// Lines of at most `room` columns, broken between words; a word that is longer is left whole, for copying. A number stays
/// with its percent sign.
fn words(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let joined = text.replace(" %", "\u{a0}%");
    for word in joined.split(' ').map(|word| word.replace('\u{a0}', " ")) {
        let width = console::measure_text_width(&line) + 1 + console::measure_text_width(&word);
        if !line.is_empty() && width > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_on_below_the_first_and_long_ones_stay_whole() {
        assert_eq!(
            entry("why", 6, "one two three four five six", 22),
            ["  why   one two three four", "        five six"]
        );
        let long = "x".repeat(80);
        assert_eq!(
            entry("a", 3, &format!("see {long}"), 40),
            ["  a  see".to_owned(), format!("     {long}")]
        );
        assert_eq!(
            entry("", 0, "a share of about 59 %", 22),
            ["  a share of about", "  59 %"]
        );
        assert_eq!(entry("", 2, "", 40), ["    "]);
    }
}
