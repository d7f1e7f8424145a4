use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use super::*;

/// The names of the coordinator here.
const NAMES: [&str; 2] = ["127.0.0.1", "team.example"];
const DAY: u64 = 24 * 3600;
/// 2030-01-01, when what is made here begins.
const BEGIN: u64 = 1_893_456_000;
const MIDDLE: u64 = BEGIN + 5 * DAY;
/// 2030-01-11, when what is made here ends; authorities live longer.
const END: u64 = BEGIN + 10 * DAY;

type Der = CertificateDer<'static>;
/// What it is, what is shown, and what is said to it by who pins the authority and by who has its file: nothing when it is
/// believed.
type Case = (&'static str, Vec<Der>, &'static str, &'static str);

/// Somebody who signs certificates.
struct Signer {
    issuer: Issuer<'static, KeyPair>,
    der: Der,
}

impl Signer {
    /// An authority of this name.
    fn authority(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (params.not_before, params.not_after) = (date_time_ymd(2029, 1, 1), date_time_ymd(2040, 1, 1));
        let der = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        Self { issuer, der }
    }

    /// Somebody to whom this one has given a certificate of the coordinator's kind, and who signs with its key.
    fn below(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = of_server();
        let der = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        Self { issuer, der }
    }

    fn server(&self) -> Der {
        self.sign(&of_server())
    }

    fn sign(&self, params: &CertificateParams) -> Der {
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.issuer).unwrap().der().clone()
    }

    fn pinned(&self) -> Trust {
        Trust::Pinned(Fingerprint::of(&self.der))
    }

    fn root(&self) -> Trust {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        Trust::Roots(Arc::new(roots))
    }
}

/// What the coordinator's listener shows.
fn of_server() -> CertificateParams {
    let mut params = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
    params.distinguished_name.push(DnType::CommonName, "coordinator");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    (params.not_before, params.not_after) = (date_time_ymd(2030, 1, 1), date_time_ymd(2030, 1, 11));
    params
}

/// What a client says to this; nothing when it believes it.
fn judge(trust: &Trust, shown: &[Der], name: &str, at: u64) -> String {
    let (leaf, rest) = shown.split_first().unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at));
    let verdict = trust.verifier().verify_server_cert(leaf, rest, &name, &[], at);
    verdict.err().map(|error| error.to_string()).unwrap_or_default()
}

#[track_caller]
fn expect(what: &str, said: &str, wanted: &str) {
    let fits = if wanted.is_empty() {
        said.is_empty()
    } else {
        said.contains(wanted)
    };
    assert!(fits, "{what}: {said:?} instead of {wanted:?}");
}

const UNKNOWN: &str = "UnknownIssuer";
const NOT_PINNED: &str = "does not show the authority";

#[rustfmt::skip] // One line for each case.
fn cases(own: &Signer) -> Vec<Case> {
    let other = Signer::authority("another");
    let forged = Signer::authority("own");
    let node = own.below();
    let mut of_node = of_server();
    of_node.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut of_authority = of_server();
    of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let itself = of_server().self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone();
    let junk = Der::from(vec![0x30; 500]);
    let ca = || own.der.clone();
    vec![
        ("its own", vec![own.server(), ca()], "", ""),
        ("its own, and others beside", vec![own.server(), other.der.clone(), ca()], "", ""),
        ("its own without the authority", vec![own.server()], NOT_PINNED, ""),
        ("another's", vec![other.server(), other.der.clone()], NOT_PINNED, UNKNOWN),
        // Everybody can have the authority's certificate and show it.
        ("another's beside the authority", vec![other.server(), ca()], UNKNOWN, UNKNOWN),
        ("another's beside both authorities", vec![other.server(), other.der.clone(), ca()], UNKNOWN, UNKNOWN),
        ("one of a namesake", vec![forged.server(), forged.der.clone()], NOT_PINNED, "BadSignature"),
        ("one of a namesake beside the authority", vec![forged.server(), ca()], "BadSignature", "BadSignature"),
        ("one that signed itself", vec![itself.clone()], NOT_PINNED, UNKNOWN),
        ("one that signed itself beside the authority", vec![itself, ca()], UNKNOWN, UNKNOWN),
        ("that of a node", vec![own.sign(&of_node), ca()], "does not allow extended key usage", "does not allow extended key usage"),
        ("one that is signed by a node", vec![node.server(), node.der.clone(), ca()], "EndEntityUsedAsCa", "EndEntityUsedAsCa"),
        ("an authority below it", vec![own.sign(&of_authority), ca()], "CaUsedAsEndEntity", "CaUsedAsEndEntity"),
        ("the authority itself", vec![ca()], "CaUsedAsEndEntity", "CaUsedAsEndEntity"),
        ("what is no certificate", vec![junk.clone(), ca()], "BadEncoding", "BadEncoding"),
        ("its own beside what is none", vec![own.server(), junk, ca()], "", ""),
    ]
}

#[test]
fn nobody_is_believed_but_who_has_a_certificate_of_the_authority_for_servers() {
    let own = Signer::authority("own");
    for (what, shown, pinned, by_file) in cases(&own) {
        for name in NAMES {
            expect(what, &judge(&own.pinned(), &shown, name, MIDDLE), pinned);
            expect(what, &judge(&own.root(), &shown, name, MIDDLE), by_file);
        }
    }
}

#[test]
fn a_certificate_is_good_for_its_names_and_its_time() {
    let own = Signer::authority("own");
    let shown = [own.server(), own.der.clone()];
    for trust in [own.pinned(), own.root()] {
        for (at, wanted) in [
            (BEGIN - 1, "not valid yet"),
            (BEGIN, ""),
            (END, ""),
            (END + 1, "expired"),
            (END + 1_000 * DAY, "expired"),
        ] {
            expect(&format!("at {at}"), &judge(&trust, &shown, NAMES[0], at), wanted);
        }
        for name in ["127.0.0.2", "::1", "other.example", "a.team.example", "example"] {
            expect(name, &judge(&trust, &shown, name, MIDDLE), "not valid for name");
        }
    }
}

#[test]
fn a_pin_is_of_one_authority() {
    let (own, other) = (Signer::authority("own"), Signer::authority("another"));
    let shown = [own.server(), own.der.clone()];
    let said = judge(&other.pinned(), &shown, NAMES[0], MIDDLE);
    expect("another pin", &said, NOT_PINNED);
    let wanted = Fingerprint::of(&other.der).to_string();
    assert!(said.contains(&wanted), "it does not say whom it wants: {said}");
    // Nor is the certificate itself one: it is another one every few days.
    let leaf = Trust::Pinned(Fingerprint::of(&shown[0]));
    assert_ne!(judge(&leaf, &shown, NAMES[0], MIDDLE), "");
}

#[test]
fn who_shows_nothing_is_not_believed() {
    let name = ServerName::try_from(NAMES[0]).unwrap();
    let own = Signer::authority("own");
    for trust in [own.pinned(), own.root()] {
        let verdict = check_server(&trust, &[], &name);
        assert!(
            matches!(verdict, Err(Error::NoCertificatesPresented)),
            "{verdict:?}"
        );
    }
}

#[test]
fn a_file_names_authorities_or_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    assert!(
        matches!(Trust::file(&path), Err(TrustError::Read { .. })),
        "no file"
    );
    let key = KeyPair::generate().unwrap().serialize_pem();
    let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for bad in ["", "sha256:00", &key, no_der, "-----BEGIN CERTIFICATE-----\n"] {
        std::fs::write(&path, bad).unwrap();
        let refused = Trust::file(&path).expect_err(bad);
        assert!(
            refused.to_string().contains("holds no certificate"),
            "{bad}: {refused}"
        );
    }
    let (one, two) = (Signer::authority("one"), Signer::authority("two"));
    let pem = |signer: &Signer| {
        let body = data_encoding::BASE64.encode(&signer.der);
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    };
    std::fs::write(&path, format!("{}{no_der}{}", pem(&one), pem(&two))).unwrap();
    let both = Trust::file(&path).unwrap();
    for signer in [&one, &two] {
        expect(
            "one of the file",
            &judge(&both, &[signer.server()], NAMES[0], MIDDLE),
            "",
        );
    }
    let third = Signer::authority("three").server();
    expect(
        "one that is not there",
        &judge(&both, &[third], NAMES[0], MIDDLE),
        UNKNOWN,
    );
}
