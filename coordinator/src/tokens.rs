//! Tokens: who may say what. Compared in constant time, never shown.

mod join;

use std::io;

use mayfly_proto::RunId;
use sha2::{Digest as _, Sha256};

use crate::home::{Home, HomeError, PEOPLE_TOKEN, random_base32};
pub use join::{JoinError, Joining, LIFE as JOIN_LIFE};

/// File with what all other tokens are made from.
const SECRET: &str = "coordinator.secret";
/// Random bytes of a secret that is drawn.
const SECRET_BYTES: usize = 32;

/// What the tokens of one coordinator are made from. No `Debug`: it is a secret.
#[derive(Clone)]
pub struct Tokens {
    secret: String,
    people: String,
}

impl Tokens {
    /// New tokens, for a coordinator that lives as long as one command.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> io::Result<Self> {
        Ok(Self {
            secret: random_base32(SECRET_BYTES)?,
            people: random_base32(SECRET_BYTES)?,
        })
    }

    /// The tokens of a coordinator that is started again and again: made on first use and kept in its folder, so that
    /// it knows its nodes and its people again. `people.token` is theirs to copy.
    ///
    /// # Errors
    /// They cannot be read or written.
    pub fn kept(home: &Home) -> Result<Self, HomeError> {
        let secret = || random_base32(SECRET_BYTES).map(|text| format!("{text}\n"));
        Ok(Self {
            secret: home.secret(SECRET, secret)?,
            people: home.secret(PEOPLE_TOKEN, secret)?,
        })
    }

    /// What they are made from, for the coordinator that takes over elsewhere: the secret, and what people show.
    #[must_use]
    pub(crate) fn parts(&self) -> (&str, &str) {
        (&self.secret, &self.people)
    }

    #[cfg(feature = "aws")]
    /// Those that are made from these.
    #[must_use]
    pub(crate) fn of(secret: String, people: String) -> Self {
        Self { secret, people }
    }

    #[cfg(feature = "aws")]
    /// Lays them down in the folder of a coordinator that has not been started there before.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn lay_down(home: &Home, secret: &str, people: &str) -> Result<(), HomeError> {
        home.secret(SECRET, || Ok(secret.to_owned()))?;
        home.secret(PEOPLE_TOKEN, || Ok(people.to_owned()))?;
        Ok(())
    }

    /// What people and their programs show.
    #[must_use]
    pub fn people(&self) -> &str {
        &self.people
    }

    /// What makes and checks the tokens that nodes of this run exchange at `Enroll`.
    #[must_use]
    pub fn joining(&self, run: &RunId) -> Joining {
        Joining::new(digest(&self.secret, &["joining", run.as_str()]))
    }

    /// What a node shows after it enrolled, bound to this process of its agent.
    #[must_use]
    pub fn session(&self, run: &RunId, node: &str, boot: &str) -> String {
        digest(&self.secret, &["session", run.as_str(), node, boot])
    }

    #[cfg(feature = "aws")]
    /// A token of a Consul that is this coordinator's own: a UUID.
    #[must_use]
    pub(crate) fn consul(&self, of: &str) -> String {
        let digest = digest(&self.secret, &["consul", of]);
        let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }

    /// What the web page makes for those who have shown the token of people; it is worth nothing once that is another.
    #[must_use]
    pub(crate) fn page(&self, what: &str, of: &str) -> String {
        digest(&self.secret, &["page", &self.people, what, of])
    }

    /// The secret that the engine's own processes share in one run.
    #[must_use]
    pub fn engine(&self, run: &RunId) -> String {
        digest(&self.secret, &["engine", run.as_str()])
    }
}

/// A digest that only who knows the secret can make.
fn digest(secret: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    hash.update(secret);
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    // Hashed twice, so that the first digest cannot be continued.
    data_encoding::HEXLOWER.encode(&Sha256::digest(hash.finalize()))
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
    use jiff::Timestamp;

    use super::*;
    use crate::run::Role;

    fn runs() -> (RunId, RunId) {
        ("a-abcdefgh".parse().unwrap(), "b-abcdefgh".parse().unwrap())
    }

    #[test]
    fn tokens_are_bound_to_run_role_node_and_process() {
        let tokens = Tokens::generate().unwrap();
        let (a, b) = runs();
        let now = Timestamp::UNIX_EPOCH;
        let token = tokens.joining(&a).token(Role::Master, now);
        assert_eq!(tokens.joining(&a).check(&token, Role::Master, now), Ok(()));
        assert_eq!(
            tokens.joining(&b).check(&token, Role::Master, now),
            Err(JoinError::Foreign)
        );
        assert!(!same(
            &tokens.session(&a, "worker-1", "x"),
            &tokens.session(&a, "worker-1", "y")
        ));
        assert!(!same(tokens.people(), Tokens::generate().unwrap().people()));
    }

    #[cfg(feature = "aws")]
    #[test]
    fn tokens_of_consul_are_uuids_that_are_the_same_again_and_different_for_each() {
        let tokens = Tokens::generate().unwrap();
        let node = tokens.consul("node");
        assert_eq!(node, tokens.consul("node"));
        assert_ne!(node, tokens.consul("people"));
        let lengths: Vec<usize> = node.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{node}");
    }

    #[test]
    fn a_coordinator_that_starts_again_knows_its_nodes_and_people() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let (first, again) = (Tokens::kept(&home).unwrap(), Tokens::kept(&home).unwrap());
        let (run, _) = runs();
        assert_eq!(first.people(), again.people());
        assert_eq!(
            first.session(&run, "master-1", "x"),
            again.session(&run, "master-1", "x")
        );
        let file = std::fs::read_to_string(dir.path().join("people.token")).unwrap();
        assert_eq!(file.trim_end(), first.people());
    }

    #[test]
    fn two_first_starts_at_once_agree() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let people: std::collections::HashSet<String> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| Tokens::kept(&home).unwrap().people))
                .collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert_eq!(people.len(), 1);
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            5,
            "store, nodes, .gitignore and two secrets"
        );
    }
}
