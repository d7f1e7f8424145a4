//! What a request says after its path, or in its body.

use url::form_urlencoded;

/// Names and values, as a form sends them.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads them; what is no such thing is empty.
    pub(super) fn read(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The value of a name; empty when there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.trim())
    }

    /// A number that is counted from 1 for people, from 0.
    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.get(name)
            .parse::<usize>()
            .ok()
            .map(|number| number.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn what_is_not_there_is_empty() {
        let query = Query::read(b"q=a+b%26&page=3&page=4&x");
        assert_eq!((query.get("q"), query.get("x"), query.get("y")), ("a b&", "", ""));
        assert_eq!((query.index("page"), query.index("q")), (Some(2), None));
    }
}
