//! Errors as people read them.

use std::error::Error;

/// An error with all its causes, in one sentence.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    chain_after("", error)
}

/// The same, after what was being done; that may be empty.
#[must_use]
pub fn chain_after(what: &str, error: &dyn Error) -> String {
    let mut text = what.to_owned();
    let mut next = Some(error);
    while let Some(error) = next {
        let part = error.to_string();
        // Some errors repeat their cause.
        if !text.ends_with(&part) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        #[source]
        cause: Option<Box<Link>>,
    }

    fn of(texts: &[&'static str]) -> Link {
        let (text, rest) = texts.split_first().expect("a text");
        let cause = (!rest.is_empty()).then(|| Box::new(of(rest)));
        Link { text, cause }
    }

    #[test]
    fn each_cause_is_said_once() {
        assert_eq!(chain(&of(&["read a.yml", "not found"])), "read a.yml: not found");
        let told = of(&["connect: refused", "refused", "os error 111"]);
        assert_eq!(chain(&told), "connect: refused: os error 111");
        assert_eq!(chain_after("launch", &of(&["no store"])), "launch: no store");
    }
}
