//! What we are ready to send as a name, and to take as one. Letters that need no encoding in a path, so that no proxy
//! and no server can read them in another way.

const KEY_MAX: usize = 512;
const ID_MAX: usize = 128;

fn all(text: &str, max: usize, also: &str) -> bool {
    (1..=max).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || also.contains(c))
}

pub(super) fn is_prefix(text: &str) -> bool {
    all(text, 32, "-")
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.chars().any(|c| c.is_ascii_uppercase())
}

pub(super) fn is_datacenter(text: &str) -> bool {
    all(text, 64, "-_")
}

/// A key below our prefix, such as `jobs/daily.yml`.
pub(super) fn is_key(text: &str) -> bool {
    all(text, KEY_MAX, "/-_.~") && text.split('/').all(|part| !["", ".", ".."].contains(&part))
}

/// A folder of keys, ending in `/`; empty for all.
pub(super) fn is_folder(text: &str) -> bool {
    text.is_empty() || text.strip_suffix('/').is_some_and(is_key)
}

/// The id of a service or check.
pub(super) fn is_id(text: &str) -> bool {
    all(text, ID_MAX, "-_.:") && !text.starts_with('.')
}

/// A tag `name=value`.
pub(super) fn is_tag(text: &str) -> bool {
    all(text, ID_MAX, "-_.:=") && text.contains('=')
}

/// As Consul gives them out.
pub(super) fn is_session(text: &str) -> bool {
    text.len() == 36 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_another_reader_could_take_for_something_else_are_refused() {
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/../b",
            "a/./b",
            "a b",
            "a\nb",
            "a%2e",
            "a?b",
            "a#b",
            "a;b",
            "é",
            "a\\b",
            &"x".repeat(513),
        ] {
            assert!(!is_key(bad), "{bad:?}");
        }
        assert!(is_key("jobs/log-reg.iris_1.yml"));
        assert!(is_folder("") && is_folder("jobs/") && !is_folder("jobs") && !is_folder("/"));
        for bad in ["", "..", "mayfly/..;", "a\n", "a/b", &"x".repeat(129)] {
            assert!(!is_id(bad), "{bad:?}");
        }
        assert!(is_id("mayfly-flights-abcdefgh-master-1:ttl"));
        assert!(is_tag("run=flights-abcdefgh") && !is_tag("run") && !is_tag("run=a\nb"));
    }
}
