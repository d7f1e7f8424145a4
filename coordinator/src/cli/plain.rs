//! Text of others (a job's output, git's complaints, names in the store) made safe for a terminal.

/// Longest line shown, in characters.
const LINE_MAX: usize = 4_000;

/// One line in which nothing moves the cursor, changes the title or reverses the text: colours are taken out, every
/// other control character is shown as its code. Tabs stay.
#[must_use]
pub(crate) fn line(text: &str) -> String {
    let text = text.trim_end_matches(['\r', '\n']);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = after_colour(rest) {
            rest = after;
            continue;
        }
        if is_unsafe(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    match out.char_indices().nth(LINE_MAX) {
        Some((at, _)) => format!("{}…", out.get(..at).unwrap_or_default()),
        None => out,
    }
}

/// The same for each line of a text.
#[must_use]
pub(crate) fn lines(text: &str) -> String {
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Cut to so many characters, with `…` where something is missing.
#[must_use]
pub(crate) fn cut(text: &str, width: usize) -> String {
    if console::measure_text_width(text) <= width {
        return text.to_owned();
    }
    console::truncate_str(text, width, "…").into_owned()
}

fn after_colour(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("\u{1b}[")?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    rest.get(end..)?.strip_prefix('m')
}

fn is_unsafe(c: char) -> bool {
    let reorders =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}') || reorders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        for (given, shown) in [
            ("plain\ttext", "plain\ttext"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{1b}[2Jx", "\\u{1b}[2Jx"),
            ("\u{1b}[31", "\\u{1b}[31"),
            ("50 %\r100 %\r\n", "50 %\\u{d}100 %"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("\u{9b}31m", "\\u{9b}31m"),
        ] {
            assert_eq!(line(given), shown);
        }
        assert_eq!(line(&"x".repeat(5_000)).chars().count(), LINE_MAX + 1);
    }
}
