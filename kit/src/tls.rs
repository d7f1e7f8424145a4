//! TLS 1.3 for gRPC, and the way to a coordinator.
//!
//! Plaintext is for this machine alone; whoever is elsewhere is reached over TLS, and trusted by a certificate authority
//! that was named beforehand.

mod dial;
mod fingerprint;
mod trust;

use std::sync::Arc;

use tokio_rustls::rustls;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub use dial::{DialError, Dialer};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use trust::{Trust, TrustError, check_server};

/// What is spoken inside: HTTP/2 and nothing else.
pub const ALPN: &[u8] = b"h2";

/// The versions that are spoken.
pub const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// The cryptography of both programs.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What a program proves itself with. No `Debug`: it holds a key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// A certificate, with those that it was issued under, and its key as PKCS#8.
    #[must_use]
    pub fn new(chain: Vec<Vec<u8>>, pkcs8: Vec<u8>) -> Self {
        Self {
            chain: chain.into_iter().map(CertificateDer::from).collect(),
            key: PrivateKeyDer::Pkcs8(pkcs8.into()),
        }
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
        }
    }
}
