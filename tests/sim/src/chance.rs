//! Chance, from a seed.

use crate::time::Ms;

/// A source of numbers that depend on nothing but its seed.
#[derive(Debug, Clone)]
pub struct Chance(fastrand::Rng);

impl Chance {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, percent: u32) -> bool {
        percent > 0 && self.0.u32(0..100) < percent
    }

    /// Between the two, the second excluded.
    pub fn between(&mut self, from: Ms, to: Ms) -> Ms {
        if from < to { self.0.u64(from..to) } else { from }
    }

    /// Less than `n`, which is at least 1.
    pub fn below(&mut self, n: usize) -> usize {
        self.0.usize(0..n.max(1))
    }

    /// Any.
    pub fn any(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// For the order of what happens at the same time.
    pub fn tie(&mut self) -> u32 {
        self.0.u32(..)
    }

    /// One of these, which are not none.
    pub fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }
}
