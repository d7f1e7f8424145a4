//! How many clusters run at one time: three or more JVMs that start at once want the whole machine.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::programs;

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// The right to run a cluster, until it is dropped.
#[derive(Debug)]
pub struct Slot(());

/// Waits for a slot. The first caller installs what is missing: Java, Python, Spark.
#[must_use]
pub fn take() -> Slot {
    programs::toolchain();
    let slots = std::thread::available_parallelism().map_or(2, usize::from).min(4);
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken = FREED
        .wait_while(taken, |taken| *taken >= slots)
        .unwrap_or_else(PoisonError::into_inner);
    *taken += 1;
    Slot(())
}

impl Drop for Slot {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREED.notify_one();
    }
}
