use proptest::prelude::*;
use rcgen::CertificateSigningRequest;

use super::*;
use crate::run::Role;

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    (dir, home)
}

fn worker() -> NodeName {
    NodeName {
        run: "iris-abcdefgh".parse().unwrap(),
        node: "worker-2".parse().unwrap(),
        role: Role::Worker,
    }
}

fn request(params: CertificateParams, key: &KeyPair) -> CertificateSigningRequest {
    params.serialize_request(key).unwrap()
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn the_authority_is_made_once_and_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, home) = home();
    let first = Authority::kept(&home).unwrap();
    let again = Authority::kept(&home).unwrap();
    assert_eq!(first.fingerprint(), again.fingerprint());
    let mode = dir.path().join(FILE).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o400);
    let public = std::fs::read_to_string(dir.path().join(PUBLIC_FILE)).unwrap();
    assert_eq!(public, pem_of(first.certificate()));
    assert!(!public.contains("PRIVATE"));
}

#[test]
fn something_else_is_no_authority() {
    let (dir, home) = home();
    for bad in [
        "",
        "nothing",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(dir.path().join(FILE), bad).unwrap();
        assert!(
            matches!(Authority::kept(&home), Err(AuthorityError::Kept)),
            "{bad}"
        );
    }
}

#[test]
fn a_node_is_named_by_the_authority_and_not_by_itself() {
    let (_dir, home) = home();
    let authority = Authority::kept(&home).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut wishes = CertificateParams::new(vec!["coordinator".to_owned()]).unwrap();
    wishes.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    wishes.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = Timestamp::now();
    let request = request(wishes, &key);
    let (issued, print) = authority.for_node(&worker(), request.der(), HOUR, now).unwrap();
    let read = NodeCertificate::read(&issued.der).unwrap();
    assert_eq!((&read.name, read.key), (&worker(), print));
    assert_eq!(read.until.as_second(), now.as_second() + 3300);
    assert_eq!(issued.lasts, Duration::from_secs(3300));
}

#[test]
fn what_is_no_request_gets_no_certificate() {
    let (_dir, home) = home();
    let authority = Authority::kept(&home).unwrap();
    let key = KeyPair::generate().unwrap();
    let good = request(CertificateParams::default(), &key).der().to_vec();
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    let other = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let other = request(CertificateParams::default(), &other).der().to_vec();
    for bad in [Vec::new(), forged, good[..50].to_vec(), other, vec![0x30; 10_000]] {
        let reply = authority.for_node(&worker(), &bad, HOUR, Timestamp::now());
        assert!(matches!(reply, Err(RequestError::NotOne)), "{} bytes", bad.len());
    }
}

#[test]
fn certificates_that_name_no_node() {
    let key = KeyPair::generate().unwrap();
    let of = |names: Vec<SanType>| {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.self_signed(&key).unwrap().der().to_vec()
    };
    let uri = |text: &str| SanType::URI(Ia5String::try_from(text).unwrap());
    let good = worker().to_string();
    assert_eq!(
        NodeCertificate::read(&of(vec![uri(&good)])).unwrap().name,
        worker()
    );
    let read = |names| NodeCertificate::read(&of(names)).unwrap_err();
    assert_eq!(read(vec![]), NameError::Names(0));
    assert_eq!(read(vec![uri(&good), uri(&good)]), NameError::Names(2));
    let dns = SanType::DnsName(Ia5String::try_from("worker-2").unwrap());
    assert_eq!(read(vec![dns]), NameError::Name);
    for bad in [
        "spiffe://mayfly/run/iris-abcdefgh/node/worker-2/role/worker\0",
        "spiffe://mayfly/run/iris-abcdefgh/node/worker-2\0/role/worker",
        "spiffe://mayfly/run/*/node/worker-2/role/worker",
        "spiffe://mayfly/run/iris-abcdefgh/node/*/role/worker",
        "spiffe://mayfly/run/iris-abcdefgh/node/worker-2/role/*",
        "spiffe://mayfly/run/iris-abcdefgh/node/worker-2/role/worker/",
        "spiffe://mayfly/run/iris-abcdefgh/node/worker-2/role/Master",
        "spiffe://other/run/iris-abcdefgh/node/worker-2/role/worker",
        "SPIFFE://mayfly/run/iris-abcdefgh/node/worker-2/role/worker",
    ] {
        assert_eq!(read(vec![uri(bad)]), NameError::Name, "{bad:?}");
    }
    let mut authority = CertificateParams::default();
    authority.subject_alt_names = vec![uri(&good)];
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let der = authority.self_signed(&key).unwrap();
    assert_eq!(NodeCertificate::read(der.der()), Err(NameError::Authority));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = NodeCertificate::read(&bytes);
        prop_assert!(CertificateSigningRequestParams::from_der(&bytes.as_slice().into()).is_err());
    }

    #[test]
    fn no_damage_makes_the_reader_panic(at in 0usize..400, flip in 1u8..) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(worker().to_string()).unwrap())];
        let mut der = params.self_signed(&key).unwrap().der().to_vec();
        let length = der.len();
        der[at % length] ^= flip;
        let _ = NodeCertificate::read(&der);
    }
}
