//! Checked names: of jobs, instance types, Git refs and files inside a repository.

use std::fmt;

use mayfly_proto::python::Named;
use serde::{Deserialize, Serialize};

use crate::diag::Problem;
use crate::text::{clean, name_char, quote, sized};

/// A text that was checked when it was made, and is checked again when it is read back.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            /// Says which rule it breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, Problem> {
                let text = text.into();
                $check(&text)?;
                Ok(Self(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Problem;

            fn try_from(text: String) -> Result<Self, Problem> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_text!(
    /// The name of a job: 1 to 40 lower-case letters, digits and hyphens; it begins the run's id.
    JobName, job_name
);
checked_text!(
    /// An EC2 instance type, such as `m7g.large`. Whether the region has it is asked later.
    InstanceType, instance_type
);
checked_text!(
    /// A branch, a tag or a commit, safe to hand to Git.
    GitRef, git_ref
);
checked_text!(
    /// A path inside the repository, with `/` between its parts; `.` is the root.
    RelPath, rel_path
);
checked_text!(
    /// A Python that a node may have: a version, such as `3.12`, or the path of an interpreter.
    PythonName, python_name
);

const NAME_HELP: &str = "1 to 40 of a-z, 0-9 and -, a letter first, no - at the end, such as `daily-report`";

fn job_name(text: &str) -> Result<(), Problem> {
    let bad = |why: String| Err(Problem::new(why).help(NAME_HELP));
    if text == "defaults" {
        return bad("the name `defaults` is reserved".to_owned());
    }
    if let Some(c) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return bad(format!("the job name {} holds {}", quote(text), name_char(c)));
    }
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return bad(format!(
            "the job name {} does not begin with a letter",
            quote(text)
        ));
    }
    if text.ends_with('-') {
        return bad(format!("the job name {} ends with a hyphen", quote(text)));
    }
    if text.len() > 40 {
        return bad(format!(
            "the job name {} is {} characters long",
            quote(text),
            text.len()
        ));
    }
    Ok(())
}

fn python_name(text: &str) -> Result<(), Problem> {
    sized(text, 512)?;
    clean(text)?;
    if Named::parse(text).is_some() {
        return Ok(());
    }
    Err(Problem::new(format!(
        "is {}, which is neither a version of Python 3 nor the path of an interpreter",
        quote(text)
    ))
    .help("write two numbers, such as 3.12, or a path from the root, such as /usr/bin/python3.12"))
}

fn instance_type(text: &str) -> Result<(), Problem> {
    let (family, size) = text.split_once('.').unwrap_or_default();
    let plain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    if text.len() <= 40
        && plain(family)
        && plain(size)
        && family.starts_with(|c: char| c.is_ascii_lowercase())
    {
        return Ok(());
    }
    Err(
        Problem::new(format!("is {}, which is not an instance type", quote(text)))
            .help("write a family and a size, such as m7g.large"),
    )
}

/// What `git check-ref-format` refuses, and everything that asks Git for more than one name.
fn git_ref(text: &str) -> Result<(), Problem> {
    let bad = |why: &str| {
        Err(Problem::new(format!("is {}, which {why}", quote(text)))
            .help("write a branch, a tag or a full commit id"))
    };
    sized(text, 255)?;
    clean(text)?;
    if text.starts_with('-') {
        return bad("begins with `-`: Git would take it for an option");
    }
    if text.contains(['~', '^', ':']) || text.contains("@{") || text == "@" {
        return bad("is a revision expression, not a name");
    }
    if let Some(c) = text.chars().find(|c| matches!(c, ' ' | '?' | '*' | '[' | '\\')) {
        return bad(&format!("holds {}", name_char(c)));
    }
    let part_ok = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    if text.contains("..") || text.ends_with('.') || !text.split('/').all(part_ok) {
        return bad("is not a name that Git allows");
    }
    Ok(())
}

fn rel_path(text: &str) -> Result<(), Problem> {
    let bad = |why: &str| {
        Err(Problem::new(format!("is {}, which {why}", quote(text)))
            .help("write a path inside the repository, such as jobs/main.py"))
    };
    sized(text, 1_024)?;
    clean(text)?;
    if text.starts_with('/') {
        return bad("is an absolute path");
    }
    if text.starts_with('~') {
        return bad("begins with `~`, which is not expanded");
    }
    if text.contains('\\') {
        return bad("holds a backslash: use `/`");
    }
    if text.contains("://") {
        return bad("is a URL");
    }
    let inner = text.strip_suffix('/').unwrap_or(text);
    for part in inner.split('/') {
        if part == ".." {
            return bad("leaves its folder (`..`)");
        }
        if part.is_empty() {
            return bad("holds an empty part (`//`)");
        }
        if part.starts_with('-') {
            return bad("has a part that begins with `-`: programs would take it for an option");
        }
        if part.eq_ignore_ascii_case(".git") {
            return bad("is inside Git's own folder");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_refs() {
        for text in [
            "main",
            "v1.2.0",
            "feature/x-1",
            "HEAD",
            "0123456",
            "refs/heads/main",
            "réparation",
            "@home",
        ] {
            assert!(GitRef::new(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "-x",
            "--upload-pack=touch x",
            "HEAD~1",
            "HEAD^",
            "main:x",
            "a..b",
            "refs/heads/../../x",
            "a b",
            "a\nb",
            "a\u{202e}b",
            "x@{1}",
            "@",
            "/a",
            "a/",
            "a//b",
            "a.lock",
            ".a",
            "a/.b",
            "a.",
            "a*",
            "a\\b",
            "a\0b",
        ] {
            assert!(GitRef::new(text).is_err(), "{text:?}");
        }
        assert!(GitRef::new("x".repeat(256)).is_err());
    }

    #[test]
    fn paths() {
        for text in [
            "main.py",
            "a/b.py",
            ".",
            "./a.py",
            "examples/flights/",
            "naïve.py",
            "a b.py",
        ] {
            assert!(RelPath::new(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/..",
            "-rf",
            "a/-x",
            "~/x",
            "a\\b",
            "a//b",
            "a\nb",
            "a\0b",
            ".git/hooks",
            "s3://b/x",
            "a\u{200b}b",
        ] {
            assert!(RelPath::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn reading_back_checks_again() {
        assert!(serde_json::from_str::<JobName>("\"flights\"").is_ok());
        assert!(serde_json::from_str::<JobName>("\"../../x\"").is_err());
        assert!(serde_json::from_str::<GitRef>("\"--upload-pack=x\"").is_err());
    }
}
