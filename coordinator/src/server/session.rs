//! Which process of an agent speaks for a node, and which of its reports is the newest.

use std::sync::atomic::{AtomicU64, Ordering};

use mayfly_kit::tls::Fingerprint;

use crate::run::Role;

/// A node that enrolled.
#[derive(Debug)]
pub struct Session {
    /// The process of its agent.
    pub boot_id: String,
    /// What it is for.
    pub role: Role,
    /// Fingerprint of the key that it proves itself with; `None` in plaintext.
    pub key: Option<Fingerprint>,
    /// Number of its last report.
    last_seq: AtomicU64,
}

impl Session {
    /// A session in which nothing was reported yet.
    pub(super) fn new(boot_id: &str, role: Role, key: Option<Fingerprint>) -> Self {
        Self {
            boot_id: boot_id.into(),
            role,
            key,
            last_seq: AtomicU64::new(0),
        }
    }

    /// Whether it is that of the same process of an agent, for the same role and with the same key.
    pub(super) fn is_of(&self, boot_id: &str, role: Role, key: Option<Fingerprint>) -> bool {
        self.boot_id == boot_id && self.role == role && self.key == key
    }

    /// Whether this is the newest report so far; an older one that comes late is not taken.
    #[must_use]
    pub fn is_new(&self, seq: u64) -> bool {
        self.last_seq.fetch_max(seq, Ordering::AcqRel) < seq
    }
}
