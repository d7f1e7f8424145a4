//! From a listener to a gate: plaintext on loopback, TLS anywhere else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use mayfly_kit::tls::Fingerprint;
use sysinfo::Networks;
use tokio::net::TcpListener;
use url::Url;

use super::{Gate, Limits, ServerTls, Source, Wished};
use crate::authority::Authority;
use crate::home::Home;
use crate::server::Security;

/// Of the listener's certificate, where the coordinator makes it.
const LISTENER_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Of a node's certificate.
const NODE_LIFE: Duration = Duration::from_secs(3600);

/// Where to listen, and as what.
#[derive(Debug, Clone, Default)]
pub struct Listen {
    /// Where it was before, or a free port of 127.0.0.1, by default.
    pub address: Option<SocketAddr>,
    /// TLS on loopback too.
    pub always_tls: bool,
    /// Certificate and key of the administrator's, PEM, instead of those of the coordinator's own authority.
    pub files: Option<(PathBuf, PathBuf)>,
    /// `https://host:port` by which nodes and people reach the listener; the address itself by default.
    pub public_url: Option<String>,
    /// More names and addresses of this machine, which its own certificate shall have.
    pub names: Vec<String>,
    /// How many connections there may be.
    pub connections: Wished,
}

/// A listener that can be served.
pub struct Listening {
    /// Takes its connections.
    pub gate: Gate,
    /// How it is reached.
    pub url: String,
    /// What vouches for both ends; `None` in plaintext.
    pub security: Option<Security>,
    /// To be kept current.
    pub tls: Option<Arc<ServerTls>>,
}

impl Listen {
    /// The rules of this listener.
    ///
    /// # Errors
    /// With TLS, its certificate or the authority cannot be made or read.
    pub fn protect(&self, listener: TcpListener, home: &Home) -> anyhow::Result<Listening> {
        let address = listener.local_addr()?;
        let limits = Limits::of_this_process(self.connections);
        if address.ip().is_loopback() && !self.always_tls && self.files.is_none() {
            return Ok(Listening {
                gate: Gate::plain(listener, limits),
                url: self.url("http", address)?,
                security: None,
                tls: None,
            });
        }
        let url = self.url("https", address)?;
        let authority = Arc::new(Authority::kept(home)?);
        let source = self.source(&url, address)?;
        let tls = Arc::new(ServerTls::new(Arc::clone(&authority), source)?);
        let security = Security {
            authority,
            node_life: NODE_LIFE,
            fingerprint: tls.fingerprint(),
        };
        Ok(Listening {
            gate: Gate::tls(listener, Arc::clone(&tls), limits),
            url,
            security: Some(security),
            tls: Some(tls),
        })
    }

    fn url(&self, scheme: &str, address: SocketAddr) -> anyhow::Result<String> {
        let Some(public) = &self.public_url else {
            let mut reached = address;
            if address.ip().is_unspecified() {
                reached.set_ip(
                    own_addresses()
                        .into_iter()
                        .next()
                        .unwrap_or(Ipv4Addr::LOCALHOST.into()),
                );
            }
            return Ok(format!("{scheme}://{reached}"));
        };
        let parsed = Url::parse(public).ok();
        let bare = |url: &Url| {
            let whole = url.path() == "/" && url.query().is_none() && url.username().is_empty();
            url.scheme() == scheme && whole && url.host().is_some()
        };
        anyhow::ensure!(
            parsed.as_ref().is_some_and(bare),
            "the public URL {public:?} cannot be used: it has the form {scheme}://host:port"
        );
        Ok(public.trim_end_matches('/').to_owned())
    }

    fn source(&self, url: &str, address: SocketAddr) -> anyhow::Result<Source> {
        let url = Url::parse(url).context("read the listener's URL")?;
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_matches(['[', ']']).to_owned();
        if let Some((cert, key)) = self.files.clone() {
            let name = host;
            return Ok(Source::Files { cert, key, name });
        }
        let mut names = vec![host];
        if address.ip().is_unspecified() {
            names.extend(own_addresses().iter().map(IpAddr::to_string));
            names.extend(sysinfo::System::host_name());
        } else {
            names.push(address.ip().to_string());
        }
        if address.ip().is_unspecified() || address.ip().is_loopback() {
            names.extend(["127.0.0.1", "localhost"].map(str::to_owned));
        }
        names.extend(self.names.iter().cloned());
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        Ok(Source::Own {
            names,
            life: LISTENER_LIFE,
        })
    }
}

impl Listening {
    /// What those who connect pin; `None` in plaintext.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.security.as_ref().map(|security| security.fingerprint)
    }
}

/// Addresses of this machine that others may reach, IPv4 first.
fn own_addresses() -> Vec<IpAddr> {
    // Without a list there is still the name of the public URL.
    let Ok(networks) = Networks::new_with_refreshed_list() else {
        return Vec::new();
    };
    let all = networks.values().flat_map(sysinfo::NetworkData::ip_networks);
    let link_local = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let mut found: Vec<IpAddr> = all
        .map(|network| network.addr)
        .filter(|ip| !ip.is_loopback() && !link_local(ip))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        (dir, home)
    }

    async fn bound(listen: &Listen, home: &Home) -> anyhow::Result<Listening> {
        let address = listen.address.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
        listen.protect(TcpListener::bind(address).await.unwrap(), home)
    }

    async fn open(listen: Listen) -> anyhow::Result<Listening> {
        let (_dir, home) = home();
        bound(&listen, &home).await
    }

    #[tokio::test]
    async fn plaintext_on_loopback_tls_elsewhere() {
        let plain = open(Listen::default()).await.unwrap();
        assert!(plain.security.is_none() && plain.url.starts_with("http://127.0.0.1:"));
        let forced = Listen {
            always_tls: true,
            ..Listen::default()
        };
        let forced = open(forced).await.unwrap();
        assert!(forced.security.is_some() && forced.url.starts_with("https://127.0.0.1:"));
        let everywhere = Listen {
            address: Some((Ipv4Addr::UNSPECIFIED, 0).into()),
            ..Listen::default()
        };
        let everywhere = open(everywhere).await.unwrap();
        assert!(everywhere.security.is_some() && everywhere.url.starts_with("https://"));
        assert!(!everywhere.url.contains("0.0.0.0"), "{}", everywhere.url);
    }

    #[tokio::test]
    async fn a_public_url_is_one_of_the_listeners_scheme() {
        let with = |public: &str| Listen {
            always_tls: true,
            public_url: Some(public.to_owned()),
            ..Listen::default()
        };
        let good = open(with("https://team.example:7070/")).await.unwrap();
        assert_eq!(good.url, "https://team.example:7070");
        for bad in [
            "",
            "team.example:7070",
            "http://team.example",
            "https://",
            "https://a@b",
            "https://a/b",
            "https://a?b",
        ] {
            let error = open(with(bad)).await.err().unwrap().to_string();
            assert!(error.contains("https://host:port"), "{bad}: {error}");
        }
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_would_take_is_refused_at_the_start() {
        let (dir, home) = home();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let listen = |cert: &std::path::Path| Listen {
            files: Some((cert.to_owned(), key.clone())),
            ..Listen::default()
        };
        let said = async |listen: Listen| format!("{:#}", bound(&listen, &home).await.err().unwrap());
        assert!(said(listen(&cert)).await.contains("cert.pem"), "no file");
        std::fs::write(&cert, "nothing").unwrap();
        let own = rcgen::KeyPair::generate().unwrap();
        std::fs::write(&key, own.serialize_pem()).unwrap();
        said(listen(&cert)).await;
        let other = rcgen::CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
        std::fs::write(&cert, other.self_signed(&own).unwrap().pem()).unwrap();
        assert!(said(listen(&cert)).await.contains("127.0.0.1"), "another's name");
        let ours = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let ours = ours.self_signed(&own).unwrap();
        std::fs::write(&cert, ours.pem()).unwrap();
        let listening = bound(&listen(&cert), &home).await.unwrap();
        assert_eq!(listening.fingerprint(), Some(Fingerprint::of(ours.der())));
    }
}
