//! The model of EC2 and Auto Scaling by itself, to be held against another one.

use std::rc::Rc;

use jiff::Timestamp;

use crate::call::{Aws, Res};
use crate::plan::Plan;
use crate::time::{Ms, wall};
use crate::world::World;

/// A region in which nothing goes wrong, and no coordinator lives.
pub struct Region {
    world: World,
}

impl Region {
    /// One that is empty.
    #[must_use]
    pub fn new(seed: u64) -> Option<Self> {
        let plan = Plan {
            faults: Vec::new(),
            ..Plan::of(seed)
        };
        let world = World::bare(seed, Rc::new(plan), false)?;
        Some(Self { world })
    }

    /// Asks it something.
    pub fn ask(&mut self, request: &Aws) -> Res {
        self.world.aws(request)
    }

    /// Lets time pass.
    pub fn pass(&mut self, lasts: Ms) {
        self.world.pass(lasts);
    }

    /// What its clock shows.
    #[must_use]
    pub fn clock(&self) -> Timestamp {
        wall(self.world.now())
    }
}
