//! Exceptions of jobs in a JAR; and programs that end by themselves with a code of their own.

use super::super::trace::Throwable;
use super::super::{Case, Found, Rule, cut, evidence};

/// Most of a program's last line that is shown in a sentence, in characters.
const WORDS_MAX: usize = 120;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "java-exception",
        find: thrown,
    },
    Rule {
        name: "submit-refused",
        find: refused,
    },
    Rule {
        name: "exit-code",
        find: exit_code,
    },
];

fn thrown(case: &Case<'_>) -> Option<Found> {
    let (first, root) = (case.said.thrown.first()?, case.said.thrown.last()?);
    if !case.job_failed() {
        return None;
    }
    // `\tat Main$.main(Main.scala:12)`: the first frame that is neither the language's nor Spark's.
    let place = case.said.last.lines().find_map(|line| {
        let frame = line.trim().strip_prefix("at ")?;
        let library = [
            "java.",
            "javax.",
            "jdk.",
            "scala.",
            "org.apache.",
            "sun.",
            "java.base/",
            "org.sparkproject.",
        ];
        let own = !library.iter().any(|part| frame.starts_with(part));
        let (function, rest) = frame.split_once('(').filter(|_| own)?;
        let function = function.rsplit('.').next().unwrap_or(function);
        Some(format!("{} in {function}", rest.trim_end_matches(')')))
    });
    let told = |thrown: &Throwable| format!("{}: {}", thrown.name(), thrown.message);
    let chain = case
        .said
        .thrown
        .iter()
        .take(4)
        .map(|t| format!("{}: {}", t.class, t.message));
    let by = if first == root {
        String::new()
    } else {
        format!(", as {}", told(first))
    };
    Some(
        Found::new(format!(
            "the job raised {}{}{by}",
            told(root),
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(evidence("job output", chain)),
    )
}

fn refused(case: &Case<'_>) -> Option<Found> {
    let refused = case
        .said
        .refused
        .as_ref()
        .filter(|_| case.job_failed() && case.said.outer().is_none())?;
    Some(
        Found::new(format!("Spark did not start the job: {refused}"))
            .because(evidence("job output", [format!("Error: {refused}")])),
    )
}

fn exit_code(case: &Case<'_>) -> Option<Found> {
    let code = case.facts.exit_code.filter(|_| case.job_failed())?;
    // A driver that fails for a reason of Spark's says one; without it, and with 1, anything may have happened.
    let own = code != 1 || case.said.last.is_empty();
    own.then(|| {
        let found = Found::new(format!(
            "the job ended itself with exit code {code}{}",
            last_words(case)
        ));
        let found = found.because(case.output_end());
        if case.facts.record.job.code.entry.as_str().ends_with(".py") {
            return found.change("an exception instead of sys.exit would tell the place");
        }
        found
    })
}

/// What a program said last before it ended itself is often why.
fn last_words(case: &Case<'_>) -> String {
    let said = case.said.lines.iter().rfind(|line| !line.trim().is_empty());
    match said {
        Some(line) => format!("; the last that it said is {:?}", cut(line.trim(), WORDS_MAX)),
        None => " and said nothing".to_owned(),
    }
}
