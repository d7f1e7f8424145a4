//! Addresses that are told of a run.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::diag::{Problem, Sink};
use crate::read::Field;
use crate::settings::values;
use crate::text::{clean, sized};

/// Of one job, or of a server.
const MAX: usize = 10;
/// Longest address, in bytes.
const LENGTH_MAX: usize = 2_000;
const HELP: &str = "write an http:// or https:// URL, without a user, a password or a #";

/// An `http://` or `https://` URL that something is posted to. What comes after its host may be a secret, as many services
/// make it: it is not shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Webhook(String);

impl Webhook {
    /// Checks an address.
    ///
    /// # Errors
    /// It is not one; what it holds is not repeated.
    pub fn new(text: &str) -> Result<Self, Problem> {
        let wrong = |why: &str| Err(Problem::new(why).help(HELP).secret());
        sized(text, LENGTH_MAX)
            .and_then(|()| clean(text))
            .map_err(Problem::secret)?;
        let scheme = ["http://", "https://"]
            .iter()
            .find(|scheme| text.starts_with(**scheme));
        let Some(rest) = scheme.and_then(|scheme| text.strip_prefix(scheme)) else {
            return wrong("is not an http or https URL");
        };
        if text.contains('#') || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return wrong("holds a character that no such URL has");
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let host = rest.get(..end).unwrap_or_default();
        if host.is_empty() {
            return wrong("has no host");
        }
        // The same rules as for the other addresses: no user, a port that is one.
        values::base_url(&format!("http://{host}"))?;
        Ok(Self(text.to_owned()))
    }

    /// The whole of it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0
    }

    /// Without what may be secret: scheme, host and port.
    #[must_use]
    pub fn shown(&self) -> &str {
        let from = self.0.find("://").map_or(0, |at| at + 3);
        let rest = self.0.get(from..).unwrap_or_default();
        let end = rest.find(['/', '?']).map_or(self.0.len(), |at| from + at);
        self.0.get(..end).unwrap_or_default()
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.shown())
    }
}

impl TryFrom<String> for Webhook {
    type Error = Problem;
    fn try_from(text: String) -> Result<Self, Problem> {
        Self::new(&text)
    }
}

impl From<Webhook> for String {
    fn from(webhook: Webhook) -> Self {
        webhook.0
    }
}

/// A list of them, or one.
pub(crate) fn read(sink: &mut Sink, field: &Field<'_>) -> Option<Vec<Webhook>> {
    let items = field.items(sink, true)?;
    if items.len() > MAX {
        let problem = Problem::new(format!("has {} addresses", items.len()));
        field.report(sink, problem.help(format!("at most {MAX} are told")));
        return None;
    }
    let checked: Vec<Option<Webhook>> = items.iter().map(|item| item.with(sink, Webhook::new)).collect();
    checked.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_is_none_and_do_not_show_their_secrets() {
        for good in [
            "https://hooks.example.org/services/T0/B0/secret?x=1",
            "http://127.0.0.1:8080",
            "http://[::1]:1/x",
        ] {
            let hook = Webhook::new(good).unwrap();
            assert_eq!(hook.url(), good);
            assert!(!format!("{hook:?}").contains("secret"));
        }
        assert_eq!(
            Webhook::new("https://a.b:1/x/y").unwrap().shown(),
            "https://a.b:1"
        );
        for bad in [
            "",
            "ftp://a",
            "https://",
            "https:///x",
            "https://user:pass@a/",
            "https://a/#x",
            "https://a/é",
            "https://a b/",
            "https://a:0/",
            "file:///etc/passwd",
            "https://a/\n",
        ] {
            assert!(Webhook::new(bad).is_err(), "{bad:?}");
        }
        let error = Webhook::new("https://user:hunter2@a/").unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}
