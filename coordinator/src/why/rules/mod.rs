//! The table of known causes: rules in the order in which they are asked. The first that finds something names the cause.
//!
//! What ended the run comes first (somebody, the clock, the money, the machines), then what kept the job from starting, then
//! what its output says: memory and disks before the exceptions that they hide behind, particular exceptions before any.

mod analysis;
mod fleet;
mod java;
mod memory;
mod prepare;
mod python;
mod r;
mod storage;
mod time;

use super::trace::Traceback;
use super::{Case, Found, Rule, evidence};
use crate::record::{Evidence, Outcome};

/// All rules, the first to be asked first.
pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    [
        time::RULES,
        fleet::RULES,
        prepare::RULES,
        memory::RULES,
        storage::RULES,
        analysis::RULES,
        python::RULES,
        r::RULES,
        java::RULES,
    ]
    .into_iter()
    .flatten()
}

/// What can be said where no rule found anything.
pub(super) fn unknown(case: &Case<'_>) -> Found {
    let reason = case.facts.reason.trim();
    let sentence = if reason.is_empty() {
        "the cause is not known".to_owned()
    } else {
        format!("the cause is not known; all that was said is: {reason}")
    };
    let mut found = Found::new(sentence).because(case.output_end());
    for lines in case
        .facts
        .agent
        .iter()
        .filter(|lines| !lines.lines.is_empty())
        .take(2)
    {
        let last = lines.lines.iter().rev().take(4).rev();
        found = found.because(evidence(format!("the agent of {}", lines.node), last));
    }
    found.change(
        "read the whole output with `coordinator logs`, and that of Spark's daemons with --stream engine",
    )
}

impl Case<'_> {
    /// Whether the job's own process ended the run by ending by itself.
    fn job_failed(&self) -> bool {
        self.facts.outcome == Outcome::JobFailed && self.facts.exit_code.is_some_and(|code| code != 0)
    }

    /// The last lines of the output that are not the JVM's stack.
    fn output_end(&self) -> Evidence {
        let frame = |line: &&String| !line.trim_start().starts_with("at ") && !line.trim().is_empty();
        let mut last: Vec<&String> = self.said.lines.iter().rev().filter(frame).take(8).collect();
        last.reverse();
        evidence("job output", last)
    }

    /// The lines of what ended the job that hold one of these.
    fn output_with(&self, any: &[&str]) -> Evidence {
        let lines = self
            .said
            .last
            .lines()
            .filter(|line| any.iter().any(|part| line.contains(part)));
        evidence("job output", lines.take(3).map(str::trim))
    }

    /// A traceback as evidence: its own frames and its exception.
    fn traced(&self, traceback: &Traceback) -> Evidence {
        let lines = self
            .said
            .lines
            .get(traceback.at..traceback.end)
            .unwrap_or_default();
        let (first, rest) = lines.split_at(lines.len().min(1));
        let rest = rest.get(rest.len().saturating_sub(7)..).unwrap_or_default();
        evidence("job output", first.iter().chain(rest))
    }

    /// Where the job's own code was: in the worker if it failed there, else in the driver.
    fn place(&self) -> Option<String> {
        let own = |t: Option<&Traceback>| t.and_then(Traceback::place);
        own(self.said.root()).or_else(|| own(self.said.outer()))
    }

    /// Where the driver was.
    fn driver_place(&self) -> Option<String> {
        self.said.outer().and_then(Traceback::place)
    }

    /// ` (at main.py:3)`, or nothing.
    fn shown(place: Option<&String>) -> String {
        place.map(|place| format!(" (at {place})")).unwrap_or_default()
    }

    /// Lines of any agent that hold this text, with the node.
    fn agents_with(&self, text: &str) -> Option<(String, Evidence)> {
        self.facts.agent.iter().find_map(|lines| {
            let found: Vec<&String> = lines.lines.iter().filter(|line| line.contains(text)).collect();
            (!found.is_empty()).then(|| {
                let source = format!("the agent of {}", lines.node);
                (lines.node.clone(), evidence(source, found.into_iter().take(3)))
            })
        })
    }
}

/// What stands between two marks, the first time.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inside, _)| inside)
}

/// The first text in these quotes that is short enough to be a name.
fn quoted(text: &str, quote: char) -> Option<&str> {
    let mut parts = text.split(quote);
    parts.next();
    parts.next().filter(|name| !name.is_empty() && name.len() < 300)
}
