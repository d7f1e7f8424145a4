//! What the cases of bad input have in common.

use std::fmt::Write as _;

use mayfly_configs::{Errors, parse};

/// A job file that has every key.
pub(crate) const FULL: &str = include_str!("../data/full.yml");

pub(crate) fn env(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("hunter2".to_owned()),
        "LOOP" => Some("${LOOP}".to_owned()),
        _ => None,
    }
}

pub(crate) fn errors(text: &str) -> Errors {
    parse("jobs.yml", text, &env)
        .err()
        .unwrap_or_else(|| panic!("accepted: {text:?}"))
}

/// A right job with more keys, each on a line of its own from line 3 on.
pub(crate) fn job(more: &str) -> String {
    let mut text = "a:\n  code: {entry: a.py}\n".to_owned();
    for line in more.lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

pub(crate) fn code(key: &str, value: &str) -> String {
    format!("a:\n  code:\n    entry: a.py\n    {key}: {value}\n")
}

/// Checks that the first error is at this line and says these words.
pub(crate) fn refused(name: &str, text: &str, line: usize, words: &[&str]) {
    let errors = errors(text);
    let first = errors
        .list()
        .first()
        .unwrap_or_else(|| panic!("{name}: no error listed"));
    let shown = errors.to_string();
    assert_eq!(first.line, (line > 0).then_some(line), "{name}: {shown}");
    for word in words {
        assert!(shown.contains(word), "{name}: no {word:?} in:\n{shown}");
    }
    assert!(shown.len() < 12_000, "{name}: {} bytes of errors", shown.len());
    assert!(
        !shown.chars().any(|c| c.is_control() && c != '\n'),
        "{name}: control characters in {shown:?}"
    );
}
