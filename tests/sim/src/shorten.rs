//! Which of its faults a seed needs to break its promise: the least that is found by leaving out more and more.

use std::rc::Rc;

use crate::oracle::Promise;
use crate::plan::{Fault, Plan};
use crate::simulate;

/// The plan with as few faults as break the same promise.
#[must_use]
pub fn shorten(seed: u64, plan: &Plan, promise: Promise) -> Plan {
    let breaks = |faults: &[Fault]| {
        let plan = Plan {
            faults: faults.to_vec(),
            ..plan.clone()
        };
        let broken = simulate(seed, &Rc::new(plan), false).broken;
        broken.is_some_and(|broken| broken.promise == promise)
    };
    let mut faults = plan.faults.clone();
    let mut size = faults.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < faults.len() {
            let mut fewer = faults.clone();
            fewer.drain(from..(from + size).min(fewer.len()));
            if breaks(&fewer) {
                faults = fewer;
            } else {
                from += size;
            }
        }
        size /= 2;
    }
    Plan {
        faults,
        ..plan.clone()
    }
}
