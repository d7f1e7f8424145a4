//! The clouds that a coordinator has.

use std::sync::Arc;

use super::Cloud;
use crate::run::Timing;

/// A cloud, and how its runs are timed.
#[derive(Clone)]
pub struct Offered {
    /// Its name in requests and records: `local`, `aws`.
    pub name: &'static str,
    /// Where machines come from.
    pub cloud: Arc<dyn Cloud>,
    /// Its intervals.
    pub timing: Timing,
}

/// All of them; never empty.
#[derive(Clone)]
pub struct Clouds {
    /// What is used when nobody says which.
    first: Offered,
    more: Vec<Offered>,
}

impl Clouds {
    /// Only one.
    #[must_use]
    pub fn one(first: Offered) -> Self {
        Self {
            first,
            more: Vec::new(),
        }
    }

    /// More of them.
    pub fn extend(&mut self, more: impl IntoIterator<Item = Offered>) {
        self.more.extend(more);
    }

    /// The cloud of this name; the first one for an empty name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Offered> {
        if name.is_empty() {
            return Some(&self.first);
        }
        self.all().find(|offered| offered.name == name)
    }

    /// Their names.
    pub fn names(&self) -> Vec<&'static str> {
        self.all().map(|offered| offered.name).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Offered> {
        std::iter::once(&self.first).chain(&self.more)
    }
}
