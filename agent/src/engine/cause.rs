//! Why a job ended as it did, in one sentence, from its exit and its last lines.

use crate::supervise::Exit;

/// Longest sentence, in characters.
const CAUSE_MAX: usize = 300;

/// What an exit alone says.
#[must_use]
pub fn of_exit(exit: Exit) -> String {
    let ended = ended(exit);
    match exit.oom_kills {
        0 => ended,
        kills => {
            format!("{ended}, after the kernel had killed {kills} of its processes because memory ran out")
        }
    }
}

fn ended(exit: Exit) -> String {
    match (exit.code, exit.signal) {
        (_, Some(9)) => "was killed by signal 9 (SIGKILL)".into(),
        (_, Some(signal)) => {
            let name = nix::sys::signal::Signal::try_from(signal)
                .map_or("unknown", nix::sys::signal::Signal::as_str);
            format!("was ended by signal {signal} ({name})")
        }
        (Some(code), None) => format!("ended with exit code {code}"),
        (None, None) => "ended in an unknown way".into(),
    }
}

/// The cause of a job's failure: what its output says, else what its exit says. Give it about the last 200 lines.
#[must_use]
pub fn of_job<'a>(exit: Exit, lines: impl DoubleEndedIterator<Item = &'a str>) -> String {
    let lines: Vec<&str> = lines.collect();
    let said = if exit.signal.is_some() {
        None
    } else {
        python(&lines).or_else(|| java(&lines))
    };
    let exit = of_exit(exit);
    match said {
        Some(said) => shorten(&format!("the job {exit}: {said}")),
        None => format!("the job {exit}"),
    }
}

/// The exception under the last traceback: the first line after its frames that is not indented.
fn python(lines: &[&str]) -> Option<String> {
    let start = lines
        .iter()
        .rposition(|line| line.trim_end() == "Traceback (most recent call last):")?;
    let after = lines.get(start + 1..)?;
    let at = after
        .iter()
        .position(|line| !line.starts_with([' ', '\t']) && !line.trim().is_empty())?;
    let exception = after.get(at)?.trim();
    // Py4J puts the Java exception on the line below a bare "…: An error occurred while calling o42.collect."
    let below = after.get(at + 1).map_or("", |line| line.trim());
    if exception.contains("An error occurred while calling") {
        return Some(format!("{exception} {}", below.trim_start_matches(": ")));
    }
    Some(exception.to_owned())
}

/// The last uncaught Java exception; under a long chain the root cause says more than the wrapper.
fn java(lines: &[&str]) -> Option<String> {
    let start = lines
        .iter()
        .rposition(|line| line.starts_with("Exception in thread ") || line.starts_with("Error: "))?;
    let first = lines.get(start)?;
    let said = first
        .strip_prefix("Exception in thread ")
        .and_then(|rest| rest.split_once("\" "))
        .map_or(*first, |(_, e)| e);
    let root = lines
        .get(start..)?
        .iter()
        .rfind(|line| line.starts_with("Caused by: "));
    Some(root.map_or_else(
        || said.to_owned(),
        |root| format!("{said} ({})", root.to_lowercase_first()),
    ))
}

trait LowercaseFirst {
    fn to_lowercase_first(&self) -> String;
}

impl LowercaseFirst for &str {
    fn to_lowercase_first(&self) -> String {
        let mut chars = self.chars();
        chars
            .next()
            .map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= CAUSE_MAX {
        return text.to_owned();
    }
    text.chars().take(CAUSE_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: Option<i32>, signal: Option<i32>) -> Exit {
        Exit {
            code,
            signal,
            ..Exit::default()
        }
    }

    #[test]
    fn the_cause_is_the_last_thing_that_went_wrong() {
        let python = "noise\nTraceback (most recent call last):\n  File \"a.py\", line 1\n    x\nValueError: no such month\nmore noise";
        assert_eq!(
            of_job(exit(Some(1), None), python.lines()),
            "the job ended with exit code 1: ValueError: no such month"
        );
        let java = "Exception in thread \"main\" java.lang.RuntimeException: a\n\tat x\nCaused by: java.io.IOException: b\n\tat y";
        assert_eq!(
            of_job(exit(Some(1), None), java.lines()),
            "the job ended with exit code 1: java.lang.RuntimeException: a (caused by: java.io.IOException: b)"
        );
        assert_eq!(
            of_job(exit(None, Some(9)), python.lines()),
            "the job was killed by signal 9 (SIGKILL)"
        );
        let starved = Exit {
            oom_kills: 1,
            ..exit(None, Some(9))
        };
        assert_eq!(
            of_job(starved, python.lines()),
            "the job was killed by signal 9 (SIGKILL), after the kernel had killed 1 of its processes because memory ran out"
        );
        assert_eq!(
            of_job(exit(None, Some(15)), "".lines()),
            "the job was ended by signal 15 (SIGTERM)"
        );
        assert_eq!(
            of_job(exit(Some(3), None), "fine".lines()),
            "the job ended with exit code 3"
        );
        let py4j = "Traceback (most recent call last):\n  File\npy4j.protocol.Py4JJavaError: An error occurred while calling o42.x.\n: java.lang.E: f";
        assert!(of_job(exit(Some(1), None), py4j.lines()).ends_with("calling o42.x. java.lang.E: f"));
    }

    #[test]
    fn a_cause_is_short() {
        let long = format!("Traceback (most recent call last):\nE: {}", "x".repeat(10_000));
        assert_eq!(
            of_job(exit(Some(1), None), long.lines()).chars().count(),
            CAUSE_MAX
        );
    }
}
