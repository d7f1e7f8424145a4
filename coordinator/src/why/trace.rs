//! What a job's output says of its end: Python's tracebacks, Java's exceptions, Spark's error conditions.

use super::notebook;

/// Lines that are looked at: the last ones.
const LINES_MAX: usize = 3_000;
/// Lines of one exception's message.
const MESSAGE_LINES: usize = 40;
/// How Python begins.
const BEGIN: &str = "Traceback (most recent call last):";

/// What cells of notebooks are called, with their number, in place of a file.
pub(super) const CELL: &str = "cell ";

/// One frame of a traceback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Path of the file.
    pub file: String,
    /// Line in it, from 1.
    pub line: u32,
    /// The function.
    pub function: String,
}

impl Frame {
    fn parse(line: &str) -> Option<Self> {
        let rest = line.trim_start().strip_prefix("File \"")?;
        let (file, rest) = rest.split_once("\", line ")?;
        let (number, function) = rest.split_once(", in ").unwrap_or((rest, ""));
        Some(Self {
            file: file.to_owned(),
            line: number.trim().parse().ok()?,
            function: function.trim().to_owned(),
        })
    }

    /// Whether it is of the job's own code rather than of a library.
    fn is_own(&self) -> bool {
        let library = [
            "/site-packages/",
            "/dist-packages/",
            "/pyspark/",
            "/py4j/",
            "/lib/python3",
            "<frozen",
            "<string>",
        ];
        !library.iter().any(|part| self.file.contains(part))
    }

    /// `main.py:12 in count`; the path from the top of the code on.
    fn place(&self) -> String {
        if self.file.starts_with(CELL) {
            return format!("{}, line {}", self.file, self.line);
        }
        let file = self
            .file
            .rsplit_once("/code/")
            .map_or(self.file.as_str(), |(_, file)| file);
        let file = if file.starts_with('/') {
            file.rsplit('/').next().unwrap_or(file)
        } else {
            file
        };
        if self.function.is_empty() || self.function == "<module>" {
            return format!("{file}:{}", self.line);
        }
        format!("{file}:{} in {}", self.line, self.function)
    }
}

/// One traceback with the exception under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traceback {
    /// Index of its first line.
    pub at: usize,
    /// From the outermost call on.
    pub frames: Vec<Frame>,
    /// Name of the exception, with its module.
    pub kind: String,
    /// What it says; lines separated by `\n`.
    pub message: String,
    /// Index of the line after the message.
    pub end: usize,
}

impl Traceback {
    /// Name of the exception without its module.
    #[must_use]
    pub fn name(&self) -> &str {
        self.kind.rsplit('.').next().unwrap_or(&self.kind)
    }

    /// Whether it is of a Python worker of an executor, not of the driver.
    #[must_use]
    pub fn is_workers(&self) -> bool {
        let worker = |frame: &Frame| {
            frame.file.ends_with("/pyspark/worker.py")
                || frame.file.ends_with("pyspark.zip/pyspark/worker.py")
                || frame.file.ends_with("/pyspark/serializers.py")
                || frame.file.ends_with("pyspark.zip/pyspark/serializers.py")
        };
        self.frames.first().is_some_and(worker)
    }

    /// The innermost place in the job's own code.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        self.frames.iter().rfind(|frame| frame.is_own()).map(Frame::place)
    }

    /// `ValueError: no such month`.
    #[must_use]
    pub fn headline(&self) -> String {
        let first = self.message.lines().map(str::trim).find(|line| !line.is_empty());
        match first {
            Some(first) => format!("{}: {first}", self.name()),
            None => self.name().to_owned(),
        }
    }
}

/// A Java exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throwable {
    /// Its class.
    pub class: String,
    /// The first line of its message.
    pub message: String,
}

impl Throwable {
    /// `java.io.IOException: no space` out of a line's end.
    fn parse(text: &str) -> Option<Self> {
        let (class, message) = text.split_once(": ").unwrap_or((text, ""));
        let class = class.trim().trim_end_matches(':');
        let last = class.rsplit('.').next()?;
        let is_class = class.contains('.')
            && class
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._$".contains(c))
            && last.chars().next().is_some_and(char::is_uppercase);
        is_class.then(|| Self {
            class: class.to_owned(),
            message: message.trim().to_owned(),
        })
    }

    /// Its class without the package.
    #[must_use]
    pub fn name(&self) -> &str {
        self.class.rsplit(['.', '$']).next().unwrap_or(&self.class)
    }
}

/// What an output says of its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Lines that were looked at.
    pub lines: Vec<String>,
    /// In order.
    pub tracebacks: Vec<Traceback>,
    /// The exception that ended the driver's JVM, from the outermost one to its root.
    pub thrown: Vec<Throwable>,
    /// What `SparkSubmit` says when it cannot start the job.
    pub refused: Option<String>,
    /// All that was said from the traceback, or the exception, that ended the job on.
    pub last: String,
}

impl Said {
    /// Reads the last lines of an output.
    #[must_use]
    pub fn of(output: &[String]) -> Self {
        let lines = output
            .get(output.len().saturating_sub(LINES_MAX)..)
            .unwrap_or_default();
        let tracebacks = tracebacks(lines);
        let (thrown_at, thrown) = thrown(lines).unwrap_or((lines.len(), Vec::new()));
        let refused = lines
            .iter()
            .rev()
            .find_map(|line| line.strip_prefix("Error: "))
            .map(str::to_owned);
        let begin = tracebacks.iter().rfind(|t| is_outer(lines, t)).map(|t| t.at);
        let begin = begin.unwrap_or(thrown_at).min(thrown_at);
        let last = lines.get(begin..).unwrap_or_default().join("\n");
        Self {
            lines: lines.to_vec(),
            tracebacks,
            thrown,
            refused,
            last,
        }
    }

    /// The traceback of the driver that ended it: the last one that stands by itself.
    #[must_use]
    pub fn outer(&self) -> Option<&Traceback> {
        self.tracebacks
            .iter()
            .rfind(|traceback| is_outer(&self.lines, traceback))
    }

    /// The exception at the root: the last one told within what ended the job.
    #[must_use]
    pub fn root(&self) -> Option<&Traceback> {
        let outer = self.outer()?;
        let mut inner = self.tracebacks.iter().filter(|t| t.at > outer.at);
        Some(inner.rfind(|t| !t.kind.is_empty()).unwrap_or(outer))
    }

    /// Spark's error condition in what ended the job, such as `PATH_NOT_FOUND`.
    #[must_use]
    pub fn condition(&self) -> Option<&str> {
        condition(&self.last)
    }

    /// Whether what ended the job says this.
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        self.last.contains(text)
    }

    /// The first line of what ended the job that holds one of these.
    #[must_use]
    pub fn line_with(&self, any: &[&str]) -> Option<&str> {
        self.last
            .lines()
            .find(|line| any.iter().any(|part| line.contains(part)))
    }
}

/// `[PATH_NOT_FOUND]` → `PATH_NOT_FOUND`: the first one.
#[must_use]
pub fn condition(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('[') {
        let (inside, _) = after.split_once(']')?;
        let is_one = inside.len() > 4
            && inside.starts_with(|c: char| c.is_ascii_uppercase())
            && inside.contains('_')
            && inside
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "_.".contains(c));
        if is_one {
            return Some(inside);
        }
        rest = after;
    }
    None
}

/// One that Python printed at the end of the driver: alone on its line, and not of a worker's within another's message.
fn is_outer(lines: &[String], traceback: &Traceback) -> bool {
    let alone = lines
        .get(traceback.at)
        .is_some_and(|line| line.trim_end() == BEGIN || notebook::begins(line).is_some());
    alone && !traceback.is_workers() && !within(lines, traceback.at)
}

/// Whether the line before says that the traceback is a part of a message.
fn within(lines: &[String], at: usize) -> bool {
    let before = at
        .checked_sub(1)
        .and_then(|at| lines.get(at))
        .map_or("", |line| line.trim());
    before.contains("see the stack trace below") || before.ends_with("PythonException:")
}

fn tracebacks(lines: &[String]) -> Vec<Traceback> {
    let begins = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.trim_end().ends_with(BEGIN));
    let mut all: Vec<Traceback> = begins.filter_map(|(at, _)| traceback(lines, at)).collect();
    all.extend(notebook::tracebacks(lines));
    all.sort_by_key(|traceback| traceback.at);
    all
}

fn traceback(lines: &[String], at: usize) -> Option<Traceback> {
    let mut frames = Vec::new();
    let mut exception = None;
    for (index, line) in lines.iter().enumerate().skip(at + 1) {
        if let Some(frame) = Frame::parse(line) {
            frames.push(frame);
        } else if !line.starts_with([' ', '\t']) && !line.trim().is_empty() {
            exception = Some((index, line.trim_end()));
            break;
        }
    }
    let (index, line) = exception?;
    let (kind, first) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
    let is_name = kind.chars().all(|c| c.is_alphanumeric() || "._".contains(c));
    if !is_name || kind.is_empty() {
        return None;
    }
    let (message, end) = message(lines, index, first);
    Some(Traceback {
        at,
        frames,
        kind: kind.to_owned(),
        message,
        end,
    })
}

/// A message of which this is the first line, at this index, and the index of the line after it.
pub(super) fn message(lines: &[String], index: usize, first: &str) -> (String, usize) {
    let more = lines.iter().skip(index + 1).take(MESSAGE_LINES);
    let more: Vec<&str> = more
        .map(String::as_str)
        .take_while(|line| !is_over(line))
        .collect();
    let end = index + 1 + more.len();
    let message = std::iter::once(first).chain(more).collect::<Vec<_>>().join("\n");
    (message.trim_end().to_owned(), end)
}

/// Whether a message cannot go on in this line.
fn is_over(line: &str) -> bool {
    let text = line.trim_start();
    text.starts_with("at ")
        || text.ends_with(BEGIN)
        || text.starts_with("Caused by: ")
        || text.starts_with("During handling of the above exception")
        || text.starts_with("The above exception was the direct cause")
        || text.starts_with("JVM stacktrace:")
        || is_log(line)
}

/// `12:00:01.234 WARN TaskSetManager: …`, as drivers log.
#[must_use]
pub fn is_log(line: &str) -> bool {
    let mut words = line.split(' ');
    let time = words.next().unwrap_or_default();
    let level = words.next().unwrap_or_default();
    time.len() == 12
        && time.bytes().all(|b| b.is_ascii_digit() || b":.".contains(&b))
        && matches!(level, "WARN" | "ERROR" | "FATAL" | "INFO")
}

/// The last uncaught exception of the driver's JVM with its causes.
fn thrown(lines: &[String]) -> Option<(usize, Vec<Throwable>)> {
    let begins = |line: &String| line.starts_with("Exception in thread \"main\" ");
    let at = lines.iter().rposition(begins)?;
    let first = lines.get(at)?.strip_prefix("Exception in thread \"main\" ")?;
    let causes = lines
        .iter()
        .skip(at + 1)
        .filter_map(|line| line.strip_prefix("Caused by: "));
    let all = std::iter::once(first)
        .chain(causes)
        .filter_map(Throwable::parse)
        .collect();
    Some((at, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said {
        Said::of(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    const UDF: &str = r#"12:00:01.234 WARN TaskSetManager: Lost task 0.0 in stage 0.0 (TID 0) (127.0.0.3 executor 0): org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "/n/code/main.py", line 6, in f
ZeroDivisionError: division by zero

	at org.apache.spark.api.python.BasePythonRunner
Traceback (most recent call last):
  File "/n/nodes/r/master-1/code/jobs/main.py", line 9, in <module>
    df.collect()
  File "/c/lib/python3.11/site-packages/pyspark/sql/classic/dataframe.py", line 443, in collect
    sock_info = self._jdf.collectToPython()
pyspark.errors.exceptions.captured.PythonException: 
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "/n/code/jobs/main.py", line 6, in f
ZeroDivisionError: division by zero

12:00:03.234 WARN Foo: bar"#;

    #[test]
    fn the_root_is_in_the_worker_and_the_outer_one_in_the_driver() {
        let said = said(UDF);
        let (outer, root) = (said.outer().unwrap(), said.root().unwrap());
        assert_eq!(outer.name(), "PythonException");
        assert_eq!(outer.place().unwrap(), "jobs/main.py:9");
        assert_eq!(root.headline(), "ZeroDivisionError: division by zero");
        assert_eq!(root.place().unwrap(), "jobs/main.py:6 in f");
        assert!(said.last.starts_with(BEGIN) && !said.last.contains("TaskSetManager"));
    }

    #[test]
    fn javas_chain_goes_to_its_root() {
        let said = said(
            "noise\nException in thread \"main\" java.lang.RuntimeException: a: b\n\tat x\nCaused by: java.io.IOException: No space left on device\n\tat y",
        );
        let names: Vec<&str> = said.thrown.iter().map(Throwable::name).collect();
        assert_eq!(names, ["RuntimeException", "IOException"]);
        assert!(said.says("No space left"));
    }

    #[test]
    fn conditions_are_told_from_other_brackets() {
        assert_eq!(
            condition("a [x] [1] [UNRESOLVED_COLUMN.WITH_SUGGESTION] b"),
            Some("UNRESOLVED_COLUMN.WITH_SUGGESTION")
        );
        assert_eq!(condition("[ERROR] [abc"), None);
        assert_eq!(condition("[0] [PATH_NOT_FOUND] x"), Some("PATH_NOT_FOUND"));
    }

    #[test]
    fn any_text_is_read_without_a_panic() {
        for text in [
            "",
            BEGIN,
            "Traceback (most recent call last):\n  File \"",
            "Error: ",
            "Exception in thread \"main\" x",
        ] {
            let _ = said(text);
        }
        assert_eq!(
            said("Error: Failed to load class A.").refused.unwrap(),
            "Failed to load class A."
        );
    }
}
