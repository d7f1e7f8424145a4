//! Addresses of repositories, and what of them may be shown.

use crate::prepare::PrepareError;

/// The URL, taken apart and put together again by us.
pub(super) fn checked(url: &str) -> Result<String, PrepareError> {
    let refuse = |why: &str| PrepareError::job(format!("repository {}: {why}", redact(url)));
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(refuse("a URL has no spaces or control characters"));
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
        ] {
            let error = checked(bad).expect_err(bad);
            assert!(
                !error.message.contains("pw@") && !error.message.contains("token@"),
                "{error}"
            );
        }
        for good in ["https://host/x.git", "http://127.0.0.1:80/x", "ssh://git@host/x"] {
            assert!(checked(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_git_says_is_free_of_credentials() {
        let said = "fatal: unable to access 'https://u:p@host/x': no";
        assert_eq!(redact(said), "fatal: unable to access 'https://***@host/x': no");
        assert_eq!(redact("https://a@b@host"), "https://***@host");
    }
}
