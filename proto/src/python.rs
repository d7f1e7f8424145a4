//! The Python of a job: what its file may name, and what a release of Spark runs with.

use std::ops::RangeInclusive;

/// What a job names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// Any interpreter of this version: the minor number of a Python 3.
    Version(u32),
    /// One interpreter, by its path from the root.
    Program(String),
}

impl Named {
    /// From `3.12`, `python3.12` or `/usr/bin/python3.12`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with('/') {
            return Some(Self::Program(text.to_owned()));
        }
        let minor = text.strip_prefix("python").unwrap_or(text).strip_prefix("3.")?;
        let plain = minor.bytes().all(|byte| byte.is_ascii_digit());
        let canonical = plain && minor.len() <= 2 && (minor == "0" || !minor.starts_with('0'));
        minor.parse().ok().filter(|_| canonical).map(Self::Version)
    }
}

/// The minor versions of Python 3 that this release of Spark runs with, together with the packages that every node has for it.
#[must_use]
pub fn supported(spark: &str) -> RangeInclusive<u32> {
    if spark.starts_with("3.") { 9..=11 } else { 10..=13 }
}

/// The same for people.
#[must_use]
pub fn supported_text(spark: &str) -> String {
    let range = supported(spark);
    format!("Python 3.{} to 3.{}", range.start(), range.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_or_a_path_is_named_and_nothing_else() {
        for (text, named) in [
            ("3.12", Some(Named::Version(12))),
            ("python3.9", Some(Named::Version(9))),
            (
                "/opt/python/bin/python3",
                Some(Named::Program("/opt/python/bin/python3".into())),
            ),
            ("3", None),
            ("3.", None),
            ("3.012", None),
            ("3.12.1", None),
            ("3.999", None),
            ("2.7", None),
            ("python", None),
            ("bin/python3.12", None),
            ("3.+1", None),
            ("", None),
        ] {
            assert_eq!(Named::parse(text), named, "{text:?}");
        }
    }

    #[test]
    fn each_series_of_spark_has_its_own() {
        assert_eq!(supported_text("4.0.5"), "Python 3.10 to 3.13");
        assert_eq!(supported_text("3.5.9"), "Python 3.9 to 3.11");
    }
}
