//! TLS connections below gRPC.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use mayfly_kit::tls::{ALPN, provider};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

/// A certificate with its chain, and its key.
pub(super) type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A client that trusts the authority of this home.
pub(super) fn client(
    home: &Path,
    versions: &[&'static SupportedProtocolVersion],
    shows: Option<Shown>,
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(home.join("ca.pem")).unwrap();
    roots.add(authority).unwrap();
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shows {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// A TCP connection from this address of the machine.
pub(super) async fn tcp(from: [u8; 4], to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::from(from), 0).into())?;
    socket.connect(to).await
}

pub(super) async fn tls(client: &TlsConnector, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
    client.connect(name, stream).await
}

/// An HTTP/2 connection, kept alive by a task.
pub(super) struct Http2 {
    pub(super) send: SendRequest<Bytes>,
    _task: JoinSet<()>,
}

pub(super) async fn http2(stream: TlsStream<TcpStream>) -> Result<Http2, h2::Error> {
    let (send, connection) = h2::client::handshake(stream).await?;
    let mut task = JoinSet::new();
    // How it ends is what the calls on it tell.
    task.spawn(async move { drop(connection.await) });
    Ok(Http2 { send, _task: task })
}
