//! How many connections there may be. Nodes that have proven who they are do not count among the strangers, so that
//! strangers cannot keep them out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Most connections at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of strangers: people, nodes that enrol, whoever has not shown what it is yet; in plaintext everybody.
    pub strangers: usize,
    /// Of strangers from one address.
    pub per_address: usize,
    /// Of nodes that have proven who they are.
    pub nodes: usize,
}

/// What an administrator says of [`Limits`]; what is left open comes from the files that the process may open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wished {
    /// Of strangers.
    pub strangers: Option<usize>,
    /// Of strangers from one address.
    pub per_address: Option<usize>,
    /// Of nodes.
    pub nodes: Option<usize>,
}

impl Limits {
    /// What is wished; the rest as this process has files for it: a quarter for strangers, half for nodes.
    #[must_use]
    pub fn of_this_process(wished: Wished) -> Self {
        let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1_024, |(soft, _)| soft);
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        let strangers = wished.strangers.unwrap_or((files / 4).min(4_096));
        Self {
            strangers,
            per_address: wished.per_address.unwrap_or(strangers.min(1_100)),
            nodes: wished.nodes.unwrap_or((files / 2).min(16_384)),
        }
    }
}

/// Lets this process have as many files as it may; the limit that a shell sets is for programs that use `select`.
pub fn raise_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit on open files cannot be raised");
    }
}

/// Counts connections.
#[derive(Debug)]
pub(super) struct Counts {
    limits: Limits,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    strangers: usize,
    addresses: HashMap<IpAddr, usize>,
    nodes: usize,
}

/// The right to be connected, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    counts: Arc<Counts>,
    counted: Counted,
}

#[derive(Debug, Clone, Copy)]
enum Counted {
    Stranger(IpAddr),
    Node,
}

impl Counts {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let now = Mutex::default();
        Arc::new(Self { limits, now })
    }

    /// Lets somebody in who has not said a word yet; `None` when there are too many.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Permit> {
        let mut now = self.now();
        let from_there = now.addresses.get(&address).copied().unwrap_or(0);
        if now.strangers >= self.limits.strangers || from_there >= self.limits.per_address {
            return None;
        }
        now.strangers += 1;
        now.addresses.insert(address, from_there + 1);
        Some(Permit {
            counts: Arc::clone(self),
            counted: Counted::Stranger(address),
        })
    }

    /// Holders only count, so a poisoned lock still guards sound numbers.
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    fn move_to_nodes(&mut self, counted: Counted, most: usize) -> bool {
        if self.nodes >= most {
            return false;
        }
        self.leave(counted);
        self.nodes += 1;
        true
    }

    fn leave(&mut self, counted: Counted) {
        match counted {
            Counted::Node => self.nodes -= 1,
            Counted::Stranger(address) => {
                self.strangers -= 1;
                if let Some(from_there) = self.addresses.get_mut(&address) {
                    *from_there -= 1;
                    if *from_there == 0 {
                        self.addresses.remove(&address);
                    }
                }
            }
        }
    }
}

impl Permit {
    /// It is a node: it counts among those. `None` when there are too many.
    pub(super) fn of_node(mut self) -> Option<Self> {
        let most = self.counts.limits.nodes;
        // The lock is let go of before a permit that is refused is dropped, which takes it.
        let moved = self.counts.now().move_to_nodes(self.counted, most);
        if !moved {
            return None;
        }
        self.counted = Counted::Node;
        Some(self)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.counts.now().leave(self.counted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        strangers: 3,
        per_address: 2,
        nodes: 1,
    };

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn what_is_wished_counts_and_the_rest_comes_from_the_files() {
        let free = Limits::of_this_process(Wished::default());
        assert!(free.per_address <= free.strangers && free.strangers <= free.nodes);
        let wished = Wished {
            strangers: Some(5),
            nodes: Some(7),
            ..Wished::default()
        };
        let limits = Limits::of_this_process(wished);
        assert_eq!((limits.strangers, limits.per_address, limits.nodes), (5, 5, 7));
    }

    #[test]
    fn one_address_cannot_have_all_places() {
        let counts = Counts::new(LIMITS);
        let held: Vec<_> = (0..2).map(|_| counts.admit(ip(1)).unwrap()).collect();
        assert!(counts.admit(ip(1)).is_none(), "a third one of the same address");
        let other = counts.admit(ip(2)).unwrap();
        assert!(counts.admit(ip(3)).is_none(), "a fourth one in all");
        drop(held);
        assert!(counts.admit(ip(1)).is_some());
        drop(other);
        let now = counts.now();
        assert!(now.addresses.is_empty() && now.strangers == 0);
    }

    #[test]
    fn nodes_make_room_for_strangers() {
        let counts = Counts::new(LIMITS);
        let node = counts.admit(ip(1)).unwrap().of_node().unwrap();
        let strangers: Vec<_> = (1..=3).map(|n| counts.admit(ip(n)).unwrap()).collect();
        assert!(counts.admit(ip(4)).is_none());
        drop(strangers);
        assert!(counts.admit(ip(1)).unwrap().of_node().is_none(), "a second node");
        drop(node);
        let now = counts.now();
        assert_eq!((now.strangers, now.nodes), (0, 0));
    }
}
