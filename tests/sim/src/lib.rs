//! The simulation: the product's pure code under a virtual clock, with models of everything around it.
//!
//! ```text
//! seed ──► plan: the run, and every fault ──► world ──► promises kept, or the first one that was broken
//!                                              │
//!   product (the real files) ◄── driver, coordinator, agent: what carries out its decisions
//!                                              │
//!                              store, world::aws, world::local, machines, network: models
//! ```
//!
//! * One seed makes one world, always the same: there are no threads in it, no clock but its own, and no chance but the
//!   seed's. [`simulate`] runs one; [`shorten`] finds the faults that it takes to break a promise.
//! * [`product`]: what is under test, taken from the crates by the build script. [`planted`]: bugs in it, to show that they
//!   would be found.
//! * What is promised is in [`oracle`] and `world/judge.rs`.

pub mod agent;
pub mod call;
pub mod chance;
pub mod coordinator;
pub mod driver;
pub mod lock;
pub mod machine;
pub mod many;
pub mod oracle;
pub mod plan;
pub mod planted;
#[expect(
    missing_docs,
    unused_parens,
    dead_code,
    clippy::double_parens,
    reason = "copies of the product, with its items where nobody reads them and switches where bugs are planted"
)]
pub mod product;
pub mod queue;
pub mod region;
pub mod shorten;
pub mod store;
pub mod time;
pub mod world;

use std::rc::Rc;

use plan::Plan;
use world::{Ending, World};

/// Runs the world of this seed, with these faults in place of its own if they are given.
///
/// # Panics
/// The product's own defaults cannot be read.
#[must_use]
pub fn simulate(seed: u64, plan: &Rc<Plan>, traced: bool) -> Ending {
    match World::new(seed, Rc::clone(plan), traced) {
        Some(world) => world.run(),
        None => panic!("the compiled-in defaults of a job make none"),
    }
}
