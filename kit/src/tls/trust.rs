//! Whom a client believes to be its coordinator.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

use super::{Fingerprint, Steady, provider};

/// Whom to believe.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The authority with this fingerprint, which the server shows beside its own certificate.
    Pinned(Fingerprint),
    /// Any of these authorities.
    Roots(Arc<RootCertStore>),
}

/// Why a file holds nobody to be believed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It holds no certificate.
    #[error("{path} holds no certificate that can be used: it wants PEM, `-----BEGIN CERTIFICATE-----`")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// The server showed no certificate of the authority that is pinned.
#[derive(Debug, thiserror::Error)]
#[error("the server does not show the authority {0}: it is another one, or its authority was made anew")]
struct NotPinned(Fingerprint);

impl Trust {
    /// The authorities of a PEM file.
    ///
    /// # Errors
    /// It cannot be read, or holds none.
    pub fn file(path: &Path) -> Result<Self, TrustError> {
        let bytes = std::fs::read(path).map_err(|source| TrustError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_slice_iter(&bytes).flatten();
        let (good, _bad) = roots.add_parsable_certificates(certificates);
        if good == 0 {
            return Err(TrustError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(Self::Roots(Arc::new(roots)))
    }

    pub(super) fn verifier(&self) -> Arc<dyn ServerCertVerifier> {
        Arc::new(Verifier {
            trust: self.clone(),
            provider: provider(),
        })
    }
}

/// Whether a client that trusts so would take this certificate for that of `name`.
///
/// # Errors
/// It would not.
pub fn check_server(trust: &Trust, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> Result<(), Error> {
    let [leaf, rest @ ..] = chain else {
        return Err(Error::NoCertificatesPresented);
    };
    trust
        .verifier()
        .verify_server_cert(leaf, rest, name, &[], Steady::now())
        .map(|_| ())
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn roots(&self, shown: &[&CertificateDer<'_>]) -> Result<Arc<RootCertStore>, Error> {
        let pin = match &self.trust {
            Trust::Roots(roots) => return Ok(Arc::clone(roots)),
            Trust::Pinned(pin) => pin,
        };
        let pinned = shown
            .iter()
            .find(|certificate| Fingerprint::of(certificate) == *pin)
            // Not `CertificateError::Other`, whose text is for programmers.
            .ok_or_else(|| Error::Other(OtherError(Arc::new(NotPinned(*pin)))))?;
        let mut roots = RootCertStore::empty();
        roots.add((*pinned).clone().into_owned())?;
        Ok(Arc::new(roots))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown: Vec<_> = intermediates.iter().chain([end_entity]).collect();
        let roots = self.roots(&shown)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests;
