//! A model of the locks in Consul: one for each attempt, which belongs to a session until that ends.

use std::collections::BTreeMap;

use mayfly_proto::Attempt;

/// All locks, and who has them.
#[derive(Debug, Default)]
pub struct Locks {
    taken: BTreeMap<Attempt, usize>,
}

impl Locks {
    /// Takes the lock of an attempt for this session; false when another one has it.
    pub fn take(&mut self, attempt: Attempt, session: usize) -> bool {
        *self.taken.entry(attempt).or_insert(session) == session
    }

    /// Who has it.
    #[must_use]
    pub fn holder(&self, attempt: Attempt) -> Option<usize> {
        self.taken.get(&attempt).copied()
    }

    /// These sessions have ended: what they had is free.
    pub fn end(&mut self, ended: impl Fn(usize) -> bool) {
        self.taken.retain(|_, session| !ended(*session));
    }
}
