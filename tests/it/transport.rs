//! Who may connect to a coordinator over TLS, and what is refused: real programs, real sockets.

mod certificates;
mod crowd;
mod handshakes;
mod launch;
mod liar;
mod ports;
mod renewal;
mod socket;
