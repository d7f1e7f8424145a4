//! TLS 1.3 for gRPC, and the way to a coordinator.
//!
//! Plaintext is for this machine alone; whoever is elsewhere is reached over TLS, and trusted by a certificate authority
//! that was named beforehand.

mod dial;
mod fingerprint;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::time_provider::TimeProvider;

use crate::clock;

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

/// By which time both programs judge certificates: those of an hour are neither over nor still to come when somebody sets the
/// clock.
#[derive(Debug)]
pub struct Steady;

impl Steady {
    fn now() -> UnixTime {
        let since = Duration::try_from(clock::steady().as_duration());
        UnixTime::since_unix_epoch(since.unwrap_or_default())
    }
}

impl TimeProvider for Steady {
    fn current_time(&self) -> Option<UnixTime> {
        Some(Self::now())
    }
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
