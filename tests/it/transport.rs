//! Who may connect to a coordinator over TLS, and what is refused: real programs, real sockets.

mod carry;
mod certificates;
mod crowd;
mod handshakes;
pub(crate) mod launch;
mod liar;
mod pages;
mod pinned;
pub(crate) mod ports;
mod renewal;
mod rig;
mod socket;
mod storm;
