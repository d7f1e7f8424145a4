//! Who may see the page: no I/O. A browser shows a cookie that the token of people was exchanged for, a program the
//! token itself.

use http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use url::{Host, Url};

use crate::tokens::{Tokens, same};

/// How long a browser is known, in seconds.
const LIFE_SECS: i64 = 7 * 24 * 3600;

/// What is known of the listener.
#[derive(Debug, Clone)]
pub(super) struct Door {
    names: Vec<String>,
    cookie: String,
    secure: bool,
}

/// Who looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Viewer {
    /// A program that shows the token with each request. No other page can make it do so.
    Program,
    /// A browser, by the cookie that it keeps.
    Browser(String),
}

impl Door {
    /// For a listener that people reach by this URL, or by these names.
    pub(super) fn new(url: &str, more: impl IntoIterator<Item = String>) -> Self {
        let url = Url::parse(url).ok();
        let of = |pick: fn(&Url) -> Option<String>| url.as_ref().and_then(pick);
        let port = of(|url| url.port_or_known_default().map(|port| port.to_string()));
        let mut names: Vec<String> = more.into_iter().collect();
        names.extend(of(|url| url.host_str().map(str::to_owned)));
        Self {
            names,
            // Cookies know no ports: two coordinators on one machine must not overwrite each other's.
            cookie: format!("mayfly-{}", port.unwrap_or_default()),
            secure: of(|url| Some(url.scheme().to_owned())).as_deref() == Some("https"),
        }
    }

    /// Whether a request means this coordinator: a page elsewhere can give a name of its own our address (DNS rebinding),
    /// but neither an address nor one of our names.
    pub(super) fn is_meant(&self, host: &str) -> bool {
        let Some(url) = Url::parse(&format!("http://{host}/")).ok() else {
            return false;
        };
        let bare = url.username().is_empty() && url.password().is_none() && url.path() == "/";
        let known = match url.host() {
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
            Some(Host::Domain(name)) => {
                name == "localhost" || self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
            }
            None => false,
        };
        bare && known && url.query().is_none() && url.fragment().is_none()
    }

    /// `https` or `http`.
    pub(super) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// Who makes a request; `None` for a stranger.
    pub(super) fn viewer(&self, headers: &HeaderMap, tokens: &Tokens, now: Timestamp) -> Option<Viewer> {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &http::HeaderValue| value.to_str().ok())
        };
        if let Some(shown) = text(AUTHORIZATION).and_then(|shown| shown.strip_prefix("Bearer ")) {
            return same(shown, tokens.people()).then_some(Viewer::Program);
        }
        let all = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut ours = all
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| *name == self.cookie)
            .map(|(_, value)| value);
        let found = ours.find(|value| is_sound(value, tokens, now))?;
        Some(Viewer::Browser(found.to_owned()))
    }

    /// The header that lets a browser in from now on.
    pub(super) fn let_in(&self, tokens: &Tokens, now: Timestamp) -> String {
        let until = now.as_second().saturating_add(LIFE_SECS).to_string();
        let value = format!("{until}.{}", tokens.page("session", &until));
        self.set_cookie(&value, LIFE_SECS)
    }

    /// The header that forgets it.
    pub(super) fn forget(&self) -> String {
        self.set_cookie("", 0)
    }

    fn set_cookie(&self, value: &str, secs: i64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!(
            "{}={value}; Path=/; Max-Age={secs}; HttpOnly; SameSite=Strict{secure}",
            self.cookie
        )
    }

    /// Whether a request that changes something comes from a page of ours: browsers say where it comes from, and no page
    /// can make them say something else.
    pub(super) fn is_own_origin(&self, headers: &HeaderMap, host: &str) -> bool {
        let origin = headers.get(ORIGIN).and_then(|value| value.to_str().ok());
        origin == Some(format!("{}://{host}", self.scheme()).as_str())
    }
}

impl Viewer {
    /// What the forms of this viewer carry; a page elsewhere cannot know it.
    pub(super) fn form_key(&self, tokens: &Tokens) -> String {
        match self {
            Self::Program => String::new(),
            Self::Browser(cookie) => tokens.page("form", cookie),
        }
    }

    /// Whether a form is one that this viewer was given.
    pub(super) fn gave(&self, key: &str, tokens: &Tokens) -> bool {
        match self {
            Self::Program => true,
            Self::Browser(_) => same(key, &self.form_key(tokens)),
        }
    }
}

/// What the address that a command prints carries, instead of the token itself.
pub(super) fn key(tokens: &Tokens) -> String {
    tokens.page("key", "").chars().take(32).collect()
}

fn is_sound(cookie: &str, tokens: &Tokens, now: Timestamp) -> bool {
    let Some((until, mac)) = cookie.split_once('.') else {
        return false;
    };
    let alive = until.parse().is_ok_and(|until: i64| now.as_second() < until);
    alive && same(mac, &tokens.page("session", until))
}

/// Whether a method changes nothing.
pub(super) fn only_reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Where a login goes on: a path of ours, and nothing that a browser takes for another host.
pub(super) fn own_path(next: &str) -> &str {
    let plain = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains(['\\', '\r', '\n', '\t'])
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    if plain { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(http::HeaderName, &str)| (name.clone(), HeaderValue::from_str(value).unwrap());
        pairs.iter().map(pair).collect()
    }

    fn door() -> Door {
        Door::new("http://team.example:7070", ["box".to_owned()])
    }

    #[test]
    fn a_host_is_an_address_or_a_name_of_ours() {
        let door = door();
        for good in [
            "127.0.0.1:7070",
            "10.1.2.3",
            "[::1]:7070",
            "localhost:1",
            "Team.Example:7070",
            "box",
        ] {
            assert!(door.is_meant(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "evil.example:7070",
            "team.example.evil.example",
            "a@127.0.0.1",
            "127.0.0.1/x",
            "127.0.0.1?x",
            "127.0.0.1#x",
            "localhost.evil.example",
        ] {
            assert!(!door.is_meant(bad), "{bad}");
        }
    }

    #[test]
    fn a_cookie_is_made_here_and_ends() {
        let (door, tokens) = (door(), Tokens::generate().unwrap());
        let now = Timestamp::UNIX_EPOCH;
        let set = door.let_in(&tokens, now);
        assert!(
            set.contains("HttpOnly; SameSite=Strict") && !set.contains("Secure"),
            "{set}"
        );
        let pair = set.split(';').next().unwrap();
        let shown = headers(&[(COOKIE, &format!("a=b; {pair}; c=d"))]);
        let viewer = door.viewer(&shown, &tokens, now).unwrap();
        let late = now
            .checked_add(std::time::Duration::from_secs(8 * 24 * 3600))
            .unwrap();
        assert_eq!(door.viewer(&shown, &tokens, late), None);
        assert_eq!(door.viewer(&shown, &Tokens::generate().unwrap(), now), None);
        let longer = headers(&[(COOKIE, &pair.replace("mayfly-7070=", "mayfly-7070=9"))]);
        assert_eq!(door.viewer(&longer, &tokens, now), None);
        assert_eq!(door.viewer(&HeaderMap::new(), &tokens, now), None);
        let key = viewer.form_key(&tokens);
        assert!(viewer.gave(&key, &tokens) && !viewer.gave("", &tokens));
        assert!(!Viewer::Browser("another".into()).gave(&key, &tokens));
    }

    #[test]
    fn a_program_shows_the_token() {
        let (door, tokens) = (door(), Tokens::generate().unwrap());
        let with = |token: &str| headers(&[(AUTHORIZATION, &format!("Bearer {token}"))]);
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(
            door.viewer(&with(tokens.people()), &tokens, now),
            Some(Viewer::Program)
        );
        assert_eq!(door.viewer(&with("x"), &tokens, now), None);
        assert_eq!(door.viewer(&with(&key(&tokens)), &tokens, now), None);
    }

    #[test]
    fn what_changes_something_comes_from_a_page_of_ours() {
        let door = door();
        let from = |origin: &str| headers(&[(ORIGIN, origin)]);
        assert!(door.is_own_origin(&from("http://127.0.0.1:7070"), "127.0.0.1:7070"));
        for other in [
            "null",
            "http://127.0.0.1:8080",
            "https://127.0.0.1:7070",
            "http://evil.example",
        ] {
            assert!(!door.is_own_origin(&from(other), "127.0.0.1:7070"), "{other}");
        }
        assert!(!door.is_own_origin(&HeaderMap::new(), "127.0.0.1:7070"));
    }

    #[test]
    fn a_login_goes_on_here_and_nowhere_else() {
        assert_eq!(own_path("/runs/a-abcdefgh?q=1"), "/runs/a-abcdefgh?q=1");
        for bad in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/a\r\nSet-Cookie: x",
            "/é",
        ] {
            assert_eq!(own_path(bad), "/", "{bad}");
        }
    }
}
