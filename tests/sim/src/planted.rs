//! Which bug is planted in this thread, if any.

use std::cell::Cell;

pub use list::{BUGS, Bug};

mod list {
    include!("bugs.rs");
}

thread_local! {
    static PLANTED: Cell<Option<usize>> = const { Cell::new(None) };
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// Plants one bug, by its number in [`BUGS`], for all that this thread simulates from now on; or none.
pub fn plant(bug: Option<usize>) {
    PLANTED.set(bug);
    DRAWN.set(0);
}

/// Whether that one is planted, or another row of it.
#[must_use]
pub fn is(bug: usize) -> bool {
    let name = |number: usize| BUGS.get(number).map(|bug| bug.name);
    PLANTED.get().is_some_and(|planted| name(planted) == name(bug))
}

/// The numbers of all of them, once each.
pub fn all() -> impl Iterator<Item = usize> {
    let first = |name: &str| BUGS.iter().position(|bug| bug.name == name);
    let numbered = BUGS.iter().enumerate();
    numbered.filter_map(move |(number, bug)| (first(bug.name) == Some(number)).then_some(number))
}

/// Whether a bug of this name is planted in what carries out the decisions of the pure code.
#[must_use]
pub fn shell(name: &str) -> bool {
    let planted = PLANTED.get().and_then(|number| BUGS.get(number));
    planted.is_some_and(|bug| bug.file.is_empty() && bug.name == name)
}

/// A number that is never the same twice, for bugs that draw what should be derived.
#[must_use]
pub fn drawn() -> u64 {
    DRAWN.set(DRAWN.get() + 1);
    DRAWN.get()
}
