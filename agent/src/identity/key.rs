//! The key that this process of the agent proves itself with. It is drawn at start and never leaves the machine.

use std::time::Duration;

use mayfly_kit::tls::Identity;
use rcgen::{CertificateParams, KeyPair};
use tokio::time::Instant;

/// Share of its life after which a certificate is renewed, in percent.
const RENEW_AT: u32 = 67;
/// What a certificate lasts at most, whatever the coordinator says.
const LIFE_MAX: Duration = Duration::from_secs(24 * 3600);

/// A key pair and the request for a certificate. No `Debug`: it is a secret.
pub(super) struct Key {
    pair: KeyPair,
    request: Vec<u8>,
}

impl Key {
    pub(super) fn draw() -> Result<Self, rcgen::Error> {
        Self::of(KeyPair::generate()?)
    }

    /// That of the process before this one (PKCS#8).
    pub(super) fn kept(pkcs8: &[u8]) -> Result<Self, rcgen::Error> {
        Self::of(KeyPair::try_from(pkcs8)?)
    }

    fn of(pair: KeyPair) -> Result<Self, rcgen::Error> {
        let request = CertificateParams::default().serialize_request(&pair)?;
        Ok(Self {
            request: request.der().to_vec(),
            pair,
        })
    }

    /// Signed PKCS#10 (DER).
    pub(super) fn request(&self) -> Vec<u8> {
        self.request.clone()
    }

    /// For the process after this one (PKCS#8).
    pub(super) fn pkcs8(&self) -> Vec<u8> {
        self.pair.serialize_der()
    }

    /// With the certificate that came of the request.
    pub(super) fn identity(&self, certificate: Vec<u8>) -> Identity {
        Identity::new(vec![certificate], self.pair.serialize_der())
    }
}

/// When a certificate that lasts so long from now is to be renewed.
pub(super) fn renew_at(now: Instant, lasts: Duration) -> Instant {
    now + lasts.min(LIFE_MAX) * RENEW_AT / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_before_it_ends() {
        let now = Instant::now();
        assert_eq!(
            renew_at(now, Duration::from_secs(3_300)) - now,
            Duration::from_secs(2_211)
        );
        assert!(renew_at(now, Duration::MAX) <= now + LIFE_MAX);
    }
}
