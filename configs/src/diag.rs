//! Errors with their place: what was wrong, where, what would be right; all of a file at once, in a bounded list.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

use crate::text::{escape, escape_char};
use crate::warning::Warning;

/// How many errors are reported; the rest are only counted.
pub const MAX_ERRORS: usize = 20;
/// Widest piece of a source line that is shown.
const MAX_LINE_CHARS: usize = 100;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The file, or the flag (`--set`, `--entry`) that the value came from.
    pub file: String,
    /// Line, counted from 1; none when the file as a whole is meant.
    pub line: Option<usize>,
    /// Column in characters, counted from 1.
    pub column: Option<usize>,
    /// Dotted path of the key, such as `flights.workers.count`; empty when no key is meant.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    #[serde(skip)]
    snippet: Option<Snippet>,
}

/// A source line as it is shown, and what to underline in it (in characters).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Snippet {
    text: String,
    at: usize,
    len: usize,
}

/// What is wrong with a value, with no place yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// What is wrong, as the rest of a sentence that begins with the key.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// The value holds a secret: its line must not be shown.
    pub(crate) secret: bool,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            secret: false,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// Everything that is wrong with a job file, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Errors {
    list: Vec<Diagnostic>,
    more: usize,
}

impl Errors {
    pub(crate) fn new(list: Vec<Diagnostic>, more: usize) -> Self {
        Self { list, more }
    }

    /// An error about a file as a whole.
    pub(crate) fn of_file(file: &str, problem: Problem) -> Self {
        let file = escape(file, 200);
        let Problem {
            message,
            help,
            secret: _,
        } = problem;
        let one = Diagnostic {
            file,
            line: None,
            column: None,
            key: String::new(),
            message,
            help,
            snippet: None,
        };
        Self {
            list: vec![one],
            more: 0,
        }
    }

    /// The errors, at most [`MAX_ERRORS`].
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// How many more there are.
    pub fn more(&self) -> usize {
        self.more
    }

    /// The errors for `--json`: `[{file, line, column, key, message, help}]`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(&self.list).unwrap_or_default()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, one) in self.list.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{one}")?;
        }
        match self.more {
            0 => Ok(()),
            1 => writeln!(f, "\nand 1 more error"),
            n => writeln!(f, "\nand {n} more errors"),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        let (Some(line), Some(column)) = (self.line, self.column) else {
            writeln!(f, "  --> {}", self.file)?;
            return self.help.iter().try_for_each(|help| writeln!(f, "   = {help}"));
        };
        let width = line.to_string().len();
        let gap = " ".repeat(width);
        writeln!(f, " {gap}--> {}:{line}:{column}", self.file)?;
        let Some(snippet) = &self.snippet else {
            return self
                .help
                .iter()
                .try_for_each(|help| writeln!(f, " {gap} = {help}"));
        };
        writeln!(f, " {gap} |")?;
        writeln!(f, " {line} | {}", snippet.text)?;
        write!(
            f,
            " {gap} | {}{}",
            " ".repeat(snippet.at),
            "^".repeat(snippet.len)
        )?;
        self.help.iter().try_for_each(|help| write!(f, " {help}"))?;
        writeln!(f)
    }
}

/// A place in one of the sources, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) source: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A text that values come from: a file, or one flag of the command line.
struct Source {
    name: String,
    text: String,
}

/// Collects what is wrong, and knows the sources' text.
#[derive(Default)]
pub(crate) struct Sink {
    sources: Vec<Source>,
    found: Vec<(Place, Diagnostic)>,
    /// Places and hashed messages that were reported.
    seen: BTreeSet<(Place, u64)>,
    more: usize,
    /// What stops nothing, in the order of the file.
    pub(crate) warnings: Vec<Warning>,
}

impl Sink {
    /// The number of the first source: the compiled-in defaults, wherever jobs are read.
    pub(crate) const COMPILED_IN: usize = 0;

    /// Adds a source; the result is its number.
    pub(crate) fn add_source(&mut self, name: &str, text: &str) -> usize {
        self.sources.push(Source {
            name: escape(name, 200),
            text: text.to_owned(),
        });
        self.sources.len() - 1
    }

    /// How many sources there are: the number of the next one.
    pub(crate) fn sources(&self) -> usize {
        self.sources.len()
    }

    /// True once further errors are only counted: explaining them would be wasted work.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= MAX_ERRORS
    }

    /// How many errors there are, counted or listed.
    pub(crate) fn count(&self) -> usize {
        self.found.len() + self.more
    }

    /// Reports a problem at a place. The same one twice (a default that several jobs share) is reported once.
    pub(crate) fn report(&mut self, place: Place, key: &str, problem: Problem) {
        let Problem {
            message,
            help,
            secret,
        } = problem;
        let mut hasher = DefaultHasher::new();
        message.hash(&mut hasher);
        if !self.seen.insert((place, hasher.finish())) {
            return;
        }
        if self.is_full() {
            self.more += 1;
            return;
        }
        let Some(source) = self.sources.get(place.source) else {
            return;
        };
        let (line, column, snippet) = locate(&source.text, place);
        let snippet = (!secret).then_some(snippet);
        let (file, key) = (source.name.clone(), escape(key, 120));
        let one = Diagnostic {
            file,
            line: Some(line),
            column: Some(column),
            key,
            message,
            help,
            snippet,
        };
        self.found.push((place, one));
    }

    /// The file and the line of a place.
    pub(crate) fn file_and_line(&self, place: Place) -> (String, usize) {
        let Some(source) = self.sources.get(place.source) else {
            return (String::new(), 0);
        };
        (source.name.clone(), locate(&source.text, place).0)
    }

    /// The errors in the order of their places.
    pub(crate) fn into_errors(mut self) -> Errors {
        self.found.sort_by_key(|(place, _)| *place);
        Errors::new(self.found.into_iter().map(|(_, one)| one).collect(), self.more)
    }
}

/// Line, column and the shown line of a place.
fn locate(text: &str, place: Place) -> (usize, usize, Snippet) {
    let start = floor_boundary(text, place.start);
    let (before, rest) = text.split_at_checked(start).unwrap_or((text, ""));
    let line = before.matches('\n').count() + 1;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let prefix = before.get(line_start..).unwrap_or_default();
    let column = prefix.chars().count() + 1;
    let tail = rest.split(['\n', '\r']).next().unwrap_or_default();
    let marked = place.end.saturating_sub(start).min(tail.len());
    let marked = tail.get(..floor_boundary(tail, marked)).unwrap_or_default();
    (
        line,
        column,
        snippet(prefix, marked, tail.get(marked.len()..).unwrap_or_default()),
    )
}

/// Cuts a long line to a window around what is marked, and makes every character harmless.
fn snippet(prefix: &str, marked: &str, after: &str) -> Snippet {
    let keep = MAX_LINE_CHARS / 2;
    let cut = prefix.chars().count().saturating_sub(keep);
    let mut text = String::new();
    if cut > 0 {
        text.push('…');
    }
    prefix.chars().skip(cut).for_each(|c| escape_char(&mut text, c));
    let at = text.chars().count();
    marked.chars().take(keep).for_each(|c| escape_char(&mut text, c));
    let len = (text.chars().count() - at).max(1);
    if marked.chars().nth(keep).is_some() {
        text.push('…');
    } else {
        after.chars().take(keep).for_each(|c| escape_char(&mut text, c));
        if after.chars().nth(keep).is_some() {
            text.push('…');
        }
    }
    Snippet {
        text: text.trim_end().to_owned(),
        at,
        len,
    }
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
