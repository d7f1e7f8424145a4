//! Log output: one event is one line, on standard error, and where else the program wants it.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Environment variable with the filter, in the form of `RUST_LOG`.
pub const FILTER_VAR: &str = "MAYFLY_LOG";

/// Libraries below us that log each frame, or each request that was refused, as if a person should look. A line that is
/// sent on over the network must not cause the next one; and those of AWS log whole bodies, with whatever is in them.
const QUIET: [&str; 9] = [
    "aws=info",
    "consulrs=warn",
    "rustify=off",
    "h2=info",
    "hyper=info",
    "hyper_util=info",
    "tonic=info",
    "tower=info",
    "s3s=off",
];

/// Receives each line, without its line end.
pub type Tee = Arc<dyn Fn(&str) + Send + Sync>;

/// How to log.
#[derive(Clone)]
pub struct Options {
    /// One JSON object a line instead of plain text.
    pub json: bool,
    /// Filter when [`FILTER_VAR`] is not set, such as `info`.
    pub default_filter: &'static str,
    /// Who else gets the lines.
    pub tee: Option<Tee>,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error(
        "{FILTER_VAR}={value:?} is not a log filter: use a level (error, warn, info, debug, trace) or target=level, separated by commas"
    )]
    Filter {
        /// What was set.
        value: String,
        /// Where it fails.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody set a subscriber before.
    #[error("logging is set up already")]
    Twice,
}

/// Sets up logging for the process.
///
/// # Errors
/// The filter in the environment is wrong, or logging is set up already.
pub fn init(options: &Options) -> Result<(), TelemetryError> {
    let value = std::env::var(FILTER_VAR).unwrap_or_else(|_| options.default_filter.to_owned());
    let parsed = EnvFilter::try_new(&value).map_err(|source| TelemetryError::Filter { value, source })?;
    let filter = QUIET
        .iter()
        .flat_map(|rule| rule.parse())
        .fold(parsed, EnvFilter::add_directive);
    let writer = Lines {
        tee: options.tee.clone(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(writer);
    let set = if options.json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_target(false).try_init()
    };
    set.map_err(|_| TelemetryError::Twice)
}

/// `text` with every control character made visible, so that nobody's text can begin a line of ours or command a
/// terminal.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\t' {
            // Writing to a String cannot fail.
            let _ = write!(safe, "{}", c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

#[derive(Clone)]
struct Lines {
    tee: Option<Tee>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Lines {
    /// The subscriber gives one whole event at a time.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = escape(text.strip_suffix('\n').unwrap_or(&text));
        if let Some(tee) = &self.tee {
            tee(&line);
        }
        line.push('\n');
        // A disk without room for its log stops no program. The subscriber would tell of the error in the same place, and
        // panic there.
        let _unsaid = io::stderr().lock().write_all(line.as_bytes());
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_stays_one_line() {
        assert_eq!(
            escape("a\nb\r\u{1b}[31mred\u{7f}\tÜ"),
            "a\\nb\\r\\u{1b}[31mred\\u{7f}\tÜ"
        );
    }

    #[test]
    fn the_tee_gets_the_line_that_is_printed() {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let tee: Tee = Arc::new(move |line| sink.lock().unwrap().push(line.to_owned()));
        let mut lines = Lines { tee: Some(tee) };
        lines.write_all(b"INFO \x07 two\nlines\n").unwrap();
        assert_eq!(*seen.lock().unwrap(), ["INFO \\u{7} two\\nlines"]);
    }
}
