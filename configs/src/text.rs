//! Text that people wrote: which characters are refused, how it is shown in messages, what was probably meant.

use crate::diag::Problem;

/// Characters that cannot be seen or that turn the reading order round: they make a name look like another one.
pub(crate) fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Adds a character to a message, harmless for a terminal.
pub(crate) fn escape_char(out: &mut String, c: char) {
    match c {
        '\t' => out.push(' '),
        c if c.is_control() || is_deceptive(c) => out.extend(c.escape_unicode()),
        c => out.push(c),
    }
}

/// A text for a message: harmless for a terminal and at most `max` characters of it.
pub(crate) fn escape(text: &str, max: usize) -> String {
    let mut out = String::new();
    text.chars().take(max).for_each(|c| escape_char(&mut out, c));
    if text.chars().nth(max).is_some() {
        out.push('…');
    }
    out
}

/// A value for a message, in backticks.
pub(crate) fn quote(text: &str) -> String {
    format!("`{}`", escape(text, 60))
}

/// Names a character, also one that cannot be seen.
pub(crate) fn name_char(c: char) -> String {
    if c.is_control() || is_deceptive(c) || !c.is_ascii() {
        let mut shown = String::new();
        if !c.is_control() && !is_deceptive(c) {
            shown = format!("`{c}` ");
        }
        return format!("{shown}(U+{:04X})", u32::from(c));
    }
    format!("`{c}`")
}

/// Refuses control characters and those that deceive the eye.
pub(crate) fn clean(text: &str) -> Result<(), Problem> {
    match text.chars().find(|c| c.is_control() || is_deceptive(*c)) {
        None => Ok(()),
        Some(c) => Err(
            Problem::new(format!("holds the invisible character {}", name_char(c)))
                .help("only characters that can be seen are allowed here"),
        ),
    }
}

/// Refuses control characters other than tabs and line ends: for values that are passed on as they are.
pub(crate) fn clean_value(text: &str) -> Result<(), Problem> {
    match text.chars().find(|c| c.is_control() && !matches!(c, '\t' | '\n')) {
        None => Ok(()),
        Some(c) => Err(
            Problem::new(format!("holds the control character {}", name_char(c)))
                .help("remove the character"),
        ),
    }
}

/// Refuses text that is empty or longer than `max` bytes.
pub(crate) fn sized(text: &str, max: usize) -> Result<(), Problem> {
    if text.is_empty() {
        return Err(Problem::new("is empty").help("give it a value or remove the key"));
    }
    if text.len() > max {
        let message = format!("is {} bytes long", text.len());
        return Err(Problem::new(message).help(format!("at most {max} bytes are allowed")));
    }
    Ok(())
}

/// The one of `known` that was probably meant.
pub(crate) fn closest<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let given: String = given.chars().take(64).flat_map(char::to_lowercase).collect();
    let best = known
        .into_iter()
        .map(|one| (strsim::damerau_levenshtein(&given, &one.to_lowercase()), one))
        .min_by_key(|(distance, _)| *distance)?;
    let allowed = (best.1.len().min(given.len()) / 3).max(1);
    (best.0 <= allowed && given.len() > 1).then_some(best.1)
}

/// The help for a word out of a fixed set.
pub(crate) fn suggest(given: &str, known: &[&str]) -> String {
    match closest(given, known.iter().copied()) {
        Some(one) => format!("did you mean `{one}`?"),
        None => format!("use one of {}", listed(known)),
    }
}

/// Words for a message: `a`, `b`, `c`.
pub(crate) fn listed(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().take(20).map(|one| quote(one)).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_is_near_and_nothing_else() {
        assert_eq!(closest("worker", ["workers", "master"]), Some("workers"));
        assert_eq!(closest("wrokers", ["workers", "master"]), Some("workers"));
        assert_eq!(closest("ENV", ["env"]), Some("env"));
        assert_eq!(closest("banana", ["workers", "master"]), None);
        assert_eq!(closest("x", ["env"]), None);
    }

    #[test]
    fn shows_no_control_character() {
        assert_eq!(quote("a\u{1b}[31m\u{202e}b"), "`a\\u{1b}[31m\\u{202e}b`");
        assert!(quote(&"x".repeat(10_000)).chars().count() < 70);
    }
}
