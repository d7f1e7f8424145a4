//! The server's side of TLS: its certificate, kept current under way, and whose certificates it takes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mayfly_kit::clock;
use mayfly_kit::tls::{ALPN, Fingerprint, Steady, Trust, VERSIONS, check_server, provider};
use tokio::time::sleep;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier,
};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{
    self, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore, ServerConfig, SignatureScheme,
};

use crate::authority::{Authority, NodeCertificate, lasting};

/// What a browser speaks where it wants a WebSocket; it takes HTTP/2 for everything else.
const HTTP1: &[u8] = b"http/1.1";
/// Between two looks at files whose owner renews them.
const FILES_PERIOD: Duration = Duration::from_secs(600);
/// Before a renewal that failed is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// Where the listener's certificate comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The coordinator's own authority.
    Own {
        /// Names and addresses that the listener is reached by.
        names: Vec<String>,
        /// How long each certificate lasts; it is renewed at two thirds.
        life: Duration,
    },
    /// Files of somebody who renews them.
    Files {
        /// PEM: the listener's certificate first, then those that it was issued under.
        cert: PathBuf,
        /// PEM: its key.
        key: PathBuf,
        /// A name or address that the listener is reached by.
        name: String,
    },
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of the administrator's.
    #[error("cannot use {path} as {what}: it wants PEM")]
    File {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate would not be taken by those who connect.
    #[error(
        "those who connect to {name} would not take its certificate; it must be valid for that name, and its file must end with the authority that issued it"
    )]
    Useless {
        /// The name.
        name: String,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// It is not the name of a server.
    #[error("{0:?} is neither a host name nor an address")]
    Name(String),
    /// A certificate cannot be made.
    #[error("cannot make the listener's certificate")]
    Make(#[from] rcgen::Error),
    /// Key and certificate do not fit, or cannot be used.
    #[error("the listener's certificate and key cannot be used")]
    Unfit(#[from] rustls::Error),
    /// The authority cannot vouch for anybody.
    #[error("the authority's certificate cannot be used")]
    Authority(#[from] VerifierBuilderError),
}

/// TLS of one listener.
pub struct ServerTls {
    authority: Arc<Authority>,
    source: Source,
    config: Arc<ServerConfig>,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }
}

impl Current {
    fn get(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl ServerTls {
    /// Makes or reads the listener's certificate. `authority` vouches for nodes, and for the listener where it has no
    /// files.
    ///
    /// # Errors
    /// There is none that those who connect would take.
    pub fn new(authority: Arc<Authority>, source: Source) -> Result<Self, TlsError> {
        let key = load(&authority, &source)?;
        let current = Arc::new(Current(RwLock::new(Arc::new(key))));
        let mut config = ServerConfig::builder_with_details(provider(), Arc::new(Steady))
            .with_protocol_versions(VERSIONS)?
            .with_client_cert_verifier(Arc::new(NodesOnly::of(&authority)?))
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![ALPN.to_vec(), HTTP1.to_vec()];
        // A session that is resumed would bring back a certificate that has expired since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            authority,
            source,
            config: Arc::new(config),
            current,
        })
    }

    /// For the acceptor.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Fingerprint of the authority that the listener's certificate comes from: what those who connect pin.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        pin(&self.current.get().cert)
    }

    /// Renews the certificate at two thirds of its life, or when its files change. Connections that there are stay.
    pub async fn keep_current(&self) {
        let mut wait = self.period();
        loop {
            sleep(wait).await;
            wait = match load(&self.authority, &self.source) {
                Ok(key) => {
                    self.current.set(key);
                    self.period()
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(
                        error,
                        "the listener's certificate cannot be renewed; trying again"
                    );
                    RETRY
                }
            };
        }
    }

    fn period(&self) -> Duration {
        match &self.source {
            Source::Own { life, .. } => lasting(*life) * 2 / 3,
            Source::Files { .. } => FILES_PERIOD,
        }
    }
}

fn pin(chain: &[CertificateDer<'_>]) -> Fingerprint {
    Fingerprint::of(chain.last().map_or(&[], |last| last.as_ref()))
}

/// The certificate of now, which those who connect would take.
fn load(authority: &Authority, source: &Source) -> Result<CertifiedKey, TlsError> {
    let (chain, key, name) = match source {
        Source::Own { names, life } => {
            let (issued, key) = authority.for_listener(names, *life, clock::steady())?;
            let chain = vec![issued.der, authority.certificate().clone()];
            (chain, key, names.first().cloned().unwrap_or_default())
        }
        Source::Files { cert, key, name } => (read_chain(cert)?, read_key(key)?, name.clone()),
    };
    let key = CertifiedKey::from_der(chain, key, &provider())?;
    let server = ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name.clone()))?;
    check_server(&Trust::Pinned(pin(&key.cert)), &key.cert, &server)
        .map_err(|source| TlsError::Useless { name, source })?;
    Ok(key)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fail = |source| TlsError::File {
        path: path.to_owned(),
        what: "the listener's certificate",
        source,
    };
    let chain = CertificateDer::pem_file_iter(path).map_err(fail)?;
    chain.collect::<Result<_, _>>().map_err(fail)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::File {
        path: path.to_owned(),
        what: "the listener's key",
        source,
    })
}

/// Takes certificates of nodes that the authority has issued, and connections without any; nothing else.
#[derive(Debug)]
struct NodesOnly(Arc<dyn ClientCertVerifier>);

impl NodesOnly {
    fn of(authority: &Authority) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .allow_unauthenticated()
            .build()?;
        Ok(Self(verifier))
    }
}

impl ClientCertVerifier for NodesOnly {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now)?;
        match NodeCertificate::read(end_entity) {
            Ok(_) => Ok(verified),
            // Not `CertificateError::Other`, whose text is for programmers.
            Err(error) => Err(rustls::Error::Other(OtherError(Arc::new(error)))),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
