//! Addresses of repositories, and what of them may be shown.

use crate::prepare::PrepareError;

/// The URL, taken apart and put together again by us; `user@host:path` as it is, when it is that and no more.
pub(super) fn checked(url: &str) -> Result<String, PrepareError> {
    let refuse = |why: &str| PrepareError::job(format!("repository {}: {why}", redact(url)));
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(refuse("a URL has no spaces or control characters"));
    }
    if is_scp(url) {
        return Ok(url.to_owned());
    }
    let parsed = ::url::Url::parse(url).map_err(|error| refuse(&format!("not a URL: {error}")))?;
    if !matches!(parsed.scheme(), "https" | "http" | "ssh") {
        return Err(refuse("use an https, http or ssh URL"));
    }
    if parsed.password().is_some() || (parsed.scheme() != "ssh" && !parsed.username().is_empty()) {
        return Err(refuse("a URL must not hold credentials"));
    }
    if parsed
        .host_str()
        .is_none_or(|host| host.is_empty() || host.starts_with('-'))
        || parsed.username().starts_with('-')
    {
        return Err(refuse("no valid host"));
    }
    if url.to_ascii_lowercase().contains("%0a") || url.to_ascii_lowercase().contains("%0d") {
        return Err(refuse("a URL has no line breaks"));
    }
    Ok(parsed.into())
}

/// `user@host:path`, where no part can be taken for an option or for the name of a remote helper (`ext::`).
fn is_scp(url: &str) -> bool {
    let name = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        !part.is_empty() && !part.starts_with('-') && part.chars().all(plain)
    };
    let parts = url
        .split_once('@')
        .and_then(|(user, rest)| Some((user, rest.split_once(':')?)));
    parts.is_some_and(|(user, (host, path))| {
        name(user) && name(host) && !path.is_empty() && !path.starts_with(['-', ':', '~'])
    })
}

/// Text without what stands between `//` and `@` of a URL.
pub(super) fn redact(text: &str) -> String {
    text.split(' ')
        .map(|word| match word.split_once("://") {
            Some((scheme, rest)) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                match authority.rsplit_once('@') {
                    Some((_, host)) => format!("{scheme}://***@{host}{path}"),
                    None => word.to_owned(),
                }
            }
            None => word.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_run_commands_or_hold_secrets_are_refused() {
        for bad in [
            "ext::sh -c x",
            "file:///etc",
            "/etc",
            "-x",
            "ssh://-oProxyCommand=x/y",
            "git@host:-x",
            "https://user:pw@host/x",
            "https://token@host/x",
            "https://host/a\nb",
            "https://host/%0ab",
            "https://host:99999/x",
            "ftp://host/x",
            "",
            "ssh://-x@host/y",
            "-x@host:y",
            "git@-x:y",
            "git@host:",
            "git@host::y",
            "ext::x@host:y",
            "a/b@host:y",
        ] {
            let error = checked(bad).expect_err(bad);
            assert!(
                !error.message.contains("pw@") && !error.message.contains("token@"),
                "{error}"
            );
        }
        for good in [
            "https://host/x.git",
            "http://127.0.0.1:8080/x",
            "ssh://git@host/x",
            "git@host:a/b.git",
        ] {
            assert_eq!(checked(good).as_deref(), Ok(good));
        }
    }

    #[test]
    fn what_git_says_is_free_of_credentials() {
        let said = "fatal: unable to access 'https://u:p@host/x': no";
        assert_eq!(redact(said), "fatal: unable to access 'https://***@host/x': no");
        assert_eq!(redact("https://a@b@host"), "https://***@host");
    }
}
