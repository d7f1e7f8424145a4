//! What kept the job from starting: its code, its Python, its requirements, its entry.

use super::super::{Case, Found, Rule, evidence};
use super::quoted;
use crate::record::Outcome;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "python-missing",
        find: python,
    },
    Rule {
        name: "requirements",
        find: requirements,
    },
    Rule {
        name: "entry-missing",
        find: entry_missing,
    },
    Rule {
        name: "entry-invalid",
        find: entry_invalid,
    },
    Rule {
        name: "class-missing",
        find: main_class,
    },
    Rule {
        name: "git",
        find: git,
    },
];

/// Why the job did not start, if it is the job's own doing.
fn reason<'a>(case: &'a Case<'_>) -> Option<&'a str> {
    let facts = case.facts;
    let before = facts.outcome == Outcome::JobFailed
        && facts.exit_code.is_none()
        && !facts.reason.starts_with("the job ");
    before.then_some(facts.reason.as_str())
}

fn told(case: &Case<'_>, sentence: String) -> Found {
    Found::new(sentence).because(evidence("the coordinator", [&case.facts.reason]))
}

fn python(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    reason.contains("(code.python)").then(|| {
        told(case, format!("the job's Python cannot be used: {reason}"))
            .change("name one that is there, or remove code.python: driver and executors then run with the machine's own")
            .change("on AWS machines have what their image has: install it when the image is baked")
    })
}

fn requirements(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    let is = [
        "cannot be installed: ",
        " could not be installed within ",
        "requirements \"",
    ]
    .iter()
    .any(|part| reason.contains(part));
    is.then(|| {
        let mut found = told(
            case,
            format!("the Python requirements cannot be installed: {reason}"),
        );
        let errors = case.facts.agent.iter().find_map(|lines| {
            let errors: Vec<&String> = lines
                .lines
                .iter()
                .filter(|line| line.contains("ERROR:"))
                .take(4)
                .collect();
            (!errors.is_empty()).then(|| evidence(format!("pip on {}", lines.node), errors))
        });
        if let Some(errors) = errors {
            found = found.because(errors);
        }
        found
            .change(
                "try the same file with `pip install -r` in a fresh environment of the same Python version",
            )
            .change("a version that does not exist, or has no wheel for this Python, is the usual reason")
    })
}

fn entry_missing(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    let is = reason.contains("does not exist in the repository at this commit");
    is.then(|| {
        told(case, format!("what shall run is not in the code: {reason}"))
            .change("commit (and push) the file, or correct code.entry, code.path or code.ref")
    })
}

fn entry_invalid(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    let is = [
        "is not a file",
        "is empty (zero bytes)",
        "is neither a .py nor a .jar file",
        "leads out of the repository",
        "is not a folder of the repository",
        "needs `class`",
    ]
    .iter()
    .any(|part| reason.contains(part));
    is.then(|| {
        told(case, format!("what shall run cannot be run: {reason}"))
            .change("correct code.entry, code.path or code.class")
    })
}

/// `SparkSubmit` says it and ends, before there is a driver.
fn main_class(case: &Case<'_>) -> Option<Found> {
    if !case.job_failed() {
        return None;
    }
    let refused = case
        .said
        .refused
        .as_ref()
        .filter(|text| text.contains("Failed to load class"))?;
    let class = refused
        .trim_start_matches("Failed to load class ")
        .trim_end_matches('.');
    Some(
        Found::new(format!("the main class {class} is not in the JAR"))
            .because(evidence("job output", [&format!("Error: {refused}")]))
            .change("correct code.class: package and name, and `$` before an inner class")
            .change("`unzip -l` of the JAR lists the classes it has"),
    )
}

fn git(case: &Case<'_>) -> Option<Found> {
    let reason = case.facts.reason.as_str();
    let failed = matches!(case.facts.outcome, Outcome::JobFailed | Outcome::InfraFailed)
        && case.facts.exit_code.is_none();
    let is = [
        "git says: ",
        " did not deliver the code within ",
        ": it was never there, or its history",
        "run git: ",
        " MiB",
        " files and folders",
        "is not a full commit id",
    ]
    .iter()
    .any(|part| reason.contains(part));
    (failed && is).then(|| {
        told(case, format!("the code cannot be fetched: {reason}"))
            .change(format!(
                "look whether the nodes can reach {}",
                quoted(reason, '"').unwrap_or("the repository")
            ))
            .change("a private repository wants a key or token that the nodes have, too")
    })
}
