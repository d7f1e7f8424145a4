//! Many seeds, on all cores.

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::oracle::{Broken, Seen};
use crate::plan::Plan;
use crate::planted::plant;
use crate::simulate;

/// A seed that broke a promise.
#[derive(Debug, Clone)]
pub struct Failed {
    /// The seed.
    pub seed: u64,
    /// The promise, and how it was broken.
    pub broken: Broken,
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When all seeds were run.
    All,
    /// When the first one has failed.
    Found,
}

/// Runs `count` seeds from `from` on, with this bug planted if any; those that failed, in their order, and what was seen.
#[must_use]
pub fn many(from: u64, count: u64, bug: Option<usize>, until: Until) -> (Vec<Failed>, Seen) {
    let end = from.saturating_add(count);
    let next = AtomicU64::new(from);
    let work = || {
        plant(bug);
        let (mut failed, mut seen) = (Vec::new(), Seen::default());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return (failed, seen);
            }
            let ending = simulate(seed, &Rc::new(Plan::of(seed)), false);
            seen.add(&ending.seen);
            if let Some(broken) = ending.broken {
                failed.push(Failed { seed, broken });
                if until == Until::Found {
                    next.store(end, Ordering::Relaxed);
                }
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (mut failed, mut seen) = (Vec::new(), Seen::default());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok((some, more)) => {
                    failed.extend(some);
                    seen.add(&more);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    failed.sort_by_key(|one| one.seed);
    (failed, seen)
}
