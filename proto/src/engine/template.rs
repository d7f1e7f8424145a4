//! A text with facts in it: `--port={ports.scheduler}`. `{{` and `}}` are the braces themselves.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::{Fact, Facts};

/// Longest text of a template, in bytes.
const TEXT_MAX: usize = 16_384;

/// A text with facts in it, whose form is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A fact, and what a number is multiplied with and divided by.
    Fact(String, u64, u64),
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// A brace has no partner, or what is between two is no fact's name.
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        if text.len() > TEXT_MAX {
            return Err(format!(
                "is {} bytes long, and {TEXT_MAX} are allowed",
                text.len()
            ));
        }
        if let Some(c) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            return Err(format!("holds the control character U+{:04X}", u32::from(c)));
        }
        let pieces = split(&text)?;
        Ok(Self { text, pieces })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The facts that it names.
    pub fn facts(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Fact(name, ..) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Whether it is one fact and nothing else.
    fn alone(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Fact(name, 1, 1)] => Some(name),
            _ => None,
        }
    }

    /// The text with its facts.
    ///
    /// # Errors
    /// There is no such fact here, or it is no number and is reckoned with.
    pub fn render(&self, facts: &Facts) -> Result<String, String> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Fact(name, times, by) => out.push_str(&value(facts, name, *times, *by)?),
            }
        }
        Ok(out)
    }

    /// One item of a command line: one word, or those of a list that stands alone.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn words(&self, facts: &Facts) -> Result<Vec<String>, String> {
        match self.alone().and_then(|name| facts.get(name)) {
            Some(Fact::Many(words)) => Ok(words.clone()),
            Some(Fact::One(_)) | None => Ok(vec![self.render(facts)?]),
        }
    }
}

/// A whole command line.
///
/// # Errors
/// As [`Template::render`].
pub(super) fn command_line(templates: &[Template], facts: &Facts) -> Result<Vec<String>, String> {
    let words: Result<Vec<Vec<String>>, String> = templates.iter().map(|item| item.words(facts)).collect();
    Ok(words?.concat())
}

fn value(facts: &Facts, name: &str, times: u64, by: u64) -> Result<String, String> {
    let fact = facts
        .get(name)
        .ok_or_else(|| format!("there is no fact {{{name}}} here"))?;
    let text = match fact {
        Fact::One(text) => text.clone(),
        Fact::Many(words) => words.join(","),
    };
    if (times, by) == (1, 1) {
        return Ok(text);
    }
    let number: u64 = text
        .parse()
        .map_err(|_| format!("{{{name}}} is no number to reckon with"))?;
    Ok((number.saturating_mul(times) / by.max(1)).to_string())
}

fn split(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        if let Some(after) = from.strip_prefix("{{") {
            plain.push('{');
            rest = after;
        } else if let Some(after) = from.strip_prefix("}}") {
            plain.push('}');
            rest = after;
        } else if let Some(inner) = from.strip_prefix('{') {
            let (name, after) = inner
                .split_once('}')
                .ok_or("has a `{` without its `}` (write `{{` for the brace itself)")?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(fact(name)?);
            rest = after;
        } else {
            return Err("has a `}` without its `{` (write `}}` for the brace itself)".into());
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

/// `name`, `name / 4` or `name * 2`.
fn fact(inner: &str) -> Result<Piece, String> {
    let (name, sign, number) = match inner.split_once(['*', '/']) {
        None => (inner.trim(), '*', "1"),
        Some((name, number)) => {
            let sign = if inner.contains('/') { '/' } else { '*' };
            (name.trim(), sign, number.trim())
        }
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!(
            "has `{{{inner}}}`, which is not a fact (write `{{{{` for the brace itself)"
        ));
    }
    let number: u64 = number
        .parse()
        .ok()
        .filter(|number| (1..=1 << 40).contains(number))
        .ok_or_else(|| format!("has `{{{inner}}}`, which is no fact times or divided by a whole number"))?;
    let (times, by) = if sign == '*' { (number, 1) } else { (1, number) };
    Ok(Piece::Fact(name.to_owned(), times, by))
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let mut facts = Facts::default();
        facts.one("ports.main", "8786");
        facts.one("node.memory_bytes", "1024");
        facts.many("args", ["a b", "c"]);
        facts
    }

    fn render(text: &str) -> Result<String, String> {
        Template::new(text)?.render(&facts())
    }

    #[test]
    fn facts_are_put_in_and_braces_stay() {
        assert_eq!(render("tcp://x:{ports.main}/{{a}}").unwrap(), "tcp://x:8786/{a}");
        assert_eq!(
            render("{node.memory_bytes / 4}M{node.memory_bytes*2}").unwrap(),
            "256M2048"
        );
        assert_eq!(render("x{args}").unwrap(), "xa b,c");
        assert_eq!(
            Template::new("{args}").unwrap().words(&facts()).unwrap(),
            ["a b", "c"]
        );
        assert_eq!(Template::new("").unwrap().words(&facts()).unwrap(), [""]);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for bad in ["{", "}", "{}", "{a b}", "a{b", "{a / 0}", "{a/b}", "{a;b}", "x\0"] {
            assert!(Template::new(bad).is_err(), "{bad}");
        }
        assert!(render("{nothing}").is_err());
        assert!(render("{args / 2}").is_err());
    }
}
