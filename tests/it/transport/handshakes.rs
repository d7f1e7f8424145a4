//! What does not become a connection: each refused, with one line in the log, and the server goes on.

use std::time::{Duration, Instant};

use mayfly_kit::tls::Fingerprint;
use mayfly_proto::v1;
use mayfly_proto::v1::run_service_client::RunServiceClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tonic::Code;

use super::certificates::{self, Forger};
use super::socket;
use crate::server::{Serve, bearer};
use crate::wire::refused;

/// Longest that a connection that shows nothing may stay open.
const PATIENCE: Duration = Duration::from_secs(8);

#[test]
fn handshakes_that_are_refused() {
    mayfly_tests::programs::toolchain();
    let mut serve = Serve::with(&["--tls"]);
    Runtime::new().unwrap().block_on(async {
        serve.assert_well("its start").await;
        not_tls(&serve).await;
        old_versions(&serve).await;
        certificates(&serve).await;
        silence(&serve).await;
        tokens(&serve).await;
    });
    serve.again();
    Runtime::new()
        .unwrap()
        .block_on(serve.assert_well("its next start"));
    serve.stop();
}

#[test]
fn an_administrators_own_certificate() {
    mayfly_tests::programs::toolchain();
    let files = tempfile::tempdir().unwrap();
    let (cert, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    let (cert_pem, key_pem) = certificates::administrators();
    std::fs::write(&cert, cert_pem).unwrap();
    std::fs::write(&key, key_pem).unwrap();
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let serve = Serve::with(&["--cert-file", cert, "--key-file", key]);
    assert!(serve.url.starts_with("https://"));
    // The rig pins what was printed.
    Runtime::new().unwrap().block_on(serve.assert_well("its start"));
    let own = std::fs::read(serve.home.path().join("ca.pem")).unwrap();
    let authority = CertificateDer::from_pem_slice(&own).unwrap();
    let own = Fingerprint::of(&authority).to_string();
    assert_ne!(serve.fingerprint, Some(own), "not the administrator's");
    serve.stop();
}

#[test]
fn an_address_that_others_reach_is_protected() {
    mayfly_tests::programs::toolchain();
    let serve = Serve::with(&["--listen", "0.0.0.0:0"]);
    assert!(serve.url.starts_with("https://"), "{}", serve.url);
    Runtime::new().unwrap().block_on(serve.assert_well("its start"));
    serve.stop();
}

/// Bytes that are not TLS get a TLS alert or nothing, and the end of the connection.
async fn not_tls(serve: &Serve) {
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    let http1 = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    for (what, bytes) in [
        ("HTTP/2 in plaintext", http2),
        ("HTTP/1.1 in plaintext", http1),
        ("an SSH banner", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        ("zeros", vec![0; 100_000]),
    ] {
        let before = serve.logged("a TLS handshake was refused");
        let mut stream = TcpStream::connect(serve.addr).await.unwrap();
        // It may hang up while we still talk.
        drop(stream.write_all(&bytes).await);
        let mut reply = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut reply)).await;
        assert!(read.is_ok(), "{what}: the connection stays open");
        assert!(reply.len() < 100, "{what}: {} bytes came back", reply.len());
        assert!(!reply.starts_with(b"HTTP"), "{what}");
        one_more_line(serve, what, before).await;
        serve.assert_well(what).await;
    }
}

async fn old_versions(serve: &Serve) {
    let home = serve.home.path();
    let before = serve.logged("a TLS handshake was refused");
    let old = socket::client(&home, &[&TLS12], None);
    let stream = TcpStream::connect(serve.addr).await.unwrap();
    let error = socket::tls(&old, stream)
        .await
        .expect_err("TLS 1.2 is not spoken");
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    one_more_line(serve, "TLS 1.2", before).await;
    let new = socket::client(&home, &[&TLS12, &TLS13], None);
    let stream = TcpStream::connect(serve.addr).await.unwrap();
    let stream = socket::tls(&new, stream).await.expect("TLS 1.3 is spoken");
    assert_eq!(
        stream.get_ref().1.protocol_version().unwrap().as_str(),
        Some("TLSv1_3")
    );
}

/// In TLS 1.3 the client believes to be connected before the server has judged its certificate: the first read tells.
async fn certificates(serve: &Serve) {
    let home = serve.home.path();
    let forger = Forger::new(&home);
    for (what, says, shown) in forger.bad() {
        let before = serve.logged("a TLS handshake was refused");
        let client = socket::client(&home, &[&TLS13], Some(shown));
        let stream = TcpStream::connect(serve.addr).await.unwrap();
        let refused = async {
            let mut stream = socket::tls(&client, stream).await?;
            stream.read_u8().await
        };
        let refused = timeout(PATIENCE, refused).await.expect(what);
        let error = refused.expect_err(what).to_string();
        assert!(
            error.contains("alert") || error.contains("reset"),
            "{what}: {error}"
        );
        one_more_line(serve, what, before).await;
        serve.wait_logged(says);
        serve.assert_well(what).await;
    }
    let client = socket::client(&home, &[&TLS13], Some(forger.good()));
    let stream = TcpStream::connect(serve.addr).await.unwrap();
    let stream = socket::tls(&client, stream).await.unwrap();
    let http2 = socket::http2(stream)
        .await
        .expect("a node's certificate is taken");
    assert!(http2.send.ready().await.is_ok());
}

/// Whoever says nothing, before TLS or in it, is hung up on.
async fn silence(serve: &Serve) {
    let client = socket::client(&serve.home.path(), &[&TLS13], None);
    let mut before_tls = TcpStream::connect(serve.addr).await.unwrap();
    let stream = TcpStream::connect(serve.addr).await.unwrap();
    let mut in_tls = socket::tls(&client, stream).await.unwrap();
    let began = Instant::now();
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, before_tls.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a silent connection stays open");
    let left = PATIENCE.saturating_sub(began.elapsed());
    let ended = timeout(left, in_tls.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a silent TLS connection stays open");
    serve.wait_logged("no TLS handshake came in time");
    serve.wait_logged("no HTTP came in time");
    serve.assert_well("silence").await;
}

/// A person without the token, and one with another one.
async fn tokens(serve: &Serve) {
    let mut client = RunServiceClient::new(serve.channel().await);
    let other = client.list(bearer("another", v1::ListRequest {})).await;
    refused("another token", Code::Unauthenticated, other);
    let none = client.list(v1::ListRequest {}).await;
    refused("no token", Code::Unauthenticated, none);
    serve.wait_logged("a call without a valid token was refused");
    assert_eq!(serve.logged("another"), 0, "a token is in the log");
}

async fn one_more_line(serve: &Serve, what: &str, before: usize) {
    let began = Instant::now();
    while serve.logged("a TLS handshake was refused") == before {
        assert!(began.elapsed() < PATIENCE, "{what}: no line in the log");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let after = serve.logged("a TLS handshake was refused");
    assert_eq!(after, before + 1, "{what}: more than one line in the log");
}
