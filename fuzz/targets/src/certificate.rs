//! A node's certificate, as a client shows it, and what it asks to be certified: any bytes, and real ones with damage.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_coordinator::authority::{Authority, NodeCertificate, NodeName};
use mayfly_coordinator::home::Home;
use mayfly_kit::tls::Fingerprint;

static NAME: LazyLock<NodeName> = LazyLock::new(|| {
    "spiffe://mayfly/run/iris-abcdefgh/node/worker-2/role/worker"
        .parse()
        .expect("a name")
});

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder").keep();
    Authority::kept(&Home::open(&folder).expect("a home")).expect("an authority")
});

/// A request, the certificate for it, and the fingerprint of its key.
static REAL: LazyLock<(Vec<u8>, Vec<u8>, Fingerprint)> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate().expect("a key");
    let request = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .expect("a request");
    let request = request.der().to_vec();
    let (issued, key) = AUTHORITY
        .for_node(&NAME, &request, LIFE, Timestamp::now())
        .expect("a certificate");
    (request, issued.der.to_vec(), key)
});

const LIFE: Duration = Duration::from_secs(3600);

/// Each three bytes are a place and what is there instead.
fn damaged(real: &[u8], damage: &[u8]) -> Vec<u8> {
    let mut bytes = real.to_vec();
    for change in damage.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] = change[2];
    }
    bytes
}

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    let (request, certificate, key) = &*REAL;
    for der in [bytes, &damaged(certificate, bytes)] {
        let _ = NodeCertificate::read(der);
    }
    for der in [bytes, &damaged(request, bytes)] {
        if let Ok((_, signed)) = AUTHORITY.for_node(&NAME, der, LIFE, Timestamp::now()) {
            assert_eq!(&signed, key, "a key that has not signed its request");
        }
    }
}
