//! How many nodes are taken in at one time. One more is asked to come again a little later: what it waits for, its cloud's
//! list of machines or the driver of its run, is slow already, and would only be asked more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mayfly_proto::{RETRY_PUSHBACK, RunId};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

/// Of one run: it does not keep the nodes of others out.
const OF_A_RUN: usize = 256;
/// Of all runs.
const OF_ALL: usize = 1_024;
/// When to come again at the earliest; nodes add a wait of their own, no two the same.
const AGAIN_MS: u64 = 1_000;

/// The nodes that are being taken in.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<RunId, usize>>>);

/// The right to be taken in, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    run: RunId,
}

impl Places {
    /// For a node that has shown that it may come: whoever has no token takes no place.
    ///
    /// # Errors
    /// All are taken; the status says when to come again.
    pub(super) fn take(&self, run: &RunId) -> Result<Place, Status> {
        let mut taken = self.taken();
        let of_run = taken.get(run).copied().unwrap_or(0);
        if of_run >= OF_A_RUN || taken.values().sum::<usize>() >= OF_ALL {
            return Err(later(run));
        }
        taken.insert(run.clone(), of_run + 1);
        Ok(Place {
            places: self.clone(),
            run: run.clone(),
        })
    }

    /// Holders only count, so a poisoned lock still guards sound numbers.
    fn taken(&self) -> MutexGuard<'_, HashMap<RunId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(of_run) = taken.get_mut(&self.run) {
            *of_run -= 1;
            if *of_run == 0 {
                taken.remove(&self.run);
            }
        }
    }
}

fn later(run: &RunId) -> Status {
    let mut hint = MetadataMap::new();
    hint.insert(RETRY_PUSHBACK, AGAIN_MS.into());
    let text = format!("many nodes are being taken in, of {run} among others: come again in {AGAIN_MS} ms");
    Status::with_metadata(Code::ResourceExhausted, text, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str) -> RunId {
        format!("{name}-abcdefgh").parse().unwrap()
    }

    fn fill(places: &Places, run: &RunId) -> Vec<Place> {
        (0..OF_A_RUN).map(|_| places.take(run).unwrap()).collect()
    }

    #[test]
    fn one_node_more_is_told_when_to_come_again_and_has_its_place_then() {
        let (places, storm) = (Places::default(), run("storm"));
        let mut held = fill(&places, &storm);
        let refused = places.take(&storm).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let hint = refused.metadata().get(RETRY_PUSHBACK).expect("a hint");
        assert_eq!(hint.to_str().unwrap(), "1000");
        held.pop();
        held.push(places.take(&storm).unwrap());
        places.take(&storm).unwrap_err();
        drop(held);
        assert!(places.taken().is_empty(), "{places:?}");
    }

    #[test]
    fn a_run_keeps_no_other_out_and_all_together_have_a_limit() {
        let places = Places::default();
        let runs = ["a", "b", "c", "d"].map(run);
        let mut held: Vec<Place> = Vec::new();
        for run in &runs {
            held.extend(fill(&places, run));
        }
        assert_eq!(held.len(), OF_ALL);
        places.take(&run("e")).unwrap_err();
        held.pop();
        held.push(places.take(&run("e")).unwrap());
    }
}
