//! How many clusters run at one time: they wait more than they compute, and each wants its memory.

use std::fs;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::programs;

/// Of one small cluster with its job: four JVMs, mostly.
const CLUSTER_KIB: usize = 3 << 20;
const SLOTS_MAX: usize = 8;

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// The right to run a cluster, until it is dropped.
#[derive(Debug)]
pub struct Slot(());

/// Waits for a slot. The first caller installs what is missing: Java, Python, Spark.
#[must_use]
pub fn take() -> Slot {
    programs::toolchain();
    let slots = slots();
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken = FREED
        .wait_while(taken, |taken| *taken >= slots)
        .unwrap_or_else(PoisonError::into_inner);
    *taken += 1;
    Slot(())
}

fn slots() -> usize {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let memory = memory_kib().map_or(1, |all| all / CLUSTER_KIB);
    (2 * cores).min(memory).clamp(1, SLOTS_MAX)
}

fn memory_kib() -> Option<usize> {
    let table = fs::read_to_string("/proc/meminfo").ok()?;
    let line = table.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse().ok()
}

impl Drop for Slot {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREED.notify_one();
    }
}
