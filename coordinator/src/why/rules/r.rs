//! What stops a program of R.

use super::super::{Case, Found, Rule, evidence};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "r-package-missing",
        find: package,
    },
    Rule {
        name: "r-error",
        find: stopped,
    },
];

/// The last words of R are `Error in CALL : MESSAGE`, on a line or two, perhaps `Calls: …`, and this.
const HALTED: &str = "Execution halted";

/// What R said of its end: the call, where it names one, and the message.
fn error(case: &Case<'_>) -> Option<(Option<String>, String)> {
    let lines = &case.said.lines;
    let halted = lines.iter().rposition(|line| line == HALTED)?;
    let said = lines.get(..halted)?;
    let at = said.iter().rposition(|line| line.starts_with("Error"))?;
    let text: Vec<&str> = said
        .get(at..)?
        .iter()
        .map(|line| line.trim())
        .take_while(|line| !line.starts_with("Calls: "))
        .collect();
    let text = text.join(" ");
    if let Some(message) = text.strip_prefix("Error: ") {
        return Some((None, message.to_owned()));
    }
    let (call, message) = text.strip_prefix("Error in ")?.split_once(" : ")?;
    Some((Some(call.to_owned()), message.trim().to_owned()))
}

fn package(case: &Case<'_>) -> Option<Found> {
    let (_, message) = error(case).filter(|_| case.job_failed())?;
    let (_, rest) = message.split_once("there is no package called ")?;
    let name = rest.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let change = if name == "SparkR" {
        "the Spark of PyPI carries no SparkR; Spark's own distribution does, as the image that packer/ makes"
    } else {
        "install its Debian package (r-cran-…) on the machine or in its image, or begin the job with install.packages"
    };
    Some(
        Found::new(format!("the R package {name} is not installed"))
            .because(evidence("job output", [&message]))
            .change(change),
    )
}

fn stopped(case: &Case<'_>) -> Option<Found> {
    let (call, message) = error(case).filter(|_| case.job_failed())?;
    let place = call.map(|call| format!(" in {call}")).unwrap_or_default();
    Some(Found::new(format!("the R program stopped{place}: {message}")).because(case.output_end()))
}
