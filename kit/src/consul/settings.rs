//! Which Consul, and how to open it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use axum::http::Uri;
use axum::http::uri::Authority;
use serde::{Deserialize, Serialize};

use super::names;

/// First part of every name and key of ours in Consul, unless the settings say otherwise.
pub const DEFAULT_PREFIX: &str = "mayfly";
const TOKEN_MAX: usize = 256;

/// Which Consul, and how to open it. Its `Debug` does not show the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsulSettings {
    /// `http://host:port`, `https://host:port`, or `host:port` for the first of the two.
    pub address: String,
    /// ACL token.
    #[serde(default)]
    pub token: Option<String>,
    /// PEM file with the only certificate authorities that are trusted; the usual ones otherwise.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Datacenter; the agent's own otherwise.
    #[serde(default)]
    pub datacenter: Option<String>,
    /// First part of every name and key of ours.
    #[serde(default = "default_prefix")]
    pub prefix: String,
}

fn default_prefix() -> String {
    DEFAULT_PREFIX.into()
}

impl fmt::Debug for ConsulSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsulSettings")
            .field("address", &self.address)
            .field("token", &self.token.as_ref().map(|_| "(hidden)"))
            .field("ca_file", &self.ca_file)
            .field("datacenter", &self.datacenter)
            .field("prefix", &self.prefix)
            .finish()
    }
}

/// Why Consul cannot be opened: a setting of ours.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not an address.
    #[error("{value:?} is not an address of Consul: write http://host:port or https://host:port")]
    Address {
        /// What was set, without what may be a password.
        value: String,
    },
    /// Not a token.
    #[error(
        "Consul's token is not one: it has 1 to {TOKEN_MAX} visible characters, and no space or line end"
    )]
    Token,
    /// Not a datacenter.
    #[error("{value:?} is not a datacenter of Consul: it has 1 to 64 letters, digits, `-` and `_`")]
    Datacenter {
        /// What was set.
        value: String,
    },
    /// Not a prefix.
    #[error(
        "{value:?} cannot be the prefix of our names in Consul: use 1 to 32 lower-case letters, digits and `-`, beginning with a letter"
    )]
    Prefix {
        /// What was set.
        value: String,
    },
    /// The certificates cannot be read.
    #[error("read Consul's certificate authorities from {path}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The HTTP client cannot be made.
    #[error("make a client of Consul")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ConsulSettings {
    /// Those of a Consul at this address, with nothing else set.
    #[must_use]
    pub fn at(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            token: None,
            ca_file: None,
            datacenter: None,
            prefix: default_prefix(),
        }
    }

    /// Checks all but the file of certificates.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn check(&self) -> Result<(), SettingsError> {
        base(&self.address)?;
        if self.token.as_deref().is_some_and(|token| !is_token(token)) {
            return Err(SettingsError::Token);
        }
        if let Some(value) = self.datacenter.clone().filter(|dc| !names::is_datacenter(dc)) {
            return Err(SettingsError::Datacenter { value });
        }
        if !names::is_prefix(&self.prefix) {
            let value = self.prefix.clone();
            return Err(SettingsError::Prefix { value });
        }
        Ok(())
    }
}

/// The address with its scheme and nothing behind it.
pub(super) fn base(address: &str) -> Result<String, SettingsError> {
    // What stands before an `@` or after a `?` may be a password.
    let shown = address.rsplit('@').next().unwrap_or_default();
    let bad = || SettingsError::Address {
        value: shown.split(['?', '#']).next().unwrap_or_default().to_owned(),
    };
    let full = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    let uri: Uri = full.parse().map_err(|_| bad())?;
    let scheme = uri
        .scheme_str()
        .filter(|scheme| ["http", "https"].contains(scheme));
    let authority = uri.authority().map(Authority::as_str).unwrap_or_default();
    let plain = uri.path() == "/"
        && uri.query().is_none()
        && !full.contains('#')
        && !authority.contains('@')
        && uri.host().is_some_and(|host| !host.is_empty())
        // A port that is none is left out by the parser.
        && uri.port().is_some() == authority.trim_start_matches(uri.host().unwrap_or_default()).contains(':');
    let base = scheme
        .filter(|_| plain)
        .map(|scheme| format!("{scheme}://{authority}"));
    base.ok_or_else(bad)
}

/// Whether an address, as [`base`] gives it, is one of this machine.
pub(super) fn is_local(base: &str) -> bool {
    let uri: Option<Uri> = base.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())
}

fn is_token(token: &str) -> bool {
    (1..=TOKEN_MAX).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_are_taken() {
        for good in [
            "127.0.0.1:8500",
            "http://127.0.0.1:8500",
            "https://consul.example.org:8501/",
            "http://[::1]:8500",
            "consul:8500",
        ] {
            assert!(ConsulSettings::at(good).check().is_ok(), "{good}");
        }
        for bad in [
            "",
            "unix:///run/consul.sock",
            "http://",
            "http://user:secret@host:8500",
            "http://host:8500/proxied",
            "http://host:8500/?token=secret",
            "http://host:8500/#x",
            "ftp://host",
            "http://host:99999",
            "a b",
            "http://host\n:8500",
        ] {
            let error = ConsulSettings::at(bad).check().expect_err(bad);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_consul_of_this_machine_is_told_from_others() {
        let local = |address: &str| is_local(&base(address).unwrap());
        assert!(local("localhost:8500") && local("127.1.2.3:8500") && local("https://[::1]:8501"));
        assert!(!local("10.0.0.1:8500") && !local("localhost.example.org:8500"));
    }

    #[test]
    fn other_settings_are_checked_and_the_token_is_never_shown() {
        let set = |change: fn(&mut ConsulSettings)| {
            let mut settings = ConsulSettings::at("host:8500");
            change(&mut settings);
            settings
        };
        let token = set(|s| s.token = Some("canary-of-this-test".into()));
        assert!(token.check().is_ok());
        assert!(!format!("{token:?}").contains("canary"));
        let bad = set(|s| s.token = Some("canary\nX-Other: 1".into()));
        assert!(
            !bad.check()
                .expect_err("a line end")
                .to_string()
                .contains("canary")
        );
        for prefix in ["", "Mayfly", "a/b", "a b", "-a", "é", "a\n", "../x"] {
            let mut settings = set(|_| {});
            settings.prefix = prefix.into();
            assert!(settings.check().is_err(), "{prefix:?}");
        }
        for datacenter in ["", "dc/1", "dc?x=1", "dc 1"] {
            let mut settings = set(|_| {});
            settings.datacenter = Some(datacenter.into());
            assert!(settings.check().is_err(), "{datacenter:?}");
        }
        assert!(set(|s| s.datacenter = Some("eu-west_1".into())).check().is_ok());
    }

    #[test]
    fn unknown_settings_are_refused_and_most_have_defaults() {
        let settings: ConsulSettings = serde_json::from_str(r#"{"address":"host:8500"}"#).unwrap();
        assert_eq!(settings, ConsulSettings::at("host:8500"));
        assert!(serde_json::from_str::<ConsulSettings>(r#"{"address":"host:8500","tocken":"x"}"#).is_err());
    }
}
