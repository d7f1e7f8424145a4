//! What pip says of an installation, in one sentence.

use super::INSTALL_MAX;
use crate::command::Finished;
use crate::prepare::PrepareError;

/// What setuptools calls a folder whose files do not say what it is; it installs nothing.
const UNNAMED: &str = " UNKNOWN-0.0.0";

/// Whether `name` is installed now.
///
/// # Errors
/// It is not: whose doing that is, and why.
pub(super) fn judge(done: &Finished, name: &str) -> Result<(), PrepareError> {
    if done.exit.is_none() {
        let minutes = INSTALL_MAX.as_secs() / 60;
        return Err(PrepareError::job(format!(
            "{name} could not be installed within {minutes} minutes"
        )));
    }
    if done.success() {
        return named(&done.lines, name);
    }
    let said = said(&done.lines).unwrap_or_else(|| done.last_line().to_owned());
    // What pip was not given it calls missing: that nobody answered stands above.
    if let Some(reason) = unreached(&done.lines) {
        let message =
            format!("{name} cannot be installed: no package index answers ({reason}); pip says: {said}");
        return Err(PrepareError::infra(message));
    }
    let message = format!("{name} cannot be installed: {said}");
    Err(if said.contains("No space left") {
        PrepareError::infra(message)
    } else {
        PrepareError::job(message)
    })
}

fn named(lines: &[String], name: &str) -> Result<(), PrepareError> {
    let unnamed = |line: &String| line.starts_with("Successfully installed") && line.contains(UNNAMED);
    if !lines.iter().any(unnamed) {
        return Ok(());
    }
    Err(PrepareError::job(format!(
        "{name} cannot be installed: it describes no package; write a [project] with a name, a version and its dependencies"
    )))
}

/// The last error, and what a build said before it, if one was tried.
fn said(lines: &[String]) -> Option<String> {
    let error = lines.iter().rev().find_map(|line| line.strip_prefix("ERROR:"));
    match (error.map(str::trim), built(lines)) {
        (Some(error), Some(built)) => Some(format!("{error}; its build says: {built}")),
        (None, Some(built)) => Some(format!("its build says: {built}")),
        (error, None) => error.map(str::to_owned),
    }
}

/// Why a build failed: the output that pip shows of it, between two marks, begins a line with that or ends with it.
fn built(lines: &[String]) -> Option<&str> {
    let end = lines.iter().rposition(|line| line.contains("[end of output]"))?;
    let output = lines.get(..end)?;
    let begin = output.iter().rposition(|line| line.contains("╰─> ["))?;
    let output = output.get(begin + 1..)?;
    let error = output
        .iter()
        .map(|line| line.trim())
        .find(|line| line.starts_with("error: "));
    error.or_else(|| {
        output
            .iter()
            .rev()
            .map(|line| line.trim())
            .find(|line| !line.is_empty())
    })
}

/// Why pip reached no index at its last try, if that is what happened.
fn unreached(lines: &[String]) -> Option<&str> {
    let given_up = |line: &&String| line.contains("Retry(total=0,") && line.contains("connection broken by");
    let line = lines.iter().rfind(given_up)?;
    let reasons = [
        "Temporary failure in name resolution",
        "Name or service not known",
        "Connection refused",
        "Connection reset",
        "Network is unreachable",
        "No route to host",
        "timed out",
        "Cannot connect to proxy",
    ];
    let known = reasons.into_iter().find(|reason| line.contains(reason));
    Some(known.unwrap_or("the connection is broken"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::Exit;

    fn told(code: i32, text: &str) -> Option<String> {
        let done = Finished {
            exit: Some(Exit {
                code: Some(code),
                ..Exit::default()
            }),
            lines: text.lines().map(str::to_owned).collect(),
        };
        judge(&done, "pyproject.toml").err().map(|error| error.message)
    }

    /// As pip shows what a build says.
    fn build(output: &str) -> String {
        let output: String = output.lines().map(|line| format!("      {line}\n")).collect();
        format!(
            "Processing ./code\n  error: subprocess-exited-with-error\n  × Getting requirements to build wheel did not run \
             successfully.\n  │ exit code: 1\n  ╰─> [14 lines of output]\n{output}      [end of output]\n  \n  note: This error \
             originates from a subprocess, and is likely not a problem with pip.\n"
        )
    }

    #[test]
    fn a_build_that_fails_is_told_by_what_it_says_and_not_by_pips_last_note() {
        let raised = build(
            "Traceback (most recent call last):\n  File \"make.py\", line 2\nRuntimeError: no compiler",
        );
        let refused =
            build("error: Multiple top-level packages discovered: ['a', 'b'].\n\nConsider a src-layout.");
        let wheel = format!("{refused}ERROR: Could not build wheels for x");
        for (text, says) in [
            (
                raised.as_str(),
                "cannot be installed: its build says: RuntimeError: no compiler",
            ),
            (
                &refused,
                "its build says: error: Multiple top-level packages discovered",
            ),
            (
                &wheel,
                "Could not build wheels for x; its build says: error: Multiple",
            ),
            (
                "ERROR: No matching distribution found for x==9\nnote: y",
                "installed: No matching distribution",
            ),
            (
                "Traceback\npip._vendor.tomli.TOMLDecodeError: Expected ']' (at line 1, column 9)",
                "Expected ']' (at line 1, column 9)",
            ),
        ] {
            let message = told(1, text).unwrap();
            assert!(message.contains(says), "no {says:?} in {message}");
        }
    }

    #[test]
    fn what_describes_no_package_is_not_taken_for_one() {
        assert_eq!(told(0, "Successfully installed churn-1.0 numpy-2.2.6"), None);
        let message = told(0, "Successfully installed UNKNOWN-0.0.0").unwrap();
        assert!(message.contains("it describes no package"), "{message}");
    }
}
