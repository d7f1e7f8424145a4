//! What is going to happen, in order: by time, and at the same time as chance has it.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::time::Ms;

/// Everything that is going to happen.
pub struct Queue<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    pushed: u64,
}

struct Entry<E> {
    key: (Ms, u32, u64),
    event: E,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            pushed: 0,
        }
    }
}

impl<E> Queue<E> {
    /// At `at`; of two at the same time the one with the lesser `tie` comes first.
    pub fn push(&mut self, at: Ms, tie: u32, event: E) {
        let key = (at, tie, self.pushed);
        self.pushed += 1;
        self.heap.push(Reverse(Entry { key, event }));
    }

    /// When the next one happens.
    #[must_use]
    pub fn next_at(&self) -> Option<Ms> {
        self.heap.peek().map(|Reverse(entry)| entry.key.0)
    }

    /// The next one, and when it happens.
    pub fn pop(&mut self) -> Option<(Ms, E)> {
        let Reverse(entry) = self.heap.pop()?;
        Some((entry.key.0, entry.event))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}
