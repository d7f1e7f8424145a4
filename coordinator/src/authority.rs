//! The coordinator's certificate authority: made on first start, kept in its folder, never told to anybody.
//!
//! It signs two kinds of certificates: short-lived ones for the coordinator's own listener, and one for each node that
//! is taken in, bound to its run, its name and its role ([`NodeName`]).

mod name;

use std::time::Duration;

use jiff::Timestamp;
use mayfly_kit::tls::Fingerprint;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PublicKeyData as _, SanType, SerialNumber,
};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::home::{Home, HomeError, random_base32, write_private};
pub use name::{NameError, NodeCertificate, NodeName};

/// Certificate and key of the authority, private.
const FILE: &str = "authority.pem";
/// Its certificate alone, to be handed to clients.
const PUBLIC_FILE: &str = "ca.pem";
const LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Clocks that go so wrong are forgiven: certificates begin this long before they are made.
const SKEW: Duration = Duration::from_secs(300);
/// Largest request for a certificate, in bytes; one of ours has about 300.
const REQUEST_MAX: usize = 4096;

/// Why the authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Its files.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Its public file.
    #[error("cannot write {PUBLIC_FILE}")]
    Public(#[source] std::io::Error),
    /// What is kept is no authority.
    #[error("{FILE} holds no certificate and key that can be used; remove it, and a new authority is made")]
    Kept,
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
}

/// Why a node gets no certificate.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// What came is no request for one.
    #[error(
        "certificate_request must be a signed PKCS#10 request (DER, at most {REQUEST_MAX} bytes) of an ECDSA P-256 key"
    )]
    NotOne,
    /// It cannot be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
}

/// A certificate and how long it lasts from now.
#[derive(Debug, Clone)]
pub struct Issued {
    /// As DER.
    pub der: CertificateDer<'static>,
    /// From now.
    pub lasts: Duration,
}

/// The authority. No `Debug`: it holds a key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// The authority of this folder, made on first use.
    ///
    /// # Errors
    /// Its files cannot be read or written, or hold something else.
    pub fn kept(home: &Home) -> Result<Self, AuthorityError> {
        let pem = home.kept(FILE, || make().map_err(std::io::Error::other))?;
        let authority = Self::read(&pem).ok_or(AuthorityError::Kept)?;
        let public = home.path().join(PUBLIC_FILE);
        let text = pem_of(&authority.certificate);
        if std::fs::read(&public).ok().as_deref() != Some(text.as_bytes()) {
            write_private(&public, text.as_bytes()).map_err(AuthorityError::Public)?;
        }
        Ok(authority)
    }

    #[cfg(feature = "aws")]
    /// A new authority, as the file of a folder would hold it, and what is pinned of it.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn fresh() -> Result<(String, Fingerprint), AuthorityError> {
        let pem = make()?;
        let fingerprint = Self::read(&pem).ok_or(AuthorityError::Kept)?.fingerprint();
        Ok((String::from_utf8_lossy(&pem).into_owned(), fingerprint))
    }

    #[cfg(feature = "aws")]
    /// Lays an authority down in the folder of a coordinator that has not been started there before.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn lay_down(home: &Home, pem: &str) -> Result<(), AuthorityError> {
        home.kept(FILE, || Ok(pem.as_bytes().to_owned()))?;
        Ok(())
    }

    fn read(pem: &[u8]) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(pem).ok()?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem).ok()?;
        let key = KeyPair::try_from(&key).ok()?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).ok()?;
        Some(Self { issuer, certificate })
    }

    /// Its own certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// What people and nodes pin.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// A certificate for a listener that is reached by these names and addresses, and its key.
    ///
    /// # Errors
    /// A name is not one.
    pub fn for_listener(
        &self,
        names: &[String],
        life: Duration,
        now: Timestamp,
    ) -> Result<(Issued, PrivateKeyDer<'static>), rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let issued = self.sign(params, &key, "mayfly coordinator", life, now)?;
        Ok((issued, PrivateKeyDer::Pkcs8(key.serialize_der().into())))
    }

    /// A certificate for a node that was taken in. Of its request only the key counts, and that it is signed with it.
    ///
    /// # Errors
    /// What came is no request.
    pub fn for_node(
        &self,
        name: &NodeName,
        request: &[u8],
        life: Duration,
        now: Timestamp,
    ) -> Result<(Issued, Fingerprint), RequestError> {
        if request.len() > REQUEST_MAX {
            return Err(RequestError::NotOne);
        }
        let request =
            CertificateSigningRequestParams::from_der(&request.into()).map_err(|_| RequestError::NotOne)?;
        let key = &request.public_key;
        if key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(RequestError::NotOne);
        }
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(name.to_string())?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let issued = self.sign(params, key, "mayfly node", life, now)?;
        Ok((issued, Fingerprint::of(key.der_bytes())))
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl rcgen::PublicKeyData,
        subject: &str,
        life: Duration,
        now: Timestamp,
    ) -> Result<Issued, rcgen::Error> {
        let lasts = lasting(life);
        params.distinguished_name = common_name(subject);
        set_validity(&mut params, now, lasts);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.serial_number = Some(serial()?);
        params.use_authority_key_identifier_extension = true;
        let der = params.signed_by(key, &self.issuer)?.der().clone();
        Ok(Issued { der, lasts })
    }
}

/// How long a certificate of this life lasts from its issue: it began before that, for clocks that go wrong. Of a short
/// life half is left.
#[must_use]
pub fn lasting(life: Duration) -> Duration {
    life.saturating_sub(SKEW).max(life / 2)
}

/// As PEM.
#[must_use]
pub fn pem_of(certificate: &CertificateDer<'_>) -> String {
    let body = data_encoding::BASE64.encode(certificate);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

fn make() -> Result<Vec<u8>, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    // A name of its own, so that a certificate of another coordinator is told from a forged one.
    let mark = random_base32(5).map_err(|_| rcgen::Error::RingUnspecified)?;
    params.distinguished_name = common_name(&format!("mayfly authority {mark}"));
    set_validity(&mut params, Timestamp::now(), LIFE);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.serial_number = Some(serial()?);
    let certificate = params.self_signed(&key)?;
    Ok(format!("{}{}", certificate.pem(), key.serialize_pem()).into_bytes())
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

/// Positive and not all zero, as RFC 5280 wants it.
fn serial() -> Result<SerialNumber, rcgen::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| rcgen::Error::RingUnspecified)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// So long after this second, as rcgen wants it: it shows a type of a crate that it does not show.
fn set_validity(params: &mut CertificateParams, now: Timestamp, lasts: Duration) {
    let since_epoch = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    let now = rcgen::date_time_ymd(1970, 1, 1) + since_epoch;
    params.not_before = now - SKEW;
    params.not_after = now + lasts;
}

#[cfg(test)]
mod tests;
