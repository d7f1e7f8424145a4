//! Certificates, good and bad, made with the key of a coordinator's authority.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mayfly_coordinator::authority::{Authority, NodeName};
use mayfly_coordinator::home::Home;
use mayfly_coordinator::run::Role;
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::socket::Shown;

const HOUR: Duration = Duration::from_secs(3600);
pub(super) const NAME: &str = "spiffe://mayfly/run/live-abcdefgh/node/worker-7/role/worker";

/// Has the authority of a home, and its key.
pub(super) struct Forger {
    authority: Authority,
    issuer: Issuer<'static, KeyPair>,
    /// The node's own.
    key: KeyPair,
}

type Bad = (&'static str, &'static str, Shown);

impl Forger {
    pub(super) fn new(home: &Path) -> Self {
        let pem = std::fs::read_to_string(home.join("authority.pem")).unwrap();
        let (certificate, key) = pem.split_at(pem.find("-----BEGIN PRIVATE KEY").unwrap());
        let key = KeyPair::from_pem(key).unwrap();
        Self {
            authority: Authority::kept(&Home::open(home).unwrap()).unwrap(),
            issuer: Issuer::from_ca_cert_pem(certificate, key).unwrap(),
            key: KeyPair::generate().unwrap(),
        }
    }

    /// The private key that every certificate here is for, as PKCS#8.
    pub(super) fn key(&self) -> Vec<u8> {
        self.key.serialize_der()
    }

    /// A request for a certificate of that key.
    pub(super) fn request(&self) -> Vec<u8> {
        let request = CertificateParams::default().serialize_request(&self.key);
        request.unwrap().der().to_vec()
    }

    /// What the authority itself would issue, so long ago.
    pub(super) fn issued(&self, name: &NodeName, ago: SignedDuration) -> Vec<u8> {
        let made = Timestamp::now() - ago;
        let (issued, _) = self
            .authority
            .for_node(name, &self.request(), HOUR, made)
            .unwrap();
        issued.der.to_vec()
    }

    fn shown(&self, der: Vec<u8>) -> Shown {
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        (vec![der.into()], key)
    }

    pub(super) fn good(&self) -> Shown {
        self.shown(self.issued(&worker(), SignedDuration::ZERO))
    }

    /// A certificate with these names, signed by the authority.
    fn named(&self, names: Vec<SanType>, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let certificate = params.signed_by(&self.key, &self.issuer).unwrap();
        self.shown(certificate.der().to_vec())
    }

    /// What it is, what the log says of it, and it.
    pub(super) fn bad(&self) -> Vec<Bad> {
        let uri = |text: &str| SanType::URI(Ia5String::try_from(text).unwrap());
        let dns = SanType::DnsName(Ia5String::try_from("worker-7").unwrap());
        let same = |_: &mut CertificateParams| {};
        let hours = SignedDuration::from_hours;
        let elsewhere = tempfile::tempdir().unwrap();
        let home = Home::open(elsewhere.path()).unwrap();
        Authority::kept(&home).unwrap();
        let foreign = Forger::new(home.path());
        let self_signed = {
            let mut params = CertificateParams::default();
            params.subject_alt_names = vec![uri(NAME)];
            params.self_signed(&self.key).unwrap().der().to_vec()
        };
        let foreign_chain = {
            let (mut chain, key) = foreign.good();
            chain.push(foreign.authority.certificate().clone());
            (chain, key)
        };
        vec![
            (
                "an expired certificate",
                "certificate expired",
                self.shown(self.issued(&worker(), hours(2))),
            ),
            (
                "one of tomorrow",
                "certificate not valid yet",
                self.shown(self.issued(&worker(), hours(-24))),
            ),
            ("one of another coordinator", "UnknownIssuer", foreign.good()),
            ("one with its own authority", "UnknownIssuer", foreign_chain),
            ("one that signed itself", "UnknownIssuer", self.shown(self_signed)),
            (
                "an authority as a node",
                "CaUsedAsEndEntity",
                self.named(vec![uri(NAME)], |p| {
                    p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                }),
            ),
            (
                "one for servers",
                "does not allow extended key usage",
                self.named(vec![uri(NAME)], |p| {
                    p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                }),
            ),
            ("no name", "has 0 names", self.named(vec![], same)),
            (
                "two names",
                "has 2 names",
                self.named(vec![uri(NAME), uri(NAME)], same),
            ),
            (
                "a host's name",
                "is not that of a node",
                self.named(vec![dns], same),
            ),
            (
                "a NUL in the name",
                "is not that of a node",
                self.named(vec![uri(&NAME.replace("worker-7", "worker-7\0"))], same),
            ),
            (
                "any node",
                "is not that of a node",
                self.named(vec![uri(&NAME.replace("worker-7", "*"))], same),
            ),
        ]
    }
}

/// A certificate for 127.0.0.1 of somebody's own authority, with that authority's, and its key, as an administrator
/// would give them: PEM.
pub(super) fn administrators() -> (String, String) {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    (format!("{}{ca_pem}", leaf.pem()), key.serialize_pem())
}

/// A worker of a run that nobody launched.
pub(super) fn worker() -> NodeName {
    NodeName {
        run: "live-abcdefgh".parse().unwrap(),
        node: "worker-7".parse().unwrap(),
        role: Role::Worker,
    }
}
