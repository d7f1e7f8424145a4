//! Where the code is: a Git URL, taken apart, checked and put together again, or a folder of this machine.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::diag::Problem;
use crate::text::{clean, name_char, quote, sized};

/// Where the code of a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repo {
    /// A folder of the launching machine, as written: relative to the job file, or to the working folder when there is
    /// no file.
    Folder(PathBuf),
    /// A repository on a server.
    Url(GitUrl),
}

/// How a server is asked for a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Https,
    /// Only to a loopback address: nothing is sent in the clear over a network.
    Http,
    Ssh,
    /// `user@host:path`, where the path is relative to the user's home.
    Scp,
}

/// A checked Git URL: `https://`, `ssh://` or `user@host:path`; no password, no option, nothing that Git would run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GitUrl {
    form: Form,
    user: Option<String>,
    host: String,
    port: Option<u16>,
    path: String,
}

const HELP: &str = "write https://host/path, ssh://host/path, git@host:path, or a folder: ./path or /path";

fn bad(why: impl Into<String>) -> Problem {
    Problem::new(why).help(HELP)
}

impl Repo {
    /// Checks what a user wrote.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn new(text: &str) -> Result<Self, Problem> {
        if matches!(text, "." | "..") || ["./", "../", "/"].iter().any(|start| text.starts_with(start)) {
            sized(text, 4_096)?;
            clean(text)?;
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        if text.starts_with('~') {
            return Err(bad(format!("is {}: `~` is not expanded", quote(text))));
        }
        GitUrl::new(text).map(Self::Url)
    }
}

impl GitUrl {
    /// Checks a URL.
    ///
    /// # Errors
    /// Says which rule it breaks; a password is not repeated.
    pub fn new(text: &str) -> Result<Self, Problem> {
        sized(text, 2_048)?;
        let url = match text.split_once("://") {
            Some((scheme, rest)) => Self::with_scheme(scheme, rest)?,
            None => Self::scp(text)?,
        };
        clean(text)?;
        check_path(&url.path)?;
        Ok(url)
    }

    /// Host name or address, without brackets: what a policy on addresses looks at.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Name of the server's user, for ssh.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// True when the transport is ssh.
    pub fn is_ssh(&self) -> bool {
        matches!(self.form, Form::Ssh | Form::Scp)
    }

    fn with_scheme(scheme: &str, rest: &str) -> Result<Self, Problem> {
        let form = match scheme {
            "https" => Form::Https,
            "http" => Form::Http,
            "ssh" => Form::Ssh,
            other => {
                return Err(bad(format!(
                    "has the scheme {}, which is not allowed",
                    quote(other)
                )));
            }
        };
        let (authority, path) = rest
            .split_once('/')
            .ok_or_else(|| bad("is a URL without a path to a repository"))?;
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(check_user(user, form)?), place),
            None => (None, authority),
        };
        let (host, port) = split_port(place)?;
        check_host(host)?;
        if form == Form::Http && !is_loopback(host) {
            return Err(bad(
                "is an http URL: what it carries can be read and changed on the way",
            ));
        }
        Ok(Self {
            form,
            user,
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        })
    }

    fn scp(text: &str) -> Result<Self, Problem> {
        if text.contains("::") {
            return Err(bad(format!(
                "is {}: remote helpers (`ext::`) are not allowed",
                quote(text)
            )));
        }
        let parts = text
            .split_once('@')
            .and_then(|(user, rest)| Some((user, rest.split_once(':')?)));
        let Some((user, (host, path))) = parts else {
            return Err(bad(format!(
                "is {}, which is neither a Git URL nor a folder",
                quote(text)
            )));
        };
        let user = check_user(user, Form::Scp)?;
        check_host(host)?;
        if path.starts_with(['-', '~']) {
            return Err(bad(format!("has a path that begins with {}", name_first(path))));
        }
        Ok(Self {
            form: Form::Scp,
            user: Some(user),
            host: host.to_owned(),
            port: None,
            path: path.to_owned(),
        })
    }
}

fn name_first(text: &str) -> String {
    text.chars().next().map(name_char).unwrap_or_default()
}

fn check_user(user: &str, form: Form) -> Result<String, Problem> {
    if matches!(form, Form::Https | Form::Http) || user.contains(':') {
        let problem = Problem::new("is a URL with a name or a password in it");
        return Err(problem
            .help("remove it: credentials do not belong in a job file")
            .secret());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if user.is_empty() || user.len() > 64 || user.starts_with('-') || !user.chars().all(plain) {
        return Err(bad(format!(
            "has the user {}, which is not a user name",
            quote(user)
        )));
    }
    Ok(user.to_owned())
}

fn split_port(place: &str) -> Result<(&str, Option<u16>), Problem> {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or(rest))),
        None => place
            .split_once(':')
            .map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let Some(port) = port else { return Ok((host, None)) };
    match port.parse::<u16>() {
        Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => Ok((host, Some(number))),
        _ => Err(bad(format!(
            "has the port {}: a port is a number from 1 to 65535",
            quote(port)
        ))),
    }
}

pub(crate) fn check_host(host: &str) -> Result<(), Problem> {
    if let Some(c) = host.chars().find(|c| !c.is_ascii()) {
        let why = format!("has the host {}, which holds {}", quote(host), name_char(c));
        return Err(
            Problem::new(why).help("write the host in its ASCII form (xn--…), after looking at it twice")
        );
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return check_address(address);
    }
    let label = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    // Resolvers read a host whose last part is a number as an address, in bases that hide which one.
    let last = host.rsplit('.').next().unwrap_or_default();
    let number = last.starts_with(|c: char| c.is_ascii_digit());
    if host.len() > 253 || number || !host.split('.').all(label) {
        return Err(bad(format!(
            "has the host {}, which is not a host name",
            quote(host)
        )));
    }
    Ok(())
}

/// Refuses addresses where no repository can be: above all the one of the instance metadata.
fn check_address(address: IpAddr) -> Result<(), Problem> {
    let metadata_v6 = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    let v4_bad =
        |v4: Ipv4Addr| v4.is_link_local() || v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast();
    let refused = match address {
        IpAddr::V4(v4) => v4_bad(v4),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6 == metadata_v6
                || v6.to_ipv4_mapped().is_some_and(v4_bad)
        }
    };
    if refused {
        return Err(bad(format!(
            "has the address {address}, where no repository can be"
        )));
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn check_path(path: &str) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-~+@%=,".contains(c);
    if let Some(c) = path.chars().find(|c| !plain(*c)) {
        return Err(bad(format!("has a path that holds {}", name_char(c))));
    }
    let escapes = path
        .split('%')
        .skip(1)
        .map(|rest| rest.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()));
    for byte in escapes {
        match byte {
            None => return Err(bad("has a broken `%` escape in its path")),
            Some(b) if b < 0x20 || b == 0x7f || matches!(b, b'.' | b'/' | b'\\' | b'-') => {
                return Err(bad(format!(
                    "has the escape `%{b:02x}` in its path, which hides a character"
                )));
            }
            Some(_) => {}
        }
    }
    let name = path.trim_matches('/');
    if name.is_empty() {
        return Err(bad("is a URL without a path to a repository"));
    }
    if name
        .split('/')
        .any(|part| matches!(part, "" | "." | "..") || part.starts_with('-'))
    {
        return Err(bad(
            "has a path with an empty part, `.`, `..` or a part that begins with `-`",
        ));
    }
    Ok(())
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self
            .user
            .iter()
            .map(|user| format!("{user}@"))
            .collect::<String>();
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let port = self
            .port
            .iter()
            .map(|port| format!(":{port}"))
            .collect::<String>();
        let path = &self.path;
        match self.form {
            Form::Https => write!(f, "https://{host}{port}/{path}"),
            Form::Http => write!(f, "http://{host}{port}/{path}"),
            Form::Ssh => write!(f, "ssh://{user}{host}{port}/{path}"),
            Form::Scp => write!(f, "{user}{host}:{path}"),
        }
    }
}

impl TryFrom<String> for GitUrl {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::new(&text)
    }
}

impl From<GitUrl> for String {
    fn from(url: GitUrl) -> Self {
        url.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_rebuilt_as_they_were() {
        for text in [
            "https://github.com/a/b.git",
            "ssh://git@host:2222/a/b",
            "git@github.com:a/b.git",
            "ssh://host/~me/x",
            "http://127.0.0.1:8080/a",
            "http://[::1]:80/a",
            "https://git.example.org/g/a%20b",
            "http://localhost/x",
        ] {
            let url = GitUrl::new(text).map(|url| url.to_string());
            assert_eq!(url.as_deref(), Ok(text));
        }
    }

    #[test]
    fn folders() {
        for text in [".", "..", "./a", "../a", "/a/b"] {
            assert_eq!(Repo::new(text), Ok(Repo::Folder(PathBuf::from(text))));
        }
        for text in ["a", "a/b", "~/a", "./a\nb", "", "-x"] {
            assert!(Repo::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        let error = GitUrl::new("https://me:hunter2@host/x").unwrap_err();
        assert!(error.secret && !error.message.contains("hunter2"), "{error:?}");
    }
}
