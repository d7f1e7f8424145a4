//! Tokens: who may say what. Compared in constant time, never shown.

use mayfly_proto::RunId;
use sha2::{Digest as _, Sha256};
use std::io;

use crate::home::random_base32;
use crate::run::Role;

/// What the tokens of one coordinator are made from. No `Debug`: it is a secret.
#[derive(Clone)]
pub struct Tokens {
    secret: String,
    people: String,
}

impl Tokens {
    /// New tokens for a coordinator that starts.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> io::Result<Self> {
        Ok(Self {
            secret: random_base32(32)?,
            people: random_base32(32)?,
        })
    }

    /// What people and their programs show.
    #[must_use]
    pub fn people(&self) -> &str {
        &self.people
    }

    /// What a node of this run and role exchanges at `Enroll`.
    #[must_use]
    pub fn join(&self, run: &RunId, role: Role) -> String {
        let role = if role == Role::Master { "master" } else { "worker" };
        self.derive(&["join", run.as_str(), role])
    }

    /// What a node shows after it enrolled, bound to this process of its agent.
    #[must_use]
    pub fn session(&self, run: &RunId, node: &str, boot: &str) -> String {
        self.derive(&["session", run.as_str(), node, boot])
    }

    /// The secret that the engine's own processes share in one run.
    #[must_use]
    pub fn engine(&self, run: &RunId) -> String {
        self.derive(&["engine", run.as_str()])
    }

    fn derive(&self, parts: &[&str]) -> String {
        let mut hash = Sha256::new();
        hash.update(&self.secret);
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        // Hashed twice, so that the first digest cannot be continued.
        data_encoding::HEXLOWER.encode(&Sha256::digest(hash.finalize()))
    }
}

/// Equality that takes as long for a near miss as for a far one.
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    let (a, b) = (Sha256::digest(a), Sha256::digest(b));
    a.iter()
        .zip(b.iter())
        .fold(0, |difference, (x, y)| difference | (x ^ y))
        == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_bound_to_run_role_node_and_process() {
        let tokens = Tokens::generate().unwrap();
        let (a, b): (RunId, RunId) = ("a-abcdefgh".parse().unwrap(), "b-abcdefgh".parse().unwrap());
        assert!(same(
            &tokens.join(&a, Role::Master),
            &tokens.join(&a, Role::Master)
        ));
        assert!(!same(
            &tokens.join(&a, Role::Master),
            &tokens.join(&a, Role::Worker)
        ));
        assert!(!same(
            &tokens.join(&a, Role::Master),
            &tokens.join(&b, Role::Master)
        ));
        assert!(!same(
            &tokens.session(&a, "worker-1", "x"),
            &tokens.session(&a, "worker-1", "y")
        ));
        assert!(!same(tokens.people(), Tokens::generate().unwrap().people()));
    }
}
