//! From an address to a channel.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

use super::{ALPN, Identity, Steady, Trust, VERSIONS, provider};

const HTTPS_PORT: u16 = 443;

/// Why an address leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// It is not one.
    #[error("it has the form https://host:port, or http://127.0.0.1:port on this machine")]
    Form,
    /// It would carry a token in the clear.
    #[error("http:// is for this machine only; a coordinator elsewhere speaks https://")]
    Plain,
    /// Nobody was named who could vouch for the server.
    #[error(
        "https:// wants to know whom to trust: the fingerprint or the file of the coordinator's authority"
    )]
    Nobody,
    /// The certificate or key of this program cannot be used.
    #[error("the certificate of this program cannot be used")]
    Identity(#[source] rustls::Error),
}

/// The address of a coordinator, and whom to trust there.
#[derive(Clone)]
pub struct Dialer {
    endpoint: Endpoint,
    tls: Option<Tls>,
}

#[derive(Clone)]
struct Tls {
    name: ServerName<'static>,
    address: (String, u16),
    trust: Trust,
}

impl Dialer {
    /// Makes no connection.
    ///
    /// # Errors
    /// `url` is not an address, or nobody there can be trusted.
    pub fn new(url: &str, trust: Option<Trust>) -> Result<Self, DialError> {
        let uri: Uri = url.parse().map_err(|_| DialError::Form)?;
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let authority = uri.authority().filter(|a| bare && !a.as_str().contains('@'));
        let authority = authority.ok_or(DialError::Form)?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tls = match uri.scheme_str() {
            Some("http") if is_here(&host) => None,
            Some("http") => return Err(DialError::Plain),
            Some("https") => Some(Tls {
                name: ServerName::try_from(host.clone()).map_err(|_| DialError::Form)?,
                address: (host, authority.port_u16().unwrap_or(HTTPS_PORT)),
                trust: trust.ok_or(DialError::Nobody)?,
            }),
            Some(_) | None => return Err(DialError::Form),
        };
        // With `https` the library would want to do TLS itself.
        let endpoint = Endpoint::from_shared(format!("http://{authority}")).map_err(|_| DialError::Form)?;
        Ok(Self { endpoint, tls })
    }

    /// Whether the way there is TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// A channel that connects when it is used, and again when it has to. `identity` is for TLS only.
    ///
    /// # Errors
    /// The identity cannot be used.
    pub fn channel(
        &self,
        identity: Option<&Identity>,
        tune: impl FnOnce(Endpoint) -> Endpoint,
    ) -> Result<Channel, DialError> {
        let endpoint = tune(self.endpoint.clone());
        let Some(tls) = &self.tls else {
            return Ok(endpoint.connect_lazy());
        };
        Ok(endpoint.connect_with_connector_lazy(tls.connector(identity)?))
    }

    /// A channel that is connected, without an identity.
    ///
    /// # Errors
    /// Nobody answers, or nobody who can be trusted.
    pub async fn connect(
        &self,
        tune: impl FnOnce(Endpoint) -> Endpoint,
    ) -> Result<Channel, Box<dyn std::error::Error + Send + Sync>> {
        let endpoint = tune(self.endpoint.clone());
        Ok(match &self.tls {
            None => endpoint.connect().await?,
            Some(tls) => endpoint.connect_with_connector(tls.connector(None)?).await?,
        })
    }
}

/// Whether a host is this machine for sure.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Tls {
    fn connector(&self, identity: Option<&Identity>) -> Result<Connector, DialError> {
        let config = client_config(&self.trust, identity).map_err(DialError::Identity)?;
        Ok(Connector {
            tls: TlsConnector::from(Arc::new(config)),
            name: self.name.clone(),
            address: self.address.clone(),
        })
    }
}

fn client_config(trust: &Trust, identity: Option<&Identity>) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_details(provider(), Arc::new(Steady))
        .with_protocol_versions(VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(trust.verifier());
    let mut config = match identity.cloned() {
        Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

#[derive(Clone)]
struct Connector {
    tls: TlsConnector,
    name: ServerName<'static>,
    address: (String, u16),
}

impl Connector {
    async fn connect(self) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let (host, port) = &self.address;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        stream.set_nodelay(true)?;
        Ok(TokioIo::new(self.tls.connect(self.name, stream).await?))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Fingerprint;

    fn dial(url: &str) -> Result<bool, String> {
        let trust = Trust::Pinned(Fingerprint::of(b"x"));
        let dialer = Dialer::new(url, Some(trust)).map_err(|error| error.to_string())?;
        Ok(dialer.is_tls())
    }

    #[tokio::test]
    async fn plaintext_stays_on_this_machine() {
        for here in [
            "http://127.0.0.1:7070",
            "http://[::1]:7070",
            "http://localhost:7070/",
        ] {
            assert_eq!(dial(here), Ok(false), "{here}");
        }
        for there in [
            "https://team.example:7070",
            "https://10.0.0.1:7070",
            "https://[fd00::1]:7070",
        ] {
            assert_eq!(dial(there), Ok(true), "{there}");
        }
        for elsewhere in [
            "http://10.0.0.1:7070",
            "http://localhost.example:7070",
            "http://127.0.0.1.nip.io:1",
        ] {
            assert_eq!(dial(elsewhere), Err(DialError::Plain.to_string()), "{elsewhere}");
        }
        for bad in [
            "",
            "x",
            "127.0.0.1:7070",
            "ftp://h",
            "https://",
            "https://u@h:1",
            "https://h:1/x",
            "https://h:1?q",
        ] {
            assert_eq!(dial(bad), Err(DialError::Form.to_string()), "{bad}");
        }
        assert!(matches!(Dialer::new("https://h:1", None), Err(DialError::Nobody)));
    }
}
