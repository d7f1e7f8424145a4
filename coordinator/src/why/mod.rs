//! Why a run ended as it did: the cause in one sentence, the evidence for it, and what to change.
//!
//! ```text
//! gather (the store) ──► Facts ──► trace (what the output says) ──► rules (a table, first match) ──► Why
//! ```
//!
//! Everything but [`gather`] is pure. A cause is named only where what is known leaves no other; what fits no rule is
//! `unknown`, with the evidence. The agent's sentence (`ended.reason`) says how the job's process ended; this says what
//! follows from it and from all else that the run left.

pub mod gather;
mod notebook;
mod rules;
pub mod trace;

use crate::record::{Evidence, Outcome, RunRecord, SCHEMA, Summary, UNKNOWN, Why};
use trace::Said;

/// Lines of one piece of evidence.
const EVIDENCE_LINES: usize = 12;
/// Characters of one line of evidence.
const EVIDENCE_WIDTH: usize = 400;
/// Characters of the sentence.
const SENTENCE_MAX: usize = 600;

/// What the store knows of a run that has ended.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Its record.
    pub record: RunRecord,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in the coordinator's or the agent's words.
    pub reason: String,
    /// The job's exit code, when it ended by itself.
    pub exit_code: Option<i32>,
    /// The last lines of the job's output.
    pub output: Vec<String>,
    /// The last lines of the engine's daemons, by node.
    pub engine: Vec<Lines>,
    /// The last lines of the agents, by node.
    pub agent: Vec<Lines>,
    /// What Spark's event log says, if there is one that can be read.
    pub spark: Option<Summary>,
    /// What nodes held, by the receipt.
    pub nodes: Vec<Held>,
}

/// Lines of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// The node.
    pub node: String,
    /// Oldest first.
    pub lines: Vec<String>,
}

/// Memory of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The node.
    pub node: String,
    /// What it offered, in bytes.
    pub memory_bytes: u64,
    /// Most that its processes held at one time, in bytes, if that is known.
    pub peak_bytes: Option<u64>,
}

/// Lines of some place, cut to what people read.
fn evidence<S: AsRef<str>>(source: impl Into<String>, lines: impl IntoIterator<Item = S>) -> Evidence {
    let lines = lines.into_iter().take(EVIDENCE_LINES);
    Evidence {
        source: source.into(),
        lines: lines.map(|line| cut(line.as_ref(), EVIDENCE_WIDTH)).collect(),
    }
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    sentence: String,
    place: Option<String>,
    evidence: Vec<Evidence>,
    change: Vec<String>,
}

impl Found {
    fn new(sentence: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            place: None,
            evidence: Vec::new(),
            change: Vec::new(),
        }
    }

    fn at(mut self, place: Option<String>) -> Self {
        self.place = place;
        self
    }

    fn because(mut self, evidence: Evidence) -> Self {
        if !evidence.lines.is_empty() {
            self.evidence.push(evidence);
        }
        self
    }

    fn change(mut self, what: impl Into<String>) -> Self {
        self.change.push(what.into());
        self
    }
}

/// A known cause: its name, and what finds it.
pub(crate) struct Rule {
    name: &'static str,
    find: fn(&Case<'_>) -> Option<Found>,
}

/// What rules look at.
pub(crate) struct Case<'a> {
    facts: &'a Facts,
    said: Said,
}

/// Names the cause.
#[must_use]
pub fn explain(facts: &Facts) -> Why {
    let case = Case {
        facts,
        said: Said::of(&facts.output),
    };
    let known = rules::all().find_map(|rule| Some((rule.name, (rule.find)(&case)?)));
    let (name, found) = known.unwrap_or_else(|| (UNKNOWN, rules::unknown(&case)));
    Why {
        schema: SCHEMA,
        run: facts.record.run.clone(),
        outcome: facts.outcome,
        cause: name.to_owned(),
        sentence: cut(&found.sentence, SENTENCE_MAX),
        place: found.place,
        evidence: found.evidence,
        change: found.change,
    }
}

/// The names of all causes, for documentation and tests.
pub fn names() -> impl Iterator<Item = &'static str> {
    rules::all().map(|rule| rule.name)
}

fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
